"""The tokenizer in operations that LiteRT has: builtin ones and some of tensorflow-text."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_kit.tokenization.in_graph import TEXT_OPERATIONS, InGraphTokenizer
from keras_bert_kit.tokenization.rows import at_columns, row_lengths
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

#: The operations of tensorflow-text that a model of texts may have.
CUSTOM_OPERATIONS = (
    *TEXT_OPERATIONS,
    "TFText>ByteSplitByOffsets",
    "TFText>ByteSplitWithOffsets",
)


class LiteTokenizer(InGraphTokenizer):
    """The tokenizer in the graph, which looks at bytes with operations of tensorflow-text.

    LiteRT has no operations of its own that look into a text.
    """

    @classmethod
    def like(cls, tokenizer: BertTokenizer, max_length: int) -> LiteTokenizer:
        """Gives the counterpart of a tokenizer that reads special tokens in a text as text.

        Args:
            tokenizer: The tokenizer; see `plain`.
            max_length: Longest sequence in tokens, specials included.
        """
        return cls.from_config(tokenizer.in_graph(max_length).get_config())

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


def plain(tokenizer: BertTokenizer) -> BertTokenizer:
    """Gives a tokenizer that reads special tokens in a text as text.

    Args:
        tokenizer: The model's.

    Raises:
        ValueError: It has `never_split`, which needs regular expressions.
    """
    if tokenizer.never_split:
        raise ValueError(
            "LiteRT cannot find words that are never split. Make the tokenizer without them. "
            f"Received: never_split={list(tokenizer.never_split)}"
        )
    return type(tokenizer)(**{**tokenizer.get_config(), "split_special_tokens": True})
