"""Where tokens stand in a text: from bytes after normalization to bytes and characters as given.

Only core TensorFlow operations are used. Legend: B batch, N tokens of a row, T tokens of the
batch, M bytes of the batch.
"""

from __future__ import annotations

import tensorflow as tf


def offsets_as_given(texts, offsets, starts, ends):
    """Gives the bytes of the texts as given that tokens of the normalized texts cover.

    A token ends where the last of its characters ends: what the normalizer deleted after it does
    not belong to it. Several tokens made from one character cover that character each.

    Args:
        texts: string tensor (B,), as they were given.
        offsets: ragged int tensor (B, None): for each byte of a normalized text, the byte of the
            text as given that it was made from, which is the first of its character if the
            normalizer changed it. `tf_text.FastBertNormalizer` gives them.
        starts: ragged int tensor (B, None), the first byte of each token in its normalized text.
        ends: ragged int tensor (B, None), the byte after the last of each token.

    Returns:
        The starts and ends in bytes of the texts as given, int32 tensors (T,).
    """
    begins, base = _characters(texts)  # (M,), (B,)
    row = starts.value_rowids()  # (T,)
    first = tf.gather(offsets.row_starts(), row)
    start = tf.cast(tf.gather(offsets.flat_values, first + starts.flat_values), tf.int32)
    last = tf.cast(tf.gather(offsets.flat_values, first + ends.flat_values - 1), tf.int32)
    base = tf.gather(base, row)
    next_character = tf.gather(tf.cumsum(begins), base + last)
    ends = tf.gather(tf.squeeze(tf.where(begins > 0), 1), next_character)
    return start, tf.cast(ends, tf.int32) - base


def character_offsets(texts, starts):
    """Turns offsets in bytes of UTF-8 into offsets in characters, which are code points.

    An offset within a character gives the next one, and an offset outside of its text the nearest
    one in it. In a text that is no UTF-8, each byte that does not go on with a character (10xxxxxx)
    counts as one, as in `tf.strings.length`.

    Args:
        texts: string tensor (B,).
        starts: int tensor (B, ...) or ragged int tensor (B, None): starts or ends, in bytes.

    Returns:
        An int32 tensor, dense or ragged as `starts` is.

    Example:
        >>> ids, starts, ends = layer.tokenize_with_offsets(texts)
        >>> character_offsets(texts, starts)
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    if not isinstance(starts, tf.RaggedTensor):
        return _before(texts, starts, None)
    return starts.with_values(_before(texts, starts.values, starts.value_rowids()))


def _before(texts, offsets, row):
    """Counts the characters of a text before offsets (B, ...), or (T, ...) with their rows (T,)."""
    begins, base = _characters(texts)
    length = tf.strings.length(texts)  # bytes
    if row is not None:
        base, length = tf.gather(base, row), tf.gather(length, row)
    offsets = tf.cast(offsets, tf.int32)
    shape = [-1, *[1] * (offsets.shape.rank - 1)]
    base, length = tf.reshape(base, shape), tf.reshape(length, shape)
    counts = tf.cumsum(begins, exclusive=True)
    at = base + tf.clip_by_value(offsets, 0, length)
    return tf.gather(counts, at) - tf.gather(counts, base)


def _characters(texts):
    """Looks at the bytes of all texts (B,) together, with one byte between them and at the end.

    Returns:
        Where a character begins, int32 (M,), 1 or 0, and the place of each text's first byte,
        int32 (B,).
    """
    joined = tf.strings.reduce_join(texts, separator="\n") + "\n"
    values = tf.io.decode_raw(joined, tf.uint8)  # (M,)
    begins = tf.cast((values < 0x80) | (values >= 0xC0), tf.int32)
    base = tf.cumsum(tf.strings.length(texts) + 1, exclusive=True)
    return begins, base
