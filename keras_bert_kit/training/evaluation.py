"""Scores of a classifier on labelled texts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score

from keras_bert_kit.data.batching import bucketed_batches
from keras_bert_kit.data.features import EncodedTexts


def evaluate_classifier(
    model: keras.Model, texts: EncodedTexts, labels: np.ndarray, batch_size: int = 32
) -> dict[str, Any]:
    """Scores a classifier.

    Args:
        model: A `BertForSequenceClassification`.
        texts: The texts.
        labels: int array (texts,), class indices.
        batch_size: Rows of a batch.

    Returns:
        `rows`, `accuracy`, `macro_f1`, `loss` (mean cross-entropy in nats), `labels` (precision,
        recall, f1-score and support by class name) and `confusion_matrix` (rows are the true
        classes, columns the predicted ones, in the order of the class indices).
    """
    names = model.config.label_names
    batches = bucketed_batches(texts, None, batch_size)
    logits = model.predict(batches, verbose=0)["logits"]
    predicted = logits.argmax(axis=-1)
    classes = list(range(len(names)))
    report = classification_report(
        labels, predicted, labels=classes, target_names=names, output_dict=True, zero_division=0
    )
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return {
        "rows": len(labels),
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(
            f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)
        ),
        "loss": float(np.mean(losses)),
        "labels": {name: report[name] for name in names},
        "confusion_matrix": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }
