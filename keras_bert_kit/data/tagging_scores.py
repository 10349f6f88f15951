"""Scores of tags over words, by seqeval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def tagging_scores(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Scores tags by the spans that they make: a span is right if type, first and last word are.

    Args:
        true: The tags of each sentence, in IOB2.
        predicted: Those that a model gave, as many.

    Returns:
        `precision`, `recall` and `f1` over all spans, `accuracy` of the words' tags, and `labels`:
        precision, recall, f1-score and support by type.

    Reference:
        Tjong Kim Sang and De Meulder 2003, section 2.4 (https://aclanthology.org/W03-0419), as
        seqeval computes it.
    """
    from seqeval.metrics import accuracy_score, classification_report

    true, predicted = [list(tags) for tags in true], [list(tags) for tags in predicted]
    accuracy = float(accuracy_score(true, predicted))
    if all(tag == "O" for tags in (*true, *predicted) for tag in tags):  # seqeval takes a mean
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0, "accuracy": accuracy, "labels": {}}
    report = classification_report(true, predicted, output_dict=True, zero_division=0)
    total = report["micro avg"]
    names = sorted(name for name in report if not name.endswith(" avg"))
    return {
        "f1": float(total["f1-score"]),
        "precision": float(total["precision"]),
        "recall": float(total["recall"]),
        "accuracy": accuracy,
        "labels": {
            name: {key: float(value) for key, value in report[name].items()} for name in names
        },
    }
