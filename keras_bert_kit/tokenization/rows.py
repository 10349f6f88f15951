"""Rows of different lengths as dense tensors, in operations that LiteRT has as well.

Legend: B batch, T values of all rows, N the most values of a row.
"""

from __future__ import annotations

import tensorflow as tf


def row_lengths(ragged):
    """Gives how many values each row of a ragged tensor has, int32 (B,)."""
    return tf.cast(ragged.row_lengths(), tf.int32)


def at_columns(ragged, columns):
    """Gives each row's values at columns; any value where it has no such column.

    Args:
        ragged: ragged tensor (B, None).
        columns: int32 tensor (B or 1, ...).
    """
    values = tf.concat([ragged.flat_values, [0]], 0)  # so that there is a value to point at
    starts = with_axes(tf.cast(ragged.row_starts(), tf.int32), columns.shape.rank - 1)
    return tf.gather(values, tf.clip_by_value(starts + columns, 0, tf.size(values) - 1))


def counts_of(rows, count):
    """Gives how many of T things stand in each row, int32 (B,).

    Args:
        rows: int32 tensor (T,), the row of each.
        count: The number of rows (B).
    """
    return tf.math.unsorted_segment_sum(tf.ones_like(rows), rows, count)


def places_in_rows(rows, count):
    """Gives the place of T things, which stand in the order of their rows, in their row, (T,).

    Args:
        rows: int32 tensor (T,), the row of each, not decreasing.
        count: The number of rows (B).
    """
    before = tf.cumsum(counts_of(rows, count), exclusive=True)
    return tf.range(tf.size(rows)) - tf.gather(before, rows)


def dense_rows(values, rows, count, default=0):
    """Gives values in the order of their rows as a dense tensor (B, N); N is at least 1.

    Args:
        values: Numbers (T,).
        rows: int32 tensor (T,), the row of each, not decreasing.
        count: The number of rows (B).
        default: What stands behind the last value of a row.
    """
    width = tf.maximum(tf.reduce_max(counts_of(rows, count)), 1)
    indices = tf.stack([rows, places_in_rows(rows, count)], axis=1)
    moved = tf.scatter_nd(indices, values - default, tf.stack([count, width]))
    return moved + default


def put_back(values, chosen, default=0):
    """Gives values (T, ...) at the places that were chosen, (B, N, ...), and else a default.

    Args:
        values: Numbers, what became of `tf.boolean_mask(something, chosen)`.
        chosen: bool tensor (B, N).
        default: What stands at the other places.
    """
    indices = tf.cast(tf.where(chosen), tf.int32)
    shape = tf.concat([tf.shape(chosen), tf.shape(values)[1:]], 0)
    spread = tf.scatter_nd(indices, values, shape)
    chosen = with_axes(chosen, values.shape.rank - 1)
    return tf.where(chosen, spread, tf.cast(default, values.dtype))


def with_axes(tensor, count):
    """Adds axes of 1 at the end: LiteRT's converter does not know `tensor[..., None]`."""
    for _ in range(count):
        tensor = tf.expand_dims(tensor, -1)
    return tensor
