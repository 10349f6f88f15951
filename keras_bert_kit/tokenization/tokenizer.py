"""The tokenizer: text or pair of texts to ids, in Python or in a TensorFlow graph."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from keras_bert_kit.tokenization.lengths import check_max_length
from keras_bert_kit.tokenization.vocabulary import (
    SPECIAL_TOKENS,
    check_vocabulary,
    read_tokenizer_files,
    read_vocabulary,
    write_vocabulary,
)


class BertTokenizer:
    """BERT's WordPiece tokenizer.

    A special token such as `[MASK]` that is written in a text is read as text.

    Args:
        vocab: Path of a `vocab.txt`, or the tokens in the order of their ids.
        do_lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; `None` does as `do_lower_case` says.
        tokenize_chinese_chars: Whether each CJK character is a word of its own.
        model_max_length: The longest sequence that the model takes, in tokens, if known.

    Raises:
        FileNotFoundError: The vocabulary file is missing.
        ValueError: A token stands twice, or a special token is missing.

    Example:
        >>> tokenizer = BertTokenizer.from_pretrained("path/to/model")
        >>> tokenizer(["A short text."], max_length=16)["input_ids"]

    Reference:
        Devlin et al. 2018, section 3 (https://arxiv.org/abs/1810.04805); Wu et al. 2016,
        section 4.1, WordPiece (https://arxiv.org/abs/1609.08144).
    """

    def __init__(
        self,
        vocab: str | Path | Sequence[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
        model_max_length: int | None = None,
    ):
        tokens = read_vocabulary(vocab) if isinstance(vocab, (str, Path)) else list(vocab)
        check_vocabulary(tokens)
        self.tokens = tokens
        self.do_lower_case = bool(do_lower_case)
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = bool(tokenize_chinese_chars)
        self.model_max_length = model_max_length
        self.vocab = {token: index for index, token in enumerate(tokens)}
        self._tokenizer = self._make_tokenizer()
        self._lock = threading.Lock()  # the length limit is a state of the library's object

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> BertTokenizer:
        """Reads the tokenizer of a model folder in Hugging Face's layout.

        Args:
            folder: The folder.

        Raises:
            FileNotFoundError: The folder holds neither `tokenizer.json` nor `vocab.txt`.
            ValueError: A file is damaged, or describes another kind of tokenizer.
        """
        try:
            return cls(**read_tokenizer_files(folder))
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
        self._tokenizer.save(str(folder / "tokenizer.json"))
        settings = {name: value for name, value in self.get_config().items() if name != "vocab"}
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        settings.update(zip(names, SPECIAL_TOKENS, strict=True))
        settings["tokenizer_class"] = "BertTokenizer"
        (folder / "tokenizer_config.json").write_text(
            json.dumps(settings, indent=2) + "\n", encoding="utf-8"
        )

    def __call__(
        self,
        texts: str | Sequence[str],
        text_pairs: str | Sequence[str] | None = None,
        max_length: int | None = None,
        padding: bool = True,
    ) -> dict[str, np.ndarray]:
        """Turns texts, or pairs of texts, into padded arrays.

        Args:
            texts: A text, or B texts.
            text_pairs: The second text of each, as many as `texts`.
            max_length: Longest sequence in tokens, specials included; the longer text of a pair
                is cut first. `None` cuts nothing.
            padding: Whether to pad to the longest of the B sequences; `False` wants them equal.

        Returns:
            `input_ids`, `token_type_ids` and `attention_mask`, int32 arrays (B, S).

        Raises:
            ValueError: The two lists differ in length, or `max_length` leaves no room.
        """
        encodings = self._encode(texts, text_pairs, max_length)
        length = max((len(encoding.ids) for encoding in encodings), default=0)
        if not padding and any(len(encoding.ids) != length for encoding in encodings):
            raise ValueError("Sequences of different lengths must be padded. Use padding=True.")
        pad = self.vocab["[PAD]"]

        def array(field: str, filler: int) -> np.ndarray:
            rows = (getattr(encoding, field) for encoding in encodings)
            padded = [row + [filler] * (length - len(row)) for row in rows]
            return np.array(padded, "int32").reshape(len(encodings), length)

        return {
            "input_ids": array("ids", pad),
            "token_type_ids": array("type_ids", 0),
            "attention_mask": array("attention_mask", 0),
        }

    def tokenize(self, text: str) -> list[str]:
        """Gives the tokens of a text, without special tokens.

        Args:
            text: The text.
        """
        with self._lock:
            self._tokenizer.no_truncation()
            return self._tokenizer.encode(text, add_special_tokens=False).tokens

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Gives the text that ids stand for, as far as the tokenizer kept it.

        Args:
            ids: Token ids.
            skip_special_tokens: Whether to leave out [CLS], [SEP] and their like.
        """
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens)

    def in_graph(self, max_length: int | None = None):
        """Gives the Keras layer that does the same mapping as TensorFlow ops.

        Args:
            max_length: Longest sequence in tokens, specials included; `None` cuts nothing.

        Returns:
            An `InGraphTokenizer`.
        """
        from keras_bert_kit.tokenization.in_graph import InGraphTokenizer  # loads TensorFlow

        return InGraphTokenizer(
            vocab=self.tokens,
            do_lower_case=self.do_lower_case,
            strip_accents=self.strip_accents,
            tokenize_chinese_chars=self.tokenize_chinese_chars,
            max_length=max_length,
        )

    def get_config(self) -> dict[str, Any]:
        """Gives the constructor's arguments."""
        return {
            "vocab": list(self.tokens),
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "model_max_length": self.model_max_length,
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
        tokenizer = Tokenizer(models.WordPiece(self.vocab, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self.tokenize_chinese_chars,
            strip_accents=self.strip_accents,
            lowercase=self.do_lower_case,
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.BertProcessing(
            ("[SEP]", self.vocab["[SEP]"]), ("[CLS]", self.vocab["[CLS]"])
        )
        tokenizer.decoder = decoders.WordPiece(prefix="##")
        tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
        tokenizer.encode_special_tokens = True
        return tokenizer

    def _encode(self, texts, text_pairs, max_length):
        texts = [texts] if isinstance(texts, str) else list(texts)
        if text_pairs is not None:
            text_pairs = [text_pairs] if isinstance(text_pairs, str) else list(text_pairs)
            if len(text_pairs) != len(texts):
                raise ValueError(
                    "texts and text_pairs must have the same length. "
                    f"Received: {len(texts)} and {len(text_pairs)}"
                )
        check_max_length(max_length, pair=text_pairs is not None)
        inputs = texts if text_pairs is None else list(zip(texts, text_pairs, strict=True))
        with self._lock:
            if max_length is None:
                self._tokenizer.no_truncation()
            else:
                self._tokenizer.enable_truncation(max_length, strategy="longest_first")
            return self._tokenizer.encode_batch(inputs)
