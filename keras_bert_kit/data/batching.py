"""Batches of few static shapes with little padding, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.features import Features

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
    features: Features,
    labels: np.ndarray | None,
    batch_size: int,
    seed: int | None = None,
    epochs: Sequence[int] | None = None,
    few_lengths: bool = True,
) -> tf.data.Dataset:
    """Cuts rows into batches, each padded to the least bucket that holds its longest row.

    Every batch but one has exactly `batch_size` rows, so that the shapes are at most one a bucket
    and one for the last, smaller batch.

    Args:
        features: The rows: `EncodedTexts`, or what else has their methods, see `Features`.
        labels: array (rows, ...), or `None` where the features have no labels, or have them
            within.
        batch_size: Rows of a batch.
        seed: `None` keeps the order of the rows. Else the order is random, rows of like length
            stand together, and the same seed gives the same order.
        epochs: With a seed, the epochs to give one after the other, each in an order that depends
            on seed and epoch alone: whoever stops after an epoch can go on with the next. `None`
            gives one epoch, in another order each time the dataset is gone through.
        few_lengths: Whether batches are padded to buckets: those of the features where they have
            some, or `length_buckets`. XLA compiles once a shape; without it, `False` pads each
            batch to its longest row, which for SST-2's sentences is an eighth less to compute.

    Returns:
        A dataset of pairs (inputs, labels), or of what the features give: in the case of
        `EncodedTexts` a dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, S).

    Raises:
        ValueError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    if seed is None:
        rows = tf.data.Dataset.range(len(features), output_type=tf.int32).batch(batch_size)
    else:
        rows = epoch_numbers(seed, epochs).flat_map(
            lambda epoch: _shuffled_rows(features.lengths, batch_size, tf.stack([epoch, seed]))
        )
        batches = -(-len(features) // batch_size) * (1 if epochs is None else len(epochs))
        rows = rows.apply(tf.data.experimental.assert_cardinality(batches))
    pack = _packer(features, labels, few_lengths)
    return read_ahead(rows.map(pack, num_parallel_calls=tf.data.AUTOTUNE))


def sorted_batches(
    features: Features, batch_size: int, few_lengths: bool = True
) -> Iterator[tuple[np.ndarray, Any]]:
    """Gives all rows once, those of like length together, to predict with little padding.

    Args:
        features: The rows.
        batch_size: Rows of a batch.
        few_lengths: As of `bucketed_batches`.

    Yields:
        The numbers of the rows of a batch, int32 array (B,), and the batch as arrays.
    """
    order = np.argsort(features.lengths, kind="stable").astype("int32")
    pack = _packer(features, None, few_lengths)
    rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    batches = rows.map(lambda rows: (rows, pack(rows)), num_parallel_calls=tf.data.AUTOTUNE)
    return read_ahead(batches).as_numpy_iterator()


def read_ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Makes batches while the model works on those before, without tf.data's tuner.

    Whoever stops before a dataset's end, as `fit` does after its steps, waits for the tuner's
    thread, and in TensorFlow 2.20 that mostly sleeps on: as long as it took so far, up to a minute.

    Args:
        batches: The dataset.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


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


def padded_length(buckets: Sequence[int] | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes a function from the longest row of a batch, int32 scalar, to the length to pad to.

    Args:
        buckets: The lengths that there may be, increasing; `None` pads no more than is needed.
    """
    if buckets is None:
        return lambda longest: longest
    steps = tf.constant(buckets, tf.int32)
    return lambda longest: steps[tf.searchsorted(steps, [longest])[0]]


def _packer(features: Features, labels: np.ndarray | None, few_lengths: bool):
    lengths = tf.constant(features.lengths, tf.int32)
    buckets = getattr(features, "buckets", None) or length_buckets(features.max_length)
    padded = padded_length(buckets if few_lengths else None)
    targets = None
    if labels is not None:
        is_float = np.asarray(labels).dtype.kind == "f"
        targets = tf.constant(labels, tf.float32 if is_float else tf.int32)

    def pack(rows):
        packed = features.pack(rows, padded(tf.reduce_max(tf.gather(lengths, rows))))
        return packed if targets is None else (packed, tf.gather(targets, rows))

    return pack
