"""Batches of few static shapes with little padding, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.features import EncodedTexts

# Batches whose texts are sorted by length among each other. More makes less padding and a less
# random order; from 50 on the padding hardly falls.
_WINDOW = 50


def length_buckets(max_length: int) -> list[int]:
    """Gives the lengths that batches are padded to: 8, 16, 24, 32, 40, then a quarter more each.

    Few, because XLA compiles once a shape; multiples of 8, because matrix units work in blocks.

    Args:
        max_length: Longest sequence in tokens.

    Returns:
        Increasing lengths, the last one `max_length`.
    """
    buckets, length = [], 8
    while length < max_length:
        buckets.append(length)
        length = max(length + 8, int(length * 1.25) // 8 * 8)
    return [*buckets, max_length]


def bucketed_batches(
    texts: EncodedTexts,
    labels: np.ndarray | None,
    batch_size: int,
    seed: int | None = None,
    epochs: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Cuts texts into batches, each padded to the least bucket that holds its longest text.

    Every batch but one has exactly `batch_size` rows, so that the shapes are at most one a bucket
    and one for the last, smaller batch.

    Args:
        texts: The texts.
        labels: int array (texts,), or `None`.
        batch_size: Rows of a batch.
        seed: `None` keeps the order of the texts. Else the order is random, texts of like length
            stand together, and the same seed gives the same order.
        epochs: With a seed, the epochs to give one after the other, each in an order that depends
            on seed and epoch alone: whoever stops after an epoch can go on with the next. `None`
            gives one epoch, in another order each time the dataset is gone through.

    Returns:
        A dataset of pairs (inputs, labels), or of inputs alone: a dict of `input_ids`,
        `token_type_ids` and `attention_mask`, int32 (B, S); labels int32 (B,).

    Raises:
        ValueError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    if seed is None:
        rows = tf.data.Dataset.range(len(texts), output_type=tf.int32).batch(batch_size)
    else:
        rows = epoch_numbers(seed, epochs).flat_map(
            lambda epoch: _shuffled_rows(texts.lengths, batch_size, tf.stack([epoch, seed]))
        )
        batches = -(-len(texts) // batch_size) * (1 if epochs is None else len(epochs))
        rows = rows.apply(tf.data.experimental.assert_cardinality(batches))
    pack = _packer(texts, labels)
    return rows.map(pack, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def epoch_numbers(seed: int, epochs: Sequence[int] | None) -> tf.data.Dataset:
    """Gives the epochs that a dataset goes through, as int64 scalars.

    Args:
        seed: Decides the numbers where none are given.
        epochs: The numbers; `None` gives one at random, another one in each iteration.
    """
    if epochs is not None:
        return tf.data.Dataset.from_tensor_slices(np.array(epochs, "int64"))
    return tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)


def _shuffled_rows(lengths: np.ndarray, batch_size: int, key: tf.Tensor) -> tf.data.Dataset:
    """Gives the rows of each batch of one epoch.

    The rows are shuffled, sorted by length within windows, cut, and the batches shuffled.
    """
    lengths = tf.constant(lengths, tf.int64)
    count = len(lengths)
    order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=key)
    window = tf.range(count, dtype=tf.int64) // (batch_size * _WINDOW)
    longest = tf.reduce_max(lengths) + 1
    order = tf.gather(order, tf.argsort(window * longest + tf.gather(lengths, order), stable=True))
    starts = tf.random.experimental.stateless_shuffle(tf.range(0, count, batch_size), seed=key + 1)
    return tf.data.Dataset.from_tensor_slices(starts).map(
        lambda start: order[start : start + batch_size]
    )


def _packer(texts: EncodedTexts, labels: np.ndarray | None):
    lengths = tf.constant(texts.lengths, tf.int32)
    buckets = tf.constant(length_buckets(texts.max_length), tf.int32)
    targets = None if labels is None else tf.constant(labels, tf.int32)

    def pack(rows):
        longest = tf.reduce_max(tf.gather(lengths, rows))
        inputs = texts.tokenizer.pack(
            tf.gather(texts.ids, rows),
            None if texts.pair_ids is None else tf.gather(texts.pair_ids, rows),
            max_length=texts.max_length,
            length=buckets[tf.searchsorted(buckets, [longest])[0]],
        )
        return inputs if targets is None else (inputs, tf.gather(targets, rows))

    return pack
