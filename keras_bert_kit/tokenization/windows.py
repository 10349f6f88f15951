"""Cuts long texts into windows that overlap, as TensorFlow operations.

Legend: B batch, W windows, S sequence.
"""

from __future__ import annotations

import tensorflow as tf

from keras_bert_kit.tokenization.rows import at_columns, row_lengths, with_axes


def cut_windows(
    ids,
    question_ids,
    max_length,
    stride,
    max_windows,
    max_question_length,
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
        max_question_length: Most tokens of a question, or `None` for no limit.
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
        if max_question_length is not None:
            questions = tf.minimum(questions, max_question_length)
        first = 2 + _question_lengths(questions, counts, max_length, stride)
    position, length = _window_places(counts, first, max_length, stride, max_windows)
    first, length = with_axes(first, 2), with_axes(length, 1)
    place = tf.reshape(tf.range(tf.shape(position)[2]), [1, 1, -1])
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
    number = tf.expand_dims(tf.range(tf.maximum(tf.reduce_max(windows), 1)), 0)  # (1, W)
    exists = number < with_axes(windows, 1)  # (B, W)
    start = number * with_axes(step, 1)  # (B, W)
    room = with_axes(room, 1)
    taken = tf.minimum(tf.maximum(with_axes(counts, 1) - start, 0), room)
    longest = first + tf.minimum(counts, tf.squeeze(room, 1)) + 1  # (B,)
    width = tf.maximum(tf.reduce_max(longest), 2)  # an empty batch has no longest row
    place = tf.range(width) - with_axes(first, 2)  # (B, 1, S)
    in_text = (place >= 0) & (place < with_axes(taken, 1)) & with_axes(exists, 1)
    position = tf.where(in_text, with_axes(start, 1) + place, -1)  # (B, W, S)
    return position, tf.where(exists, with_axes(first, 1) + taken + 1, 0)
