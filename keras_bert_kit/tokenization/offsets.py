"""Where tokens stand in a text: from bytes after normalization to bytes and characters as given.

Only core TensorFlow operations are used. Legend: B batch, N tokens of a row, T tokens of the
batch, M bytes of the longest text and one more.
"""

from __future__ import annotations

import tensorflow as tf

from keras_bert_kit.tokenization.rows import with_axes


def bytes_of(texts):
    """Gives the bytes of texts (B,): int32 (B, M - 1), 0 behind a text's end; and their numbers.

    Args:
        texts: string tensor (B,).

    Returns:
        The bytes, and how many each text has, int32 (B,).
    """
    lengths = tf.strings.length(texts)
    width = tf.maximum(tf.reduce_max(lengths), 1)  # an empty batch has no longest text
    return tf.cast(tf.io.decode_raw(texts, tf.uint8, fixed_length=width), tf.int32), lengths


def offsets_as_given(text_bytes, offsets, starts, ends):
    """Gives the bytes of the texts as given that tokens of the normalized texts cover.

    A token ends where the last of its characters ends: what the normalizer deleted after it does
    not belong to it. Several tokens made from one character cover that character each.

    Args:
        text_bytes: The bytes of the texts as they were given, and their numbers; see `bytes_of`.
        offsets: ragged int tensor (B, None): for each byte of a normalized text, the byte of the
            text as given that it was made from, which is the first of its character if the
            normalizer changed it. `tf_text.FastBertNormalizer` gives them.
        starts: ragged int tensor (B, None), the first byte of each token in its normalized text.
        ends: ragged int tensor (B, None), the byte after the last of each token.

    Returns:
        The starts and ends in bytes of the texts as given, int32 tensors (T,).
    """
    begins, base = _characters(*text_bytes)  # (B * M,), (B,)
    row = starts.value_rowids()  # (T,)
    first = tf.gather(offsets.row_starts(), row)
    start = tf.cast(tf.gather(offsets.flat_values, first + starts.flat_values), tf.int32)
    last = tf.cast(tf.gather(offsets.flat_values, first + ends.flat_values - 1), tf.int32)
    base = tf.gather(base, row)
    next_character = tf.gather(tf.cumsum(begins), base + last)
    ends = tf.gather(tf.squeeze(tf.where(begins > 0), 1), next_character)
    return start, tf.cast(ends, tf.int32) - base


def character_offsets(texts, starts, read=bytes_of):
    """Turns offsets in bytes of UTF-8 into offsets in characters, which are code points.

    An offset within a character gives the next one, and an offset outside of its text the nearest
    one in it. In a text that is no UTF-8, each byte that does not go on with a character (10xxxxxx)
    counts as one, as in `tf.strings.length`.

    Args:
        texts: string tensor (B,).
        starts: int tensor (B, ...) or ragged int tensor (B, None): starts or ends, in bytes.
        read: Gives the bytes of texts, as `bytes_of` does.

    Returns:
        An int32 tensor, dense or ragged as `starts` is.

    Example:
        >>> ids, starts, ends = layer.tokenize_with_offsets(texts)
        >>> character_offsets(texts, starts)
    """
    text_bytes = read(tf.convert_to_tensor(texts, tf.string))
    if not isinstance(starts, tf.RaggedTensor):
        return _before(text_bytes, starts, None)
    return starts.with_values(_before(text_bytes, starts.values, starts.value_rowids()))


def _before(text_bytes, offsets, row):
    """Counts the characters of a text before offsets (B, ...), or (T, ...) with their rows (T,)."""
    begins, base = _characters(*text_bytes)
    _, length = text_bytes
    if row is not None:
        base, length = tf.gather(base, row), tf.gather(length, row)
    offsets = tf.cast(offsets, tf.int32)
    base, length = (with_axes(one, offsets.shape.rank - 1) for one in (base, length))
    counts = tf.cumsum(begins, exclusive=True)
    at = base + tf.minimum(tf.maximum(offsets, 0), length)
    return tf.gather(counts, at) - tf.gather(counts, base)


def _characters(values, lengths):
    """Looks at the bytes (B, M - 1) of texts, with one more place behind the longest.

    Returns:
        Where a character begins, or a text ends, int32 (B * M,), 1 or 0; and the place of each
        text's first byte, int32 (B,).
    """
    values = tf.pad(values, [[0, 0], [0, 1]])
    place, lengths = tf.expand_dims(tf.range(tf.shape(values)[1]), 0), tf.expand_dims(lengths, 1)
    begins = ((values < 0x80) | (values >= 0xC0)) & (place < lengths) | (place == lengths)
    base = tf.range(tf.shape(values)[0]) * tf.shape(values)[1]
    return tf.reshape(tf.cast(begins, tf.int32), [-1]), base
