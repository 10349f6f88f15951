"""BERT's tokenizer as TensorFlow ops, for tf.data and for exported models.

Only two ops of tensorflow-text are used, `FastBertNormalize` and `FastWordpieceTokenize`: TF
Serving has carried both since 2.12, and both have LiteRT kernels. Packing is done with dense ops.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_kit.tokenization.lengths import check_max_length
from keras_bert_kit.tokenization.normalizer_map import build_normalizer_map
from keras_bert_kit.tokenization.vocabulary import check_vocabulary

# The reference's limit is 100 characters a word, of at most 4 bytes each; the op counts bytes.
MAX_BYTES_PER_WORD = 400


@keras.saving.register_keras_serializable("keras_bert_kit")
class InGraphTokenizer(keras.layers.Layer):
    """Maps strings to `input_ids`, `token_type_ids` and `attention_mask` inside a graph.

    Gives the ids of `BertTokenizer` with the same settings, but for words of more than 100
    characters, which that one makes a single [UNK]. Runs on the TensorFlow backend only.

    Args:
        vocab: The tokens in the order of their ids.
        do_lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; `None` does as `do_lower_case` says.
        tokenize_chinese_chars: Must be true: the word-piece op makes each CJK character a word.
        max_length: Longest sequence in tokens, specials included; `None` cuts nothing.

    Call arguments:
        inputs: string tensor (B,), or a pair of two such tensors.

    Returns:
        A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 tensors (B, S), where
        S is the longest sequence of the batch.

    Raises:
        ValueError: The vocabulary is not one of BERT, `max_length` leaves no room, or
            `tokenize_chinese_chars` is false.

    Example:
        >>> layer = BertTokenizer.from_pretrained("path/to/model").in_graph(max_length=128)
        >>> layer(tf.constant(["A short text."]))["input_ids"]
    """

    def __init__(
        self,
        vocab,
        do_lower_case=True,
        strip_accents=None,
        tokenize_chinese_chars=True,
        max_length=None,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, "trainable": False, "dtype": "int32", **kwargs})
        check_vocabulary(vocab)
        check_max_length(max_length)
        if not tokenize_chinese_chars:
            raise ValueError(
                "In a graph each CJK character is a word of its own. "
                "Received: tokenize_chinese_chars=False. Use BertTokenizer in Python."
            )
        self._vocab = tuple(vocab)
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.max_length = max_length
        self.pad_token_id, self.cls_token_id, self.sep_token_id = (
            self._vocab.index(token) for token in ("[PAD]", "[CLS]", "[SEP]")
        )
        self._normalizer = self._make_normalizer()
        self._wordpiece = _wordpiece(self._vocab)
        self.built = True

    def tokenize(self, texts):
        """Maps strings (B,) to ids without special tokens, a ragged int32 tensor (B, None)."""
        return self._wordpiece.tokenize(self._normalizer.normalize(texts))

    def pack(self, ids, pair_ids=None, max_length=None, length=None):
        """Adds the special tokens, cuts to `max_length`, and pads.

        Of a pair the longer text is cut first, as the `tokenizers` library's `longest_first` does.

        Args:
            ids: ragged int32 tensor (B, None).
            pair_ids: The second texts' ids, or `None`.
            max_length: Longest sequence in tokens, specials included; `None` cuts nothing.
            length: Length to pad to, an int or a scalar tensor; `None` pads to the longest.

        Returns:
            A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, S).
        """
        check_max_length(max_length, pair=pair_ids is not None)
        first, second = sequence_lengths(
            _row_lengths(ids), None if pair_ids is None else _row_lengths(pair_ids), max_length
        )
        end = first + 1  # where the first [SEP] stands
        total = end + 1 if second is None else end + second + 2
        if length is None:
            length = tf.maximum(tf.reduce_max(total), 2)  # an empty batch has no longest row
        position = tf.expand_dims(tf.range(length), 0)  # (1, S)
        end, total = tf.expand_dims(end, 1), tf.expand_dims(total, 1)
        input_ids = _gather(ids, position - 1)
        token_type_ids = tf.zeros_like(input_ids)
        if pair_ids is not None:
            in_pair = position > end
            input_ids = tf.where(in_pair, _gather(pair_ids, position - end - 1), input_ids)
            token_type_ids = tf.cast(in_pair & (position < total), tf.int32)
        input_ids = tf.where(position == 0, self.cls_token_id, input_ids)
        is_separator = (position == end) | (position == total - 1)
        input_ids = tf.where(is_separator, self.sep_token_id, input_ids)
        attention_mask = tf.cast(position < total, tf.int32)
        return {
            "input_ids": tf.where(position < total, input_ids, self.pad_token_id),
            "token_type_ids": token_type_ids,
            "attention_mask": attention_mask,
        }

    def call(self, inputs):
        """Tokenizes and packs; see the class."""
        texts, pairs = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        pair_ids = None if pairs is None else self.tokenize(pairs)
        return self.pack(self.tokenize(texts), pair_ids, self.max_length)

    def compute_output_spec(self, inputs):
        """Gives the three outputs' shapes, (B, None), and dtypes."""
        texts = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
        names = ("input_ids", "token_type_ids", "attention_mask")
        shape = (texts.shape[0], None)
        return {name: keras.KerasTensor(shape, "int32", name=name) for name in names}

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "vocab": list(self._vocab),
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "max_length": self.max_length,
        }

    def _make_normalizer(self):
        rules = build_normalizer_map(
            lowercase=self.do_lower_case,
            strip_accents=self.strip_accents,
            handle_chinese_chars=self.tokenize_chinese_chars,
        )
        with tf.init_scope():  # a constant of its own, also when a graph is being traced
            return tf_text.FastBertNormalizer(
                model_buffer=tf.constant(np.frombuffer(rules, "uint8"))
            )


def sequence_lengths(first, second, max_length):
    """Gives how many ids of each text stay when a sequence is cut to `max_length`.

    Args:
        first: int tensor (B,), ids of the first text.
        second: int tensor (B,), ids of the second text, or `None`.
        max_length: Longest sequence in tokens, specials included, or `None`.

    Returns:
        The two lengths after the cut; the second is `None` where it was.
    """
    if max_length is None:
        return first, second
    if second is None:
        return tf.minimum(first, max_length - 2), None
    budget = max_length - 3
    shorter = tf.minimum(tf.minimum(first, second), budget // 2)
    longer = tf.minimum(tf.maximum(first, second), budget - shorter)
    first_is_shorter = first <= second
    return (
        tf.where(first_is_shorter, shorter, longer),
        tf.where(first_is_shorter, longer, shorter),
    )


def _row_lengths(ragged):
    return tf.cast(ragged.row_lengths(), tf.int32)


def _gather(ragged, column):
    """Gives each row's values at columns (B or 1, S); any value where it has no such column."""
    values = tf.concat([ragged.flat_values, [0]], 0)  # so that there is a value to point at
    starts = tf.expand_dims(tf.cast(ragged.row_starts(), tf.int32), 1)
    last = tf.size(values) - 1
    return tf.gather(values, tf.clip_by_value(starts + column, 0, last))


@functools.lru_cache(maxsize=8)
def _wordpiece(vocab: tuple[str, ...]) -> tf_text.FastWordpieceTokenizer:
    with tf.init_scope():
        return tf_text.FastWordpieceTokenizer(
            vocab, max_bytes_per_word=MAX_BYTES_PER_WORD, token_out_type=tf.int32
        )
