"""Learning rates by layer: which layer a variable is of, and its share of the rate."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BLOCK = re.compile(r"(?:^|/)block_(\d+)/")
_EMBEDDINGS = re.compile(r"(?:^|/)embeddings/")
_POOLER = re.compile(r"(?:^|/)pooler/")


def learning_shares(
    paths: Sequence[str], layer_decay: float, head_share: float
) -> tuple[float, ...]:
    """Gives the share of the learning rate at which each variable learns.

    Args:
        paths: Paths of the variables.
        layer_decay: What the rate is multiplied by at each step down from the heads.
        head_share: What it is multiplied by for heads.

    Raises:
        ValueError: There are no blocks.
    """
    blocks = [int(block) for path in paths for block in _BLOCK.findall(path)]
    if not blocks:
        raise ValueError(
            "layer_decay and a rate of heads need an encoder's blocks among the variables, with "
            "paths like encoder/block_0/attention/query/kernel; leave them out for another model. "
            f"Received: {len(paths)} variables, {', '.join(paths[:3])}, ..."
        )
    depths = [_depth(path, 1 + max(blocks)) for path in paths]
    return tuple(
        layer_decay**depth * (1.0 if depth or _POOLER.search(path) else head_share)
        for path, depth in zip(paths, depths, strict=True)
    )


def _depth(path: str, blocks: int) -> int:
    """Counts the steps from the heads down to a variable."""
    if block := _BLOCK.search(path):
        return blocks - int(block[1])
    return blocks + 1 if _EMBEDDINGS.search(path) else 0
