"""What a served signature gives, as plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def answers_of_rows(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Turns the outputs of a signature into an answer for each row.

    Args:
        outputs: Arrays by name, their first axis the batch (B). `labels` (B, C) are the names that
            belong to the numbers (B, C) beside them, which become a dict. `entities.start` (B, N)
            and other names with that beginning are a list of dicts, of which `entities.count` (B,)
            are real.

    Returns:
        For each row a dict of strings, numbers, lists and dicts.
    """
    values = {name: _plain(array) for name, array in outputs.items()}
    rows = zip(*values.values(), strict=True)
    return [_answer(dict(zip(values, row, strict=True))) for row in rows]


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    labels = row.pop("labels", None)
    for name, value in row.items():
        group, _, field = name.partition(".")
        if field:
            if group not in answer:
                answer[group] = [{} for _ in range(row[f"{group}.count"])]
            for one, member in zip(answer[group], value if field != "count" else (), strict=False):
                one[field] = member
        elif labels is not None and isinstance(value, list):
            answer[name] = dict(zip(labels, value, strict=True))
        else:
            answer[name] = value
    return answer


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype.kind in "OS":
        return np.vectorize(_decoded, otypes=[object])(array).tolist()
    return array.tolist()


def _decoded(text: bytes) -> str:
    return text.decode(errors="replace")
