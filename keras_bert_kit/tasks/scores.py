"""Scores of predictions, by scikit-learn and SciPy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
)


def label_scores(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Scores one label a row.

    Args:
        labels: int array (rows,), class indices.
        predicted: int array (rows,), those that a model gave.
        names: The classes, in the order of their indices.

    Returns:
        `accuracy`, `macro_f1`, `matthews_correlation`; of two classes also `f1`, that of the
        second one; `labels` (precision, recall, f1-score and support by class name) and
        `confusion_matrix` (rows are the true classes, columns the predicted ones).
    """
    classes = list(range(len(names)))
    report = classification_report(
        labels, predicted, labels=classes, target_names=names, output_dict=True, zero_division=0
    )
    scores = {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": _f1(labels, predicted, "macro", labels=classes),
        "matthews_correlation": float(matthews_corrcoef(labels, predicted)),
    }
    if len(names) == 2:
        scores["f1"] = _f1(labels, predicted, "binary")
    return {
        **scores,
        "labels": {name: report[name] for name in names},
        "confusion_matrix": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def label_set_scores(
    labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Scores several labels a row.

    Args:
        labels: array (rows, C), 1 where a class holds, else 0.
        predicted: array (rows, C), the same as a model gave it.
        names: The classes, in the order of their indices.

    Returns:
        `micro_f1`, `macro_f1`, `subset_accuracy` (rows with all classes right), and `labels` as
        `label_scores` has them.
    """
    labels, predicted = labels.astype("int32"), predicted.astype("int32")
    report = classification_report(
        labels, predicted, target_names=names, output_dict=True, zero_division=0
    )
    return {
        "micro_f1": _f1(labels, predicted, "micro"),
        "macro_f1": _f1(labels, predicted, "macro"),
        "subset_accuracy": float(accuracy_score(labels, predicted)),
        "labels": {name: report[name] for name in names},
    }


def number_scores(numbers: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Scores a number a row.

    Args:
        numbers: float array (rows,) or (rows, 1).
        predicted: The same as a model gave it.

    Returns:
        `pearson` and `spearman`, correlations, 0 where one side is constant; and
        `mean_squared_error`.
    """
    numbers, predicted = np.ravel(numbers), np.ravel(predicted)
    return {
        "pearson": _correlation(stats.pearsonr, numbers, predicted),
        "spearman": _correlation(stats.spearmanr, numbers, predicted),
        "mean_squared_error": float(np.mean((numbers - predicted) ** 2)),
    }


def _f1(true, predicted, average: str, **options: Any) -> float:
    return float(f1_score(true, predicted, average=average, zero_division=0, **options))


def _correlation(correlation, numbers: np.ndarray, predicted: np.ndarray) -> float:
    if len(numbers) < 2 or np.ptp(numbers) == 0 or np.ptp(predicted) == 0:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return float(correlation(numbers, predicted).statistic)


def scores_line(scores: Mapping[str, Any]) -> str:
    """Gives the scores that are numbers, in words.

    Args:
        scores: What a task's `evaluate` gave.
    """
    numbers = numbers_of(scores).items()
    return ", ".join(f"{name.replace('_', ' ')} {score:.4f}" for name, score in numbers)


def numbers_of(scores: Mapping[str, Any]) -> dict[str, float]:
    """Gives the scores that are numbers.

    Args:
        scores: What a task's `evaluate` gave.
    """
    return {name: score for name, score in scores.items() if isinstance(score, float)}


def score_tables(scores: Mapping[str, Any]) -> list[list[dict[str, str]]]:
    """Gives the scores of each label, and those of each language, as the rows of tables.

    Args:
        scores: What a task's `evaluate` gave.
    """
    return [
        [
            {kind[:-1]: name, **{key: f"{value:.4g}" for key, value in row.items()}}
            for name, row in scores[kind].items()
        ]
        for kind in ("labels", "languages")
        if scores.get(kind)
    ]
