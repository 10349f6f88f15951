"""Holding a checkpoint's weights against a model's: total, in one report or one error."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

# Tensors of heads that this table of names does not carry: left out, and reported.
_OTHER_HEADS = ("qa_outputs.",)


@dataclasses.dataclass(frozen=True)
class LoadingReport:
    """What loading left new in the model and unused in the checkpoint.

    Attributes:
        new: Paths of the weights that the checkpoint does not hold; they are at random.
        unused: Names of the checkpoint's tensors that the model has no place for.
    """

    new: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.new:
            parts.append(f"new weights, to be trained: {', '.join(self.new)}")
        if self.unused:
            parts.append(f"left out, no place in this model: {', '.join(self.unused)}")
        return "; ".join(parts) or "every weight was loaded"


def match(
    source: str,
    shapes: Mapping[str, tuple[int, ...]],
    weights: Mapping[str, np.ndarray],
    heads: tuple[str, ...],
    new_head: bool | None = None,
) -> LoadingReport:
    """Checks that a checkpoint fills a model.

    Args:
        source: The checkpoint's name, for the error.
        shapes: The model's weights: shapes by path.
        weights: The checkpoint's weights by path; unknown tensors under their own name.
        heads: Prefixes of paths that may be missing in the checkpoint.
        new_head: `None` leaves a missing head new; `True` also one of another shape; `False`
            wants the head to be there.

    Raises:
        ValueError: Weights are missing, unexpected, of another shape or not numbers: all of them
            in one text.
    """
    fresh = [path for path in shapes if path not in weights and path.startswith(heads)]
    if new_head is False:
        fresh = []
    missing = [path for path in shapes if path not in weights and path not in fresh]
    wrong = [path for path in shapes if path in weights and weights[path].shape != shapes[path]]
    replaced = [path for path in wrong if new_head and path.startswith(heads)]
    extra = [name for name in weights if name not in shapes]
    known = [name for name in extra if "/" in name or name.startswith(_OTHER_HEADS)]
    problems = {
        "missing": missing,
        "unexpected": [name for name in extra if name not in known],
        "wrongly shaped": [
            f"{path} is {weights[path].shape} and must be {shapes[path]}"
            for path in wrong
            if path not in replaced
        ],
        "not finite (NaN or infinite)": [
            path for path in shapes if path in weights and not np.isfinite(weights[path]).all()
        ],
    }
    found = [f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names]
    if found:
        hint = " A head of another shape is replaced with new_head=True." if wrong else ""
        if new_head is False and any(path.startswith(heads) for path in missing):
            hint = " A model without its head must be trained first."
        raise ValueError(
            f"The weights of {source} must fill the model exactly. Received: "
            + "; ".join(found)
            + "."
            + hint
        )
    return LoadingReport(new=tuple(fresh + replaced), unused=tuple(known))
