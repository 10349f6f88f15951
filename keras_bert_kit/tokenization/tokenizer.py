"""The tokenizer: text or pair of texts to ids, in Python or in a TensorFlow graph."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import (
    AddedToken,
    Encoding,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)

from keras_bert_kit.handles import local_folder
from keras_bert_kit.tokenization.lengths import check_max_length, truncation_strategy
from keras_bert_kit.tokenization.vocabulary import (
    MAX_INPUT_CHARS_PER_WORD,
    SPECIAL_TOKENS,
    bert_normalizer,
    check_tokens,
    read_tokenizer_files,
    read_vocabulary,
    write_vocabulary,
)

_TENSORS = ("np", "tf", None)
_PADDINGS = (True, False, "longest", "max_length")


class BertTokenizer:
    """BERT's WordPiece tokenizer.

    The tokens of BERT that have a meaning of their own are `pad_token`, `unk_token`, `cls_token`,
    `sep_token` and `mask_token`; `pad_token_id` and so on are their ids.

    Args:
        vocab: Path of a `vocab.txt`, or the tokens in the order of their ids.
        do_lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; `None` does as `do_lower_case` says.
        tokenize_chinese_chars: Whether each CJK character is a word of its own.
        model_max_length: The longest sequence that the model takes, in tokens, if known.
        split_special_tokens: Whether a special token such as `[MASK]` that is written in a text
            is read as text. `False` reads it as the special token.
        never_split: Words of the vocabulary that are tokens wherever they are written, and are
            never split or lower-cased.
        additional_special_tokens: Tokens of the vocabulary that are special beside BERT's five.
        max_input_chars_per_word: A word of more characters is a single `[UNK]`.

    Raises:
        FileNotFoundError: The vocabulary file is missing.
        TypeError: A string was given in the place of several.
        ValueError: A token stands twice, a special token is missing, or a word of `never_split` is
            not in the vocabulary.

    Example:
        >>> tokenizer = BertTokenizer.from_pretrained("path/to/model")
        >>> tokenizer(["A short text."], max_length=16)["input_ids"]

    Reference:
        Devlin et al. 2018, section 3 (https://arxiv.org/abs/1810.04805); Wu et al. 2016,
        section 4.1, WordPiece (https://arxiv.org/abs/1609.08144).
    """

    pad_token, unk_token, cls_token, sep_token, mask_token = SPECIAL_TOKENS

    def __init__(
        self,
        vocab: str | Path | Sequence[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
        model_max_length: int | None = None,
        split_special_tokens: bool = False,
        never_split: Sequence[str] = (),
        additional_special_tokens: Sequence[str] = (),
        max_input_chars_per_word: int = MAX_INPUT_CHARS_PER_WORD,
    ):
        tokens = read_vocabulary(vocab) if isinstance(vocab, (str, Path)) else list(vocab)
        check_tokens(tokens, never_split, additional_special_tokens, max_input_chars_per_word)
        self.tokens = tokens
        self.do_lower_case = bool(do_lower_case)
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = bool(tokenize_chinese_chars)
        self.model_max_length = model_max_length
        self.split_special_tokens = bool(split_special_tokens)
        self.never_split = tuple(never_split)
        self.additional_special_tokens = tuple(additional_special_tokens)
        self.max_input_chars_per_word = max_input_chars_per_word
        self.vocab = {token: index for index, token in enumerate(tokens)}
        self.all_special_tokens = [*SPECIAL_TOKENS, *additional_special_tokens]
        self.all_special_ids = [self.vocab[token] for token in self.all_special_tokens]
        self.pad_token_id, self.unk_token_id, self.cls_token_id = self.all_special_ids[:3]
        self.sep_token_id, self.mask_token_id = self.all_special_ids[3:5]
        self._tokenizer = self._make_tokenizer()
        self._lock = threading.Lock()  # the length limit is a state of the library's object

    @classmethod
    def from_pretrained(cls, source: str | Path, **changes: Any) -> BertTokenizer:
        """Reads the tokenizer of a model in Hugging Face's layout, or of Google's TF1 models.

        A folder with a `vocab.txt` alone does not say whether texts are lower-cased. They are,
        unless the vocabulary has a token with a capital.

        Args:
            source: A local folder, `hf://owner/name` or `package://distribution`.
            **changes: Arguments of `BertTokenizer` that win over what the files say.

        Raises:
            FileNotFoundError: There is no such folder, or it holds neither `tokenizer.json` nor
                `vocab.txt`.
            TypeError: `BertTokenizer` has no such argument.
            ValueError: A file is damaged, or describes another kind of tokenizer.

        Example:
            >>> tokenizer = BertTokenizer.from_pretrained("path/to/model", do_lower_case=False)
        """
        folder = local_folder(source)
        try:
            return cls(**{**read_tokenizer_files(folder), **changes})
        except ValueError as error:
            raise ValueError(f"The tokenizer in {folder} cannot be used: {error}") from error

    def save_pretrained(self, folder: str | Path):
        """Writes `vocab.txt`, `tokenizer.json` and `tokenizer_config.json`.

        Args:
            folder: The folder; made if it is not there.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_vocabulary(folder / "vocab.txt", self.tokens)
        with self._lock:
            self._tokenizer.no_truncation()
            self._tokenizer.save(str(folder / "tokenizer.json"))
        settings = {name: value for name, value in self.get_config().items() if name != "vocab"}
        for name, default in _RARELY_CHANGED.items():
            if settings[name] == default:
                del settings[name]
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        settings.update(zip(names, SPECIAL_TOKENS, strict=True))
        settings["tokenizer_class"] = "BertTokenizer"
        (folder / "tokenizer_config.json").write_text(
            json.dumps(settings, indent=2) + "\n", encoding="utf-8"
        )

    def __call__(
        self,
        texts: str | Sequence[str] | Sequence[Sequence[str]],
        text_pairs: str | Sequence[str] | Sequence[Sequence[str]] | None = None,
        max_length: int | None = None,
        padding: bool | str = True,
        truncation: bool | str = True,
        stride: int = 0,
        add_special_tokens: bool = True,
        return_tensors: str | None = "np",
        return_offsets_mapping: bool = False,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_word_ids: bool = False,
        is_split_into_words: bool = False,
    ) -> dict[str, Any]:
        """Turns texts, or pairs of texts, into padded arrays.

        Args:
            texts: A text, or B texts.
            text_pairs: The second text of each, as many as `texts`.
            max_length: Longest sequence in tokens, specials included. `None` cuts nothing.
            padding: `True` or "longest" pads to the longest sequence, "max_length" to
                `max_length`; `False` does not pad, and wants sequences of one length unless
                lists are returned.
            truncation: What is cut where `max_length` is exceeded: `True` or "longest_first" the
                longer text of a pair first, "only_first", "only_second", or `False` for nothing.
            stride: How many tokens of its text each window shares with the one before it.
            add_special_tokens: Whether to put [CLS] and [SEP] around the texts.
            return_tensors: "np" for NumPy arrays, "tf" for tensors, `None` for lists.
            return_offsets_mapping: Whether to give `offset_mapping`, int32 (B, S, 2): where each
                token starts and ends in its text, in characters; zeros for special tokens.
            return_overflowing_tokens: Whether to give what was cut off as further rows, and
                `overflow_to_sample_mapping`, int32 (rows,), the text that each row is from.
            return_special_tokens_mask: Whether to give `special_tokens_mask`, int32 (B, S): 1 for
                [CLS], [SEP] and padding that were added, 0 elsewhere.
            return_word_ids: Whether to give `word_ids`, int32 (B, S): the number of the word of
                each token in its text, -1 for special tokens.
            is_split_into_words: Whether each text is a list of words. Offsets are then within the
                word.

        Returns:
            A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 arrays (B, S), and
            of what else was asked for.

        Raises:
            TypeError: A text is not a string, or not a list of strings.
            ValueError: The two lists differ in length, `max_length` leaves no room, a text that
                may not be cut leaves none, or an argument has a value that it cannot have.
        """
        _check_one_of("padding", padding, _PADDINGS)
        _check_one_of("return_tensors", return_tensors, _TENSORS)
        if padding == "max_length" and max_length is None:
            raise ValueError("padding='max_length' needs a length. Received: max_length=None")
        texts = _batch("texts", texts, is_split_into_words)
        paired = text_pairs is not None
        if paired:
            text_pairs = _batch("text_pairs", text_pairs, is_split_into_words)
            if len(text_pairs) != len(texts):
                raise ValueError(
                    "texts and text_pairs must have the same length. "
                    f"Received: {len(texts)} and {len(text_pairs)}"
                )
        strategy = truncation_strategy(truncation, paired)
        check_max_length(max_length, paired, add_special_tokens)
        limit = None if strategy is None else max_length
        stride = stride if return_overflowing_tokens and limit is not None else 0
        special_tokens = (3 if paired else 2) if add_special_tokens else 0
        if stride:
            self._check_stride(stride, limit - special_tokens, strategy, texts, text_pairs)
        encodings = self._encode(
            list(zip(texts, text_pairs, strict=True)) if paired else texts,
            limit,
            strategy,
            stride,
            fast=not (return_offsets_mapping or return_word_ids),
            add_special_tokens=add_special_tokens,
            is_pretokenized=is_split_into_words,
        )
        windows = [[row] for row in encodings]
        if return_overflowing_tokens:
            windows = [[row, *row.overflowing] for row in encodings]
        rows = list(itertools.chain.from_iterable(windows))
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        length = max(lengths.max(initial=0), max_length if padding == "max_length" else 0)
        if return_tensors is not None and padding is False and np.any(lengths != length):
            raise ValueError(
                "Sequences of different lengths must be padded. "
                "Use padding=True, or return_tensors=None for lists."
            )
        mask = np.arange(length) < lengths[:, None]  # (B, S)
        arrays = {
            "input_ids": _padded([row.ids for row in rows], mask, self.pad_token_id),
            "token_type_ids": _padded([row.type_ids for row in rows], mask)
            if paired
            else np.zeros(mask.shape, "int32"),
            "attention_mask": mask.astype("int32"),
        }
        if return_offsets_mapping:
            arrays["offset_mapping"] = _padded([row.offsets for row in rows], mask, width=(2,))
        if return_special_tokens_mask:
            arrays["special_tokens_mask"] = _padded([r.special_tokens_mask for r in rows], mask, 1)
        if return_word_ids:
            words = [[-1 if word is None else word for word in row.word_ids] for row in rows]
            arrays["word_ids"] = _padded(words, mask, -1)
        if return_tensors is None and padding is False:
            arrays = {
                name: [row[:count].tolist() for row, count in zip(array, lengths, strict=True)]
                for name, array in arrays.items()
            }
        if return_overflowing_tokens:
            counts = [len(rows) for rows in windows]
            texts_of_rows = np.repeat(np.arange(len(windows), dtype="int32"), counts)
            arrays["overflow_to_sample_mapping"] = texts_of_rows
        return _as(return_tensors, arrays)

    def encode(
        self,
        text: str,
        text_pair: str | None = None,
        add_special_tokens: bool = True,
        max_length: int | None = None,
    ) -> list[int]:
        """Gives the ids of one text or pair.

        Args:
            text: The text.
            text_pair: The second text, or `None`.
            add_special_tokens: Whether to put [CLS] and [SEP] around the texts.
            max_length: Longest sequence in tokens, specials included. `None` cuts nothing.
        """
        rows = self(
            [text],
            None if text_pair is None else [text_pair],
            max_length=max_length,
            add_special_tokens=add_special_tokens,
            return_tensors=None,
        )
        return rows["input_ids"][0]

    def tokenize(self, text: str) -> list[str]:
        """Gives the tokens of a text, without special tokens around it.

        Args:
            text: The text.
        """
        return self.convert_ids_to_tokens(self.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Gives the text that ids stand for, as far as the tokenizer kept it.

        Args:
            ids: Token ids, as a list, an array or a tensor.
            skip_special_tokens: Whether to leave out [CLS], [SEP] and their like.
        """
        return self._tokenizer.decode(
            np.asarray(ids, int).reshape(-1).tolist(), skip_special_tokens
        )

    def batch_decode(
        self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = False
    ) -> list[str]:
        """Gives the text of each row of ids.

        Args:
            sequences: Rows of token ids, as lists, arrays or a tensor.
            skip_special_tokens: Whether to leave out [CLS], [SEP] and their like.
        """
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int]:
        """Gives the id of a token, or of each; that of [UNK] for what is no token.

        Args:
            tokens: A token, or several.
        """
        if isinstance(tokens, str):
            return self.vocab.get(tokens, self.unk_token_id)
        return [self.vocab.get(token, self.unk_token_id) for token in tokens]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> str | list[str]:
        """Gives the token of an id, or of each.

        Args:
            ids: An id, or several, as a list, an array or a tensor.

        Raises:
            ValueError: There is no token of that id.
        """
        ids = np.asarray(ids, int)
        wrong = ids[(ids < 0) | (ids >= len(self.tokens))]
        if wrong.size:
            raise ValueError(
                f"ids must be from 0 to {len(self.tokens) - 1}. Received: {wrong.reshape(-1)[0]}"
            )
        return self.tokens[ids] if ids.ndim == 0 else [self.tokens[i] for i in ids]

    def get_vocab(self) -> dict[str, int]:
        """Gives the id of each token, in a dict of its own."""
        return dict(self.vocab)

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def as_text(self) -> BertTokenizer:
        """Gives a copy that reads special tokens in a text as text.

        Offsets in a graph need it, and it lets no text feign the separator of a question.
        """
        return type(self)(**{**self.get_config(), "split_special_tokens": True})

    def in_graph(self, max_length: int | None = None, truncation: bool | str = True):
        """Gives the Keras layer that does the same mapping as TensorFlow ops.

        Args:
            max_length: Longest sequence in tokens, specials included; `None` cuts nothing.
            truncation: What is cut; see `__call__`.

        Returns:
            An `InGraphTokenizer`.
        """
        from keras_bert_kit.tokenization.in_graph import InGraphTokenizer  # loads TensorFlow

        config = self.get_config()
        del config["model_max_length"]
        return InGraphTokenizer(**config, max_length=max_length, truncation=truncation)

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return {
            "vocab": list(self.tokens),
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "model_max_length": self.model_max_length,
            "split_special_tokens": self.split_special_tokens,
            "never_split": list(self.never_split),
            "additional_special_tokens": list(self.additional_special_tokens),
            "max_input_chars_per_word": self.max_input_chars_per_word,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BertTokenizer:
        """Makes a tokenizer from what `get_config` gave.

        Args:
            config: The constructor's arguments.
        """
        return cls(**config)

    def __reduce__(self):
        return self.from_config, (self.get_config(),)

    def _make_tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer(
            models.WordPiece(
                self.vocab,
                unk_token=self.unk_token,
                max_input_chars_per_word=self.max_input_chars_per_word,
            )
        )
        tokenizer.normalizer = bert_normalizer(
            self.do_lower_case, self.strip_accents, self.tokenize_chinese_chars
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.BertProcessing(
            (self.sep_token, self.sep_token_id), (self.cls_token, self.cls_token_id)
        )
        tokenizer.decoder = decoders.WordPiece(prefix="##")
        tokenizer.add_special_tokens(self.all_special_tokens)
        tokenizer.add_tokens([AddedToken(word, normalized=False) for word in self.never_split])
        tokenizer.encode_special_tokens = self.split_special_tokens
        return tokenizer

    def _encode(self, inputs, limit, strategy, stride, fast, **options) -> list[Encoding]:
        with self._lock:
            if limit is None:
                self._tokenizer.no_truncation()
            else:
                self._tokenizer.enable_truncation(limit, stride=stride, strategy=strategy)
            encode = self._tokenizer.encode_batch_fast if fast else self._tokenizer.encode_batch
            try:
                return encode(inputs, **options)
            except Exception as error:  # the library has no class of its own for it
                if "Truncation error" not in str(error):
                    raise
                raise ValueError(
                    "The text that is not cut must leave room for the other. Received: one that "
                    f"does not, with max_length={limit} and truncation={strategy!r}. Raise "
                    "max_length, or use truncation='longest_first'."
                ) from error

    def _check_stride(self, stride, budget, strategy, texts, text_pairs):
        """Checks that each window of a text that is cut has more tokens than the stride."""
        room = budget
        if text_pairs is not None and strategy == "longest_first":
            room = budget // 2
        elif text_pairs is not None:
            kept, cut = (text_pairs, texts) if strategy == "only_first" else (texts, text_pairs)
            rooms = [budget - count for count in self._counts(kept)]
            tight = [i for i, room in enumerate(rooms) if room <= stride]
            counts = self._counts([cut[i] for i in tight])
            rooms = [rooms[i] for i, n in zip(tight, counts, strict=True) if n > rooms[i]]
            room = min(rooms, default=budget)
        if not 0 < stride < room:
            raise ValueError(
                f"stride must be from 0 to {max(room - 1, 0)}, so that each window goes on. "
                f"Received: stride={stride}. Raise max_length or lower stride."
            )

    def _counts(self, texts) -> list[int]:
        is_pretokenized = any(not isinstance(text, str) for text in texts)
        rows = self._encode(
            texts, None, None, 0, True, add_special_tokens=False, is_pretokenized=is_pretokenized
        )
        return [len(row) for row in rows]


# What a saved folder says only where it is not so.
_RARELY_CHANGED = {
    "split_special_tokens": False,
    "never_split": [],
    "additional_special_tokens": [],
    "max_input_chars_per_word": MAX_INPUT_CHARS_PER_WORD,
}


def _check_one_of(name: str, value: Any, allowed: tuple):
    if not any(value is choice or (value == choice and choice is not None) for choice in allowed):
        raise ValueError(
            f"{name} must be {' or '.join(map(repr, allowed))}. Received: {name}={value!r}"
        )


def _batch(name: str, texts, is_split_into_words: bool) -> list:
    """Gives the texts as a list, however many they are.

    Raises:
        TypeError: A text is not what it must be.
    """
    what = "lists of words, as is_split_into_words=True says," if is_split_into_words else "strings"
    if isinstance(texts, str):
        texts = [texts]
    if isinstance(texts, (bytes, Mapping)) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"{name} must be {what} in a list. Received: {type(texts).__name__}. "
            "Pass the texts alone, such as [row['text'] for row in rows]."
        )
    texts = list(texts)
    if is_split_into_words and texts and all(isinstance(text, str) for text in texts):
        texts = [texts]
    for index, text in enumerate(texts):
        if is_split_into_words:
            right = isinstance(text, (list, tuple)) and all(isinstance(w, str) for w in text)
        else:
            right = isinstance(text, str)
        if not right:
            raise TypeError(
                f"{name} must be {what} in a list. Received: {type(text).__name__} at index "
                f"{index}. Pass the texts alone, such as [row['text'] for row in rows]."
            )
    return texts


def _padded(rows: list[list], mask: np.ndarray, filler: int = 0, width: tuple = ()) -> np.ndarray:
    """Writes rows of values where the mask (B, S) is true, one after the other."""
    array = np.full((*mask.shape, *width), filler, "int32")
    array[mask] = np.array(list(itertools.chain.from_iterable(rows)), "int32").reshape(-1, *width)
    return array


def _as(kind: str | None, arrays: dict[str, Any]) -> dict[str, Any]:
    if kind == "tf":
        import tensorflow as tf  # only wanted here

        return {name: tf.constant(array) for name, array in arrays.items()}
    if kind is None:
        return {
            name: array.tolist() if isinstance(array, np.ndarray) else array
            for name, array in arrays.items()
        }
    return arrays
