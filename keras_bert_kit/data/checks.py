"""Checks inside tf.data, so that the compiled training step stays free of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf


def check_ids(vocab_size: int) -> Callable[..., Any]:
    """Makes a function for `dataset.map` that lets batches pass if the model knows their ids.

    On a CPU a lookup past the end of a table is an error that does not name the tokenizer as its
    cause; on a GPU and under XLA it is none, and training goes on with wrong vectors.

    Args:
        vocab_size: Rows of the model's token table, `model.config.vocab_size`.

    Returns:
        A function of what a dataset holds: inputs alone, pairs or triples, the inputs a dict with
        `input_ids`, or the ids themselves, an int tensor of any shape. It gives its arguments
        back. Where an id is negative or not below `vocab_size`, going through the dataset raises
        `tf.errors.InvalidArgumentError`.

    Raises:
        ValueError: `vocab_size` is below 1.

    Example:
        >>> model.fit(train.map(keras_bert_kit.data.check_ids(model.config.vocab_size)))
    """
    if vocab_size < 1:
        raise ValueError(f"vocab_size must be at least 1. Received: vocab_size={vocab_size}")

    def check(inputs, *others):
        ids = inputs["input_ids"] if isinstance(inputs, Mapping) else inputs
        message = tf.strings.format(
            f"input_ids must lie between 0 and {vocab_size - 1}, because vocab_size={vocab_size}. "
            "Received: ids from {} to {}. Use the tokenizer that belongs to the model, or make "
            "the model with vocab_size=len(tokenizer.tokens).",
            (tf.reduce_min(ids), tf.reduce_max(ids)),
        )
        is_known = tf.reduce_all((ids >= 0) & (ids < vocab_size))
        with tf.control_dependencies([tf.debugging.Assert(is_known, [message])]):
            inputs = tf.nest.map_structure(tf.identity, inputs)
        return (inputs, *others) if others else inputs

    return check
