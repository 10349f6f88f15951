"""Pairs of texts, each text a sequence of its own: what a sentence encoder is trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.features import EncodedTexts, encode_texts
from keras_bert_kit.data.readers import Examples
from keras_bert_kit.tokenization.tokenizer import BertTokenizer


@dataclasses.dataclass(frozen=True)
class EncodedTextPairs:
    """Pairs of texts as ids; see `encode_text_pairs`.

    Attributes:
        first: The first texts.
        second: The second texts.
        scores: float32 array (pairs,), how alike the two are, or `None`.
    """

    first: EncodedTexts
    second: EncodedTexts
    scores: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of the longer text of each pair."""
        return np.maximum(self.first.lengths, self.second.lengths)

    @property
    def max_length(self) -> int:
        """Longest sequence in tokens."""
        return self.first.max_length

    @property
    def empty(self) -> int:
        """How many texts hold no token."""
        return self.first.empty + self.second.empty

    @property
    def truncated(self) -> int:
        """How many texts were cut."""
        return self.first.truncated + self.second.truncated

    def __len__(self) -> int:
        return len(self.first)

    def pack(self, rows: tf.Tensor, length: tf.Tensor):
        """Gives a batch; see `Features`.

        Args:
            rows: int32 tensor (B,), numbers of the pairs.
            length: int32 scalar, length to pad to (S), at least that of each text.

        Returns:
            A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, 2, S); or, where
            there are scores, a pair of that dict and the scores, float32 (B,).
        """
        first, second = (texts.pack(rows, length) for texts in (self.first, self.second))
        inputs = {name: tf.stack([first[name], second[name]], axis=1) for name in first}
        return inputs if self.scores is None else (inputs, tf.gather(self.scores, rows))


def encode_text_pairs(
    examples: Examples,
    tokenizer: BertTokenizer,
    max_length: int = 128,
    scores: Sequence[float] | np.ndarray | None = None,
) -> EncodedTextPairs:
    """Tokenizes pairs of texts, each text by itself.

    Args:
        examples: The texts, with `text_pairs`.
        tokenizer: The model's tokenizer.
        max_length: Longest sequence in tokens, specials included.
        scores: How alike the texts of each pair are, (pairs,) or (pairs, 1), for
            `CosineSimilarityLoss`; `None` leaves the targets to `bucketed_batches`.

    Raises:
        ValueError: There are no second texts, `max_length` leaves no room, or there is not one
            score a pair.

    Example:
        >>> pairs = read_examples("train.tsv")
        >>> numbers = encode_numbers(pairs.labels, pairs.path) / 5
        >>> texts = encode_text_pairs(pairs, model.tokenizer, max_length=64, scores=numbers)
        >>> batches = bucketed_batches(texts, None, batch_size=16, seed=1)
    """
    if examples.text_pairs is None:
        raise ValueError(
            f"{examples.path}: pairs of texts need a second text each, in the column text_pair. "
            "Received: text_pairs=None"
        )
    if scores is not None:
        scores = np.asarray(scores, "float32").reshape(-1)
        if len(scores) != len(examples):
            raise ValueError(
                "There must be one score for each pair. "
                f"Received: {len(scores)} scores for {len(examples)} pairs"
            )
    first, second = (
        encode_texts(Examples(examples.path, texts), tokenizer, max_length)
        for texts in (examples.texts, examples.text_pairs)
    )
    return EncodedTextPairs(first, second, scores)
