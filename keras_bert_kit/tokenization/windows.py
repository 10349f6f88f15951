"""Cuts long texts into windows that overlap, as TensorFlow operations.

Legend: B batch, W windows, S sequence.
"""

from __future__ import annotations

import tensorflow as tf


def cut_windows(
    ids,
    question_ids,
    max_length,
    stride,
    max_windows,
    cls_token_id,
    sep_token_id,
    pad_token_id,
):
    """Cuts each text into windows; see `InGraphTokenizer.windows`.

    Args:
        ids: ragged int32 tensor (B, None).
        question_ids: ragged int32 tensor (B, None), or `None`.
        max_length: Longest window in tokens, specials included.
        stride: How many tokens of its text a window shares with the one before it.
        max_windows: Most windows of a text, or `None` for no limit.
        cls_token_id: The id of [CLS].
        sep_token_id: The id of [SEP].
        pad_token_id: The id of [PAD].

    Returns:
        A dict of int32 tensors (B, W, S).
    """
    counts = row_lengths(ids)
    first = tf.ones_like(counts)  # the place of a window where the text begins
    if question_ids is not None:
        questions = row_lengths(question_ids)
        first = 2 + _question_lengths(questions, counts, max_length, stride)
    position, length = _window_places(counts, first, max_length, stride, max_windows)
    first, length = first[:, tf.newaxis, tf.newaxis], length[..., tf.newaxis]
    place = tf.range(tf.shape(position)[2])[tf.newaxis, tf.newaxis]  # (1, 1, S)
    input_ids = at_columns(ids, position)  # (B, W, S)
    if question_ids is not None:
        input_ids = tf.where(place < first, at_columns(question_ids, place - 1), input_ids)
    input_ids = tf.where(place == 0, cls_token_id, input_ids)
    ends_question = (place == first - 1) & (place > 0)
    input_ids = tf.where(ends_question | (place == length - 1), sep_token_id, input_ids)
    is_token = place < length
    is_second = is_token & (place >= first) & (first > 1)
    return {
        "input_ids": tf.where(is_token, input_ids, pad_token_id),
        "token_type_ids": tf.cast(is_second, tf.int32),
        "attention_mask": tf.cast(is_token, tf.int32),
        "position": position,
    }


def check_windows(max_length: int, stride: int, max_windows: int | None, paired: bool):
    """Checks that each window goes on in its text.

    Args:
        max_length: Longest window in tokens, specials included.
        stride: How many tokens of its text a window shares with the one before it.
        max_windows: Most windows of a text, or `None` for no limit.
        paired: Whether each window begins with a question.

    Raises:
        ValueError: It does not, or there may be no window at all.
    """
    least = 5 if paired else 3  # the special tokens, and one token of each text
    if stride < 0 or max_length < least + stride:
        raise ValueError(
            f"stride must be at least 0, and max_length at least stride + {least}, so that each "
            f"window goes on. Received: max_length={max_length} and stride={stride}. "
            "Raise max_length or lower stride."
        )
    if max_windows is not None and max_windows < 1:
        raise ValueError(
            f"max_windows must be at least 1, or None. Received: max_windows={max_windows}"
        )


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
    starts = tf.cast(ragged.row_starts(), tf.int32)
    starts = tf.reshape(starts, [-1, *[1] * (columns.shape.rank - 1)])
    return tf.gather(values, tf.clip_by_value(starts + columns, 0, tf.size(values) - 1))


def _question_lengths(questions, counts, max_length, stride):
    """Gives how many tokens of each question stay, (B,)."""
    room = max_length - 3
    cut = tf.minimum(questions, room - stride - 1)
    return tf.where(questions + counts <= room, questions, cut)


def _window_places(counts, first, max_length, stride, max_windows):
    """Says which token of its text stands at each place of each window.

    Returns:
        The index of the token, int32 (B, W, S), -1 where there is none, and the tokens of each
        window, specials included, int32 (B, W), 0 where the text does not need it.
    """
    room = max_length - 1 - first  # (B,), of a window for tokens of the text
    step = tf.maximum(room - stride, 1)  # a text that fits whole may leave less room
    windows = tf.maximum(-((stride - counts) // step), 1)
    if max_windows is not None:
        windows = tf.minimum(windows, max_windows)
    number = tf.range(tf.maximum(tf.reduce_max(windows), 1))[tf.newaxis]  # (1, W)
    exists = number < windows[:, tf.newaxis]  # (B, W)
    start = number * step[:, tf.newaxis]  # (B, W)
    taken = tf.clip_by_value(counts[:, tf.newaxis] - start, 0, room[:, tf.newaxis])
    longest = first + tf.minimum(counts, room) + 1  # (B,)
    width = tf.maximum(tf.reduce_max(longest), 2)  # an empty batch has no longest row
    place = tf.range(width) - first[:, tf.newaxis, tf.newaxis]  # (B, 1, S)
    in_text = (place >= 0) & (place < taken[..., tf.newaxis]) & exists[..., tf.newaxis]
    position = tf.where(in_text, start[..., tf.newaxis] + place, -1)  # (B, W, S)
    return position, tf.where(exists, first[:, tf.newaxis] + taken + 1, 0)
