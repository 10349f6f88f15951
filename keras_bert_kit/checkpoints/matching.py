"""Holding a checkpoint's weights against a model's: total, in one report or one error."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from keras_bert_kit.checkpoints.checkpoint import Weights
from keras_bert_kit.checkpoints.names import ENCODER, HEADS

# Weights that another model class has: left out, and reported. Not every model has the pooler.
_OTHER_HEADS = frozenset(
    row.path for row in (*ENCODER, *HEADS) if row in HEADS or row.path.startswith("pooler/")
)


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
    """Checks that a checkpoint's names and shapes fill a model.

    Args:
        source: The checkpoint's name, for the error.
        shapes: The model's weights: shapes by path.
        weights: The checkpoint's weights by path; unknown tensors under their own name.
        heads: Prefixes of paths that may be missing in the checkpoint.
        new_head: `None` leaves a missing head new; `True` also one of another shape; `False`
            wants the head to be there.

    Raises:
        ValueError: Weights are missing, unexpected or of another shape: all of them in one text,
            together with those that are not numbers.
    """
    given = {path: shape_of(weights, path) for path in shapes if path in weights}
    fresh = [path for path in shapes if path not in weights and path.startswith(heads)]
    if new_head is False:
        fresh = []
    missing = [path for path in shapes if path not in weights and path not in fresh]
    wrong = [path for path in given if given[path] != shapes[path]]
    replaced = [path for path in wrong if new_head and path.startswith(heads)]
    extra = [name for name in weights if name not in shapes]
    known = [name for name in extra if name in _OTHER_HEADS]
    problems = {
        "missing": missing,
        "unexpected": [name for name in extra if name not in known],
        "wrongly shaped": [
            f"{path} is {given[path]} and must be {shapes[path]}"
            for path in wrong
            if path not in replaced
        ],
    }
    if any(problems.values()):
        problems[NOT_FINITE] = [path for path in given if not is_finite(weights[path])]
        hint = " A head of another shape is replaced with new_head=True." if wrong else ""
        if new_head is False and any(path.startswith(heads) for path in missing):
            hint = " A model without its head must be trained first."
        raise ValueError(not_filled(source, problems) + hint)
    return LoadingReport(new=tuple(fresh + replaced), unused=tuple(known))


#: What is wrong with a weight that holds NaN or infinity.
NOT_FINITE = "not finite (NaN or infinite)"


def not_filled(source: str, problems: Mapping[str, list[str]]) -> str:
    """Gives the text of the error about weights that do not fill a model.

    Args:
        source: The checkpoint's name.
        problems: Names of weights by what is wrong with them.
    """
    found = [f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names]
    return f"The weights of {source} must fill the model exactly. Received: {'; '.join(found)}."


def is_finite(array: np.ndarray) -> bool:
    """Tells whether all numbers of an array are finite."""
    # A sum is quick and finite where all numbers are; one that overflows is looked at in full.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())


def shape_of(weights: Mapping[str, np.ndarray], path: str) -> tuple[int, ...]:
    """Gives the shape of a weight, without reading it where it is still in a file.

    Args:
        weights: The weights.
        path: The path of one of them.
    """
    return weights.shape(path) if isinstance(weights, Weights) else np.shape(weights[path])
