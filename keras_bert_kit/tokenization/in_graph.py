"""BERT's tokenizer as TensorFlow ops, for tf.data and for exported models.

Only two ops of tensorflow-text are used, `FastBertNormalize` and `FastWordpieceTokenize`: TF
Serving has carried both since 2.12, and both have LiteRT kernels. The rest is core TensorFlow.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_kit.tokenization.lengths import check_max_length, truncation_strategy
from keras_bert_kit.tokenization.normalizer_map import MARKS, NormalizerMap, build_normalizer_map
from keras_bert_kit.tokenization.offsets import bytes_of, character_offsets, offsets_as_given
from keras_bert_kit.tokenization.rows import at_columns, row_lengths
from keras_bert_kit.tokenization.vocabulary import (
    MAX_INPUT_CHARS_PER_WORD,
    SPECIAL_TOKENS,
    check_tokens,
)
from keras_bert_kit.tokenization.windows import check_windows, cut_windows

#: The operations of tensorflow-text that are used.
TEXT_OPERATIONS = ("FastBertNormalize", "FastWordpieceTokenizeWithOffsets")

# Marks that a text is given on its way to the ids. Each added token has one of its own.
_OPEN, _CLOSE, _UNREACHABLE = map(chr, MARKS[:3])
_OF_ADDED_TOKENS = MARKS[3:]
_ANY_MARK = f"[{chr(MARKS[0])}-{chr(MARKS[-1])}]"
_DELETED = "\ue000"  # as by the reference
_PRIVATE = re.compile("[\U000f0000-\U0010fffd]")


@keras.saving.register_keras_serializable("keras_bert_kit")
class InGraphTokenizer(keras.layers.Layer):
    """Maps strings to `input_ids`, `token_type_ids` and `attention_mask` inside a graph.

    Gives the ids of `BertTokenizer` with the same settings. Runs on the TensorFlow backend only.

    What still differs:
        Marks out of order. Where accents are removed, a few marks stay, those that have a width,
        such as Hangul tone marks or musical stems. Two of them in a row that are not in Unicode's
        canonical order are put into it by `BertTokenizer` and left as they are here, because the
        op sees one character at a time.
        Offsets of such marks. Where one of them changes places with any other mark, removed or
        not, the offsets of `BertTokenizer` are those of the place that it comes to. Here they are
        those of the place where it is written.
        Truncation without room. Where `only_first` or `only_second` would have to cut more than
        there is, `BertTokenizer` raises a `ValueError`; here the other text is cut too.

    Args:
        vocab: The tokens in the order of their ids.
        do_lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; `None` does as `do_lower_case` says.
        tokenize_chinese_chars: Whether each CJK character is a word of its own.
        max_length: Longest sequence in tokens, specials included; `None` cuts nothing.
        truncation: What is cut: `True` or "longest_first" the longer text of a pair first,
            "only_first", "only_second", or `False` for nothing.
        split_special_tokens: Whether a special token that is written in a text is read as text.
        never_split: Words of the vocabulary that are tokens wherever they are written.
        additional_special_tokens: Tokens of the vocabulary that are special beside BERT's five.
        max_input_chars_per_word: A word of more characters is a single [UNK].

    Call arguments:
        inputs: string tensor (B,), or a pair of two such tensors.

    Returns:
        A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 tensors (B, S), where
        S is the longest sequence of the batch.

    Raises:
        ValueError: The vocabulary is not one of BERT, `max_length` leaves no room, or there is no
            such `truncation`.

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
        truncation=True,
        split_special_tokens=False,
        never_split=(),
        additional_special_tokens=(),
        max_input_chars_per_word=MAX_INPUT_CHARS_PER_WORD,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, "trainable": False, "dtype": "int32", **kwargs})
        check_tokens(vocab, never_split, additional_special_tokens, max_input_chars_per_word)
        check_max_length(max_length)
        truncation_strategy(truncation)
        self._vocab = tuple(vocab)
        self.do_lower_case = do_lower_case
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.max_length = max_length
        self.truncation = truncation
        self.split_special_tokens = split_special_tokens
        self.never_split = tuple(never_split)
        self.additional_special_tokens = tuple(additional_special_tokens)
        self.max_input_chars_per_word = max_input_chars_per_word
        self.pad_token_id, self.unk_token_id, self.cls_token_id, self.sep_token_id = (
            self._vocab.index(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
        )
        # What a text may hold whole, and whether it is then read as text all the same.
        special = (*SPECIAL_TOKENS, *self.additional_special_tokens)
        self._is_text = dict.fromkeys(special, split_special_tokens)
        self._is_text |= dict.fromkeys(self.never_split, False)
        kept = [token for token, is_text in self._is_text.items() if not is_text]
        self._marks = dict(zip(kept, map(chr, _OF_ADDED_TOKENS), strict=False))
        rules = _normalizer_map(do_lower_case, strip_accents, tokenize_chinese_chars, bool(kept))
        self._wordpiece = _wordpiece(self._vocab, rules, len(kept), max_input_chars_per_word)
        with tf.init_scope():  # constants of their own, also when a graph is being traced
            self._characters = tf.constant(_characters(self._vocab, len(kept)))
            self._normalizer = tf_text.FastBertNormalizer(
                model_buffer=tf.constant(np.frombuffer(rules.model, "uint8"))
            )
        self.built = True

    def tokenize(self, texts):
        """Maps strings (B,) to ids without special tokens, a ragged int32 tensor (B, None)."""
        texts = tf.convert_to_tensor(texts, tf.string)
        if self._marks:
            found = f"{_ANY_MARK}|{self._added_token()}"
            texts = _change_where(texts, found, self._mark_added_tokens)
        ids, _ = self._ids(self._wordpiece.tokenize(self._normalizer.normalize(texts)))
        return ids

    def tokenize_with_offsets(self, texts):
        """Maps strings to ids without special tokens, and says where each token stands.

        The ids are those of `tokenize`. The offsets are those of `BertTokenizer`, but in bytes:
        see `character_offsets`. A word that is too long is one [UNK], which covers all of it.
        In a text that is no UTF-8, tokens may overlap in the bytes that are no characters.

        Args:
            texts: string tensor (B,).

        Returns:
            Three ragged int32 tensors (B, None) with the same row splits: the ids, and the first
            byte of each token and the byte after its last, in the text as given (UTF-8).

        Raises:
            ValueError: Tokens written in a text are kept whole, which moves the offsets.

        Example:
            >>> layer = BertTokenizer("vocab.txt", split_special_tokens=True).in_graph()
            >>> ids, starts, ends = layer.tokenize_with_offsets(tf.constant(["A short text."]))
        """
        if self._marks:
            raise ValueError(
                "Offsets need a tokenizer that keeps no written token whole. Received: "
                f"split_special_tokens={self.split_special_tokens}, "
                f"never_split={self.never_split}. Make it with split_special_tokens=True and "
                "without never_split."
            )
        texts = tf.convert_to_tensor(texts, tf.string)
        normalized, offsets = self._normalizer.normalize_with_offsets(texts)
        pieces, starts, ends = self._wordpiece.tokenize_with_offsets(normalized)
        starts, ends = offsets_as_given(self.bytes_of(texts), offsets, starts, ends)  # (pieces,)
        ids, kept = self._ids(pieces)
        starts, ends = tf.gather(starts, kept[:-1]), tf.gather(ends, kept[1:] - 1)
        return ids, ids.with_values(starts), ids.with_values(ends)

    def bytes_of(self, texts):
        """Gives the bytes of texts; see `bytes_of` of the module on offsets."""
        return bytes_of(texts)

    def character_offsets(self, texts, starts):
        """Turns offsets in bytes into offsets in characters; see `character_offsets`."""
        return character_offsets(texts, starts, self.bytes_of)

    def parts_of(self, texts, starts, ends):
        """Gives parts of texts (B,) between bytes, int32 (B, N): strings (B, N)."""
        texts = tf.repeat(tf.expand_dims(texts, 1), tf.shape(starts)[1], axis=1)
        return tf.strings.substr(texts, starts, ends - starts, unit="BYTE")

    def pack(self, ids, pair_ids=None, max_length=None, length=None):
        """Adds the special tokens, cuts to `max_length` as `truncation` says, and pads.

        Args:
            ids: ragged int32 tensor (B, None).
            pair_ids: The second texts' ids, or `None`.
            max_length: Longest sequence in tokens, specials included; `None` cuts nothing.
            length: Length to pad to, an int or a scalar tensor; `None` pads to the longest.

        Returns:
            A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, S).
        """
        check_max_length(max_length, pair=pair_ids is not None)
        second = None if pair_ids is None else row_lengths(pair_ids)
        first, second = sequence_lengths(row_lengths(ids), second, max_length, self.truncation)
        end = first + 1  # where the first [SEP] stands
        total = end + 1 if second is None else end + second + 2
        if length is None:
            length = tf.maximum(tf.reduce_max(total), 2)  # an empty batch has no longest row
        position = tf.expand_dims(tf.range(length), 0)  # (1, S)
        end, total = tf.expand_dims(end, 1), tf.expand_dims(total, 1)
        input_ids = at_columns(ids, position - 1)
        token_type_ids = tf.zeros_like(input_ids)
        if pair_ids is not None:
            in_pair = position > end
            input_ids = tf.where(in_pair, at_columns(pair_ids, position - end - 1), input_ids)
            token_type_ids = tf.where(in_pair & (position < total), 1, 0)
        input_ids = tf.where(position == 0, self.cls_token_id, input_ids)
        is_separator = (position == end) | (position == total - 1)
        input_ids = tf.where(is_separator, self.sep_token_id, input_ids)
        attention_mask = tf.cast(position < total, tf.int32)
        return {
            "input_ids": tf.where(position < total, input_ids, self.pad_token_id),
            "token_type_ids": token_type_ids,
            "attention_mask": attention_mask,
        }

    def windows(
        self,
        ids,
        question_ids=None,
        *,
        max_length,
        stride=0,
        max_windows=None,
        max_question_length=None,
    ):
        """Cuts each text into windows that overlap, adds the special tokens and pads.

        The windows are those of `BertTokenizer` with `return_overflowing_tokens`: [CLS] text [SEP],
        or [CLS] question [SEP] text [SEP] with token types 0 and 1, where only the text is cut.
        A text without tokens has one window, of no token of its own.

        A question stays whole where it fits beside the whole text. Elsewhere it is cut at its end
        to `max_length - 3 - 1 - stride` tokens, so that each window has at least one token of the
        text that the window before it does not have; `BertTokenizer` raises an error there.

        Args:
            ids: ragged int32 tensor (B, None), such as `tokenize` gives.
            question_ids: The questions' ids, as `ids`, or `None`.
            max_length: Longest window in tokens, specials included.
            stride: How many tokens of its text a window shares with the one before it.
            max_windows: Most windows of a text, the first ones; `None` for no limit.
            max_question_length: Most tokens of a question, the first ones; `None` for no limit.

        Returns:
            A dict of int32 tensors (B, W, S), where W is the most windows of a text of the batch
            and S the longest window: `input_ids`, `token_type_ids`, `attention_mask`, and
            `position`, the index in its row of `ids` of the token at each place, -1 where there is
            none of the text. Windows that a text does not need are padding alone.

        Raises:
            ValueError: Windows would not go on in the text, or `max_windows` is below 1.

        Example:
            >>> layer.windows(layer.tokenize(texts), max_length=384, stride=128)["position"]
        """
        check_windows(max_length, stride, max_windows, paired=question_ids is not None)
        special_ids = (self.cls_token_id, self.sep_token_id, self.pad_token_id)
        most = max_windows, max_question_length
        return cut_windows(ids, question_ids, max_length, stride, *most, *special_ids)

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
            "truncation": self.truncation,
            "split_special_tokens": self.split_special_tokens,
            "never_split": list(self.never_split),
            "additional_special_tokens": list(self.additional_special_tokens),
            "max_input_chars_per_word": self.max_input_chars_per_word,
        }

    def _added_token(self):
        """Gives the pattern of every token that is looked for; the longest comes first."""
        return "|".join(map(re.escape, sorted(self._is_text, key=len, reverse=True)))

    def _mark_added_tokens(self, texts):
        """Writes the mark of each token that is kept whole in its place."""
        texts = tf.strings.regex_replace(texts, _ANY_MARK, _DELETED)
        texts = tf.strings.regex_replace(texts, self._added_token(), rf"{_OPEN}\0{_CLOSE}")
        for token, is_text in self._is_text.items():
            found = _OPEN + re.escape(token) + _CLOSE
            instead = token.replace("\\", r"\\") if is_text else f" {self._marks[token]} "
            texts = tf.strings.regex_replace(texts, found, instead)
        return texts

    def _ids(self, pieces):
        """Gives the ids of ragged pieces (B, None), with one [UNK] for each word that is too long.

        The op counts a word's bytes, the reference its characters, and marks have ids of their own.

        Returns:
            The ids, ragged, and the pieces that each of them begins with, (T + 1,), where T is the
            number of ids; the last one is the number of pieces.
        """
        values = tf.concat([pieces.flat_values, [0]], 0)  # so that there is a word; dropped below
        characters = tf.gather(self._characters, values)
        starts_word = tf.cast(characters > 0, tf.int32)
        word = tf.cumsum(starts_word) - 1
        is_long = tf.math.segment_sum(tf.abs(characters), word) > self.max_input_chars_per_word
        is_long = tf.gather(is_long, word)
        if self._marks:
            of_marks = [self._vocab.index(token) for token in self._marks]
            mark = values - len(self._vocab)
            values = tf.where(mark < 0, values, tf.gather(of_marks, tf.maximum(mark, 0)))
        values = tf.where(is_long, self.unk_token_id, values)
        stays = tf.where(is_long, starts_word, 1)
        before = tf.cumsum(stays, exclusive=True)
        row_splits = tf.gather(before, pieces.row_splits)
        kept = tf.squeeze(tf.where(stays > 0), 1)
        values = tf.gather(values, kept)[:-1]
        return tf.RaggedTensor.from_row_splits(values, row_splits, validate=False), kept


def sequence_lengths(first, second, max_length, truncation=True):
    """Gives how many ids of each text stay when a sequence is cut to `max_length`.

    Args:
        first: int tensor (B,), ids of the first text.
        second: int tensor (B,), ids of the second text, or `None`.
        max_length: Longest sequence in tokens, specials included, or `None`.
        truncation: What is cut; see `InGraphTokenizer`. Where `only_first` or `only_second` leave
            no room for the other text, that one is cut too.

    Returns:
        The two lengths after the cut; the second is `None` where it was.

    Raises:
        ValueError: The second text is to be cut where there is none.
    """
    strategy = truncation_strategy(truncation, pair=second is not None)
    if max_length is None or strategy is None:
        return first, second
    if second is None:
        return tf.minimum(first, max_length - 2), None
    budget = max_length - 3
    if strategy == "only_first":
        second = tf.minimum(second, budget)
        return tf.minimum(first, budget - second), second
    if strategy == "only_second":
        first = tf.minimum(first, budget)
        return first, tf.minimum(second, budget - first)
    shorter = tf.minimum(tf.minimum(first, second), budget // 2)
    longer = tf.minimum(tf.maximum(first, second), budget - shorter)
    first_is_shorter = first <= second
    return (
        tf.where(first_is_shorter, shorter, longer),
        tf.where(first_is_shorter, longer, shorter),
    )


def _change_where(texts, pattern: str, change: Callable):
    """Changes the texts that hold a pattern, and leaves the others as they are."""
    # \C is any byte, so that a text that is no UTF-8 is looked through as well.
    rows = tf.where(tf.strings.regex_full_match(texts, rf"\C*(?:{pattern})\C*"))  # (R, 1)
    return tf.tensor_scatter_nd_update(texts, rows, change(tf.gather_nd(texts, rows)))


def _characters(vocab: tuple[str, ...], added: int) -> np.ndarray:
    """Gives each piece's number of characters, int32, below 0 where it goes on with a word."""
    lengths = [2 - len(token) if token[:2] == "##" else len(token) for token in vocab]
    lengths = [length or len(token) for length, token in zip(lengths, vocab, strict=True)]
    return np.array(lengths + [1] * added, "int32")


@functools.cache
def _normalizer_map(
    lowercase: bool, strip_accents: bool | None, handle_chinese_chars: bool, marks: bool
) -> NormalizerMap:
    return build_normalizer_map(
        lowercase=lowercase,
        strip_accents=strip_accents,
        handle_chinese_chars=handle_chinese_chars,
        split_by_op=split_by_op(),
        marks=marks,
    )


@functools.cache
def split_by_op() -> frozenset[str]:
    """Asks the word-piece op which characters, white space apart, are words of their own."""
    points = (*range(1, 0xD800), *range(0xE000, 0x40000))
    text = "a".join(["", *map(chr, points), ""])
    with tf.init_scope():
        op = tf_text.FastWordpieceTokenizer(["[UNK]", "a"], token_out_type=tf.int32)
        _, starts, ends = (part.flat_values.numpy() for part in op.tokenize_with_offsets([text]))
    text = text.encode()
    pieces = {text[start:end] for start, end in zip(starts, ends, strict=True) if end - start <= 4}
    return frozenset(piece for piece in map(bytes.decode, pieces) if len(piece) == 1) - {"a"}


@functools.lru_cache(maxsize=8)
def _wordpiece(
    vocab: tuple[str, ...], rules: NormalizerMap, added: int, max_input_chars_per_word: int
) -> tf_text.FastWordpieceTokenizer:
    """Makes the op for texts that the map and the marks have gone over.

    A token with a private-use character is in no text, because the reference deletes those, and
    they mean something else here.
    """
    tokens = [
        f"{_UNREACHABLE}{index}" if _PRIVATE.search(token) else token.translate(rules.stand_ins)
        for index, token in enumerate(vocab)
    ]
    tokens += map(chr, _OF_ADDED_TOKENS[:added])
    with tf.init_scope():
        return tf_text.FastWordpieceTokenizer(
            tokens,
            max_bytes_per_word=4 * max_input_chars_per_word,  # a character takes 4 at most
            token_out_type=tf.int32,
        )
