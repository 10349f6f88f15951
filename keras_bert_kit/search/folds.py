"""Rows for cross-validation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from keras_bert_kit.data.rows import row_count, row_lists
from keras_bert_kit.tasks.task import Task


def fold_rows(
    task: Task, examples: Any, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits the rows of examples into folds, each of which validates once.

    Where the task has classes and each row is of one, each fold has about the same share of each.
    Rows about one thing, such as questions on one context, are in one fold.

    Args:
        task: The task.
        examples: What the task read.
        folds: Number of the folds.
        seed: Decides which row is in which fold.

    Returns:
        The rows to train on and those to score, int arrays, for each fold.

    Raises:
        ValueError: There are fewer than 2 folds, or more than rows, than things that these are
            about, or than the rows of a class.
    """
    rows = row_count(examples)
    if not 2 <= folds <= rows:
        raise ValueError(
            f"folds must lie between 2 and the number of rows, {rows}. Received: folds={folds}"
        )
    groups = task.groups(examples)
    if groups is not None:
        if len(set(groups)) < folds:
            raise ValueError(
                f"{examples.path}: folds must be at most the contexts or sentences that the rows "
                f"are about, {len(set(groups))}. Received: folds={folds}"
            )
        splitter = GroupKFold(folds, shuffle=True, random_state=seed)
        return list(splitter.split(np.zeros(rows), groups=groups))
    labels = _classes(task, examples)
    if labels is None:
        return list(KFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows)))
    label, count = min(Counter(labels).items(), key=lambda item: item[1])
    if count < folds:
        raise ValueError(
            f"{examples.path}: folds must be at most the rows of the least class, {count} of "
            f"{label!r}. Received: folds={folds}"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(rows), labels))


def _classes(task: Task, examples: Any) -> list[str] | None:
    """Gives the class of each row, or `None` where rows have several, none, or numbers."""
    labels = row_lists(examples).get("labels")
    names = task.config(examples).get("id2label")
    if labels is None or names is None or not set(map(str, labels)) <= set(names):
        return None
    return labels
