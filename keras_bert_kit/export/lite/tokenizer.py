"""The tokenizer in operations that LiteRT has: builtin ones and some of tensorflow-text."""

from __future__ import annotations

import re

import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_kit.tokenization.in_graph import TEXT_OPERATIONS, InGraphTokenizer
from keras_bert_kit.tokenization.rows import at_columns, row_lengths

#: The operations of tensorflow-text that a model of texts may have.
CUSTOM_OPERATIONS = (
    *TEXT_OPERATIONS,
    "TFText>ByteSplitByOffsets",
    "TFText>ByteSplitWithOffsets",
)
# Brackets are words of their own, and two such tokens cannot overlap.
_BRACKETED = re.compile(r"\[[^\[\]]+\]|<[^<>]+>")


class LiteTokenizer(InGraphTokenizer):
    """The tokenizer in the graph, which looks at bytes with operations of tensorflow-text.

    LiteRT has no operations of its own that look into a text, and no regular expressions: special
    tokens that are written in a text are found in its bytes, after it has been cut into pieces.

    Args:
        *args: Of `InGraphTokenizer`.
        whole: The special tokens that are kept whole where they are written; in brackets.
        **kwargs: Of `InGraphTokenizer`.
    """

    def __init__(self, *args, whole=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.whole = {token: self._vocab.index(token) for token in whole}

    @classmethod
    def like(cls, tokenizer: InGraphTokenizer) -> LiteTokenizer:
        """Gives the counterpart of a tokenizer, which gives the same ids.

        Args:
            tokenizer: The tokenizer.

        Raises:
            ValueError: It has `never_split`, or keeps special tokens whole that do not stand in
                brackets.
        """
        config = tokenizer.get_config()
        whole = tuple(tokenizer._marks)
        others = [one for one in whole if not _BRACKETED.fullmatch(one)]
        if config["never_split"] or others:
            raise ValueError(
                "LiteRT cannot find words that are never split, and special tokens in brackets "
                "alone. Make the tokenizer without others, or with split_special_tokens=True. "
                f"Received: never_split={config['never_split']}, special tokens {others}"
            )
        return cls(**{**config, "split_special_tokens": True}, whole=whole)

    def tokenize(self, texts):
        """Maps strings (B,) to ids; see `InGraphTokenizer`."""
        return self.tokenize_with_offsets(texts)[0] if self.whole else super().tokenize(texts)

    def tokenize_with_offsets(self, texts):
        """Maps strings to ids, and says where each token stands; see `InGraphTokenizer`."""
        texts = tf.convert_to_tensor(texts, tf.string)
        ids, starts, ends = super().tokenize_with_offsets(texts)
        if not self.whole:
            return ids, starts, ends
        marks = self._marks_of(texts)  # (B, M)
        place = tf.cast(ids.value_rowids(), tf.int32) * tf.shape(marks)[1] + starts.flat_values
        mark = tf.gather(tf.reshape(marks, [-1]), place)
        stays = tf.where(mark < 0, 0, 1)
        before = tf.cumsum(tf.concat([stays, [0]], 0), exclusive=True)
        count = tf.reduce_sum(stays)
        values = tf.boolean_mask(tf.where(mark > 0, mark - 1, ids.flat_values), mark >= 0)
        starts = tf.boolean_mask(starts.flat_values, mark >= 0)
        ends = tf.math.unsorted_segment_max(ends.flat_values, tf.cumsum(stays) - 1, count)
        ids = tf.RaggedTensor.from_row_splits(
            values, tf.gather(before, ids.row_splits), validate=False
        )
        return ids, ids.with_values(starts), ids.with_values(ends)

    def bytes_of(self, texts):
        """Gives the bytes of texts; see `InGraphTokenizer`."""
        split = tf_text.ByteSplitter().split(texts)
        split = split.with_values(tf.cast(split.flat_values, tf.int32))
        lengths = row_lengths(split)
        width = tf.maximum(tf.reduce_max(lengths), 1)  # an empty batch has no longest text
        return at_columns(split, tf.expand_dims(tf.range(width), 0)), lengths

    def parts_of(self, texts, starts, ends):
        """Gives parts of texts; see `InGraphTokenizer`."""
        parts = tf_text.ByteSplitter().split_by_offsets(texts, starts, ends)
        return tf.reshape(parts.flat_values, tf.shape(starts))

    def _marks_of(self, texts):
        """Finds the tokens that are kept whole in texts (B,).

        Returns:
            For each byte, int32 (B, M): the token's id and 1 where it begins, -1 in the rest of it,
            elsewhere 0.
        """
        values, lengths = self.bytes_of(texts)
        shape = tf.shape(values)
        inside = tf.expand_dims(tf.range(shape[1]), 0) < tf.expand_dims(lengths, 1)
        values = tf.where(inside, values, 0)  # behind a text's end stands anything
        marks = tf.zeros_like(values)
        for token, number in self.whole.items():
            code = token.encode()
            ahead = tf.pad(values, [[0, 0], [0, len(code) - 1]])
            here = tf.ones_like(values)
            for place, byte in enumerate(code):
                here *= tf.cast(tf.slice(ahead, [0, place], shape) == byte, tf.int32)
            behind = tf.pad(here, [[0, 0], [len(code) - 1, 0]])
            marks += here * (number + 1)
            for place in range(len(code) - 1):
                marks -= tf.slice(behind, [0, place], shape)
        return marks
