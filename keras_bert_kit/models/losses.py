"""Losses over the logits of the models."""

from __future__ import annotations

import keras

from keras_bert_kit.config import PROBLEM_TYPES


def classification_loss(problem_type: str | None = None) -> keras.losses.Loss:
    """Makes the loss of a sequence classifier.

    Args:
        problem_type: `BertConfig.problem_type`, which decides the labels:

            * "single_label_classification" or `None`: int (B,), class indices; cross-entropy
              over the classes.
            * "multi_label_classification": (B, C), 1 where a class holds and 0 where not; binary
              cross-entropy, the mean over the classes.
            * "regression": float (B,) or (B, 1), for logits (B, 1); mean squared error.

    Raises:
        ValueError: The type is none of `keras_bert_kit.config.PROBLEM_TYPES`.

    Example:
        >>> model.compile(optimizer, loss=classification_loss(model.config.problem_type))
    """
    if problem_type in (None, "single_label_classification"):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if problem_type == "multi_label_classification":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    if problem_type == "regression":
        return keras.losses.MeanSquaredError()
    raise ValueError(
        "problem_type must be one of keras_bert_kit.config.PROBLEM_TYPES "
        f"({', '.join(PROBLEM_TYPES)}), or None for a single label. Received: {problem_type!r}"
    )


def pretraining_losses() -> dict[str, keras.losses.Loss]:
    """Makes the losses of `BertForPreTraining`, by output; their sum is trained.

    Keras divides the weighted sum of an output's cross-entropies by the number of its places, not
    by the sum of its weights. The paper's masked-LM loss is `sum(w * ce) / sum(w)` over the
    (B, P) places of the batch, where w is 1 at a prediction and 0 at padding. So the data pipeline
    scales the weights of a batch to mean 1 over all its places: then `sum(w) = B * P`, and Keras'
    mean is the paper's. As the whole batch has one scale, this stays so when the batch is split
    over replicas in equal parts, of which each takes the mean and the means are averaged; weights
    scaled by replica would let a prediction count more where there are few.

    Returns:
        Sparse cross-entropies from logits: `prediction_logits` (B, P, V) with int labels (B, P),
        and `seq_relationship_logits` (B, 2) with int labels (B,).

    Example:
        >>> model.compile(optimizer, loss=pretraining_losses())

    Reference:
        Devlin et al. 2018, appendix A.2 (https://arxiv.org/abs/1810.04805).
    """
    return {
        "prediction_logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "seq_relationship_logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
