"""Texts to ids, kept in memory: what the batches are cut from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.readers import Examples, label_set
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer, sequence_lengths
from keras_bert_kit.tokenization.lengths import check_max_length
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_CHUNK = 4096  # texts tokenized in one call, so that the strings in flight stay few


class Features(Protocol):
    """What a task makes of a file, kept in memory: the rows that batches are cut from.

    A class may have `buckets` as well, the increasing lengths that batches are padded to, where
    those of `length_buckets` do not fit.

    Attributes:
        lengths: int32 array (rows,), length of each row: tokens, in most tasks.
        max_length: The greatest length that a row may have.
    """

    lengths: np.ndarray
    max_length: int

    def __len__(self) -> int:
        """Gives the number of rows."""

    def pack(self, rows: tf.Tensor, length: tf.Tensor) -> Any:
        """Gives a batch; runs in a graph.

        Args:
            rows: int32 tensor (B,), numbers of the rows.
            length: int32 scalar, length to pad to, at least that of each row.

        Returns:
            What `model.fit` takes: inputs, a dict of tensors whose first axis is B; or a tuple of
            inputs, targets and perhaps weights.
        """


@dataclasses.dataclass(frozen=True)
class EncodedTexts:
    """Texts, or pairs of texts, as ids, with what cutting them to `max_length` means.

    Attributes:
        tokenizer: The layer that made the ids and packs them into batches.
        ids: ragged int32 tensor (texts, None), without special tokens.
        pair_ids: The second texts' ids, or `None`.
        max_length: Longest sequence in tokens, specials included.
        lengths: int32 array (texts,), tokens of each sequence after the cut.
        empty: How many texts hold no token.
        truncated: How many sequences were cut.
    """

    tokenizer: InGraphTokenizer
    ids: tf.RaggedTensor
    pair_ids: tf.RaggedTensor | None
    max_length: int
    lengths: np.ndarray
    empty: int
    truncated: int

    def __len__(self) -> int:
        return len(self.lengths)

    def summary(self, path: str) -> dict[str, Any]:
        """Gives the counts that a user wants to see.

        Args:
            path: The file that the texts came from.
        """
        return {
            "file": path,
            "texts": len(self),
            "empty": self.empty,
            "truncated": self.truncated,
            "mean_tokens": round(float(self.lengths.mean()), 1),
        }

    def pack(self, rows: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Gives the inputs of a batch.

        Args:
            rows: int32 tensor (B,), numbers of the texts.
            length: int32 scalar, length to pad to.
        """
        return self.tokenizer.pack(
            tf.gather(self.ids, rows),
            None if self.pair_ids is None else tf.gather(self.pair_ids, rows),
            max_length=self.max_length,
            length=length,
        )


@dataclasses.dataclass(frozen=True)
class LabelledTexts:
    """Texts with their labels, ready for training.

    Attributes:
        path: The file that they came from.
        texts: The texts as ids.
        labels: array (texts, ...): class indices, or numbers.
    """

    path: str
    texts: Features
    labels: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return self.texts.lengths

    @property
    def max_length(self) -> int:
        """Longest sequence in tokens."""
        return self.texts.max_length

    @property
    def buckets(self) -> list[int] | None:
        """Lengths that batches are padded to, where the texts have their own."""
        return getattr(self.texts, "buckets", None)

    def __len__(self) -> int:
        return len(self.texts)

    def pack(self, rows: tf.Tensor, length: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Gives inputs and labels of a batch.

        Args:
            rows: int32 tensor (B,), numbers of the texts.
            length: int32 scalar, length to pad to.
        """
        return self.texts.pack(rows, length), tf.gather(tf.constant(self.labels), rows)


def encode_texts(
    examples: Examples, tokenizer: BertTokenizer, max_length: int = 128
) -> EncodedTexts:
    """Tokenizes texts with the ops that a served model uses.

    Args:
        examples: The texts.
        tokenizer: The model's tokenizer.
        max_length: Longest sequence in tokens, specials included.

    Raises:
        ValueError: `max_length` leaves no room.
    """
    check_max_length(max_length, pair=examples.text_pairs is not None)
    layer = tokenizer.in_graph(max_length)
    ids = _tokenize(layer, examples.texts)
    counts = np.diff(ids.row_splits.numpy()).astype("int32")
    pair_ids, pair_counts, specials = None, np.zeros_like(counts), 2
    if examples.text_pairs is not None:
        pair_ids, specials = _tokenize(layer, examples.text_pairs), 3
        pair_counts = np.diff(pair_ids.row_splits.numpy()).astype("int32")
    first, second = sequence_lengths(counts, None if pair_ids is None else pair_counts, max_length)
    lengths = np.asarray(first) + (0 if second is None else np.asarray(second)) + specials
    return EncodedTexts(
        tokenizer=layer,
        ids=ids,
        pair_ids=pair_ids,
        max_length=max_length,
        lengths=lengths,
        empty=int(np.sum(counts + pair_counts == 0)),
        truncated=int(np.sum(counts + pair_counts + specials > lengths)),
    )


def encode_labels(labels: Sequence[str], label_names: Sequence[str], path: str) -> np.ndarray:
    """Turns labels into class indices.

    Args:
        labels: Labels as written.
        label_names: The classes, in the order of their indices.
        path: The file, for the error.

    Returns:
        int32 array (texts,).

    Raises:
        ValueError: A label is not among the classes.
    """
    index = {name: position for position, name in enumerate(label_names)}
    unknown = sorted(set(labels) - index.keys())
    if unknown:
        raise ValueError(
            f"{path}: each label must be one of those that training knows, "
            f"{_quoted(label_names)}. Received: {_quoted(unknown)}, "
            f"in {sum(label in unknown for label in labels)} of {len(labels)} rows"
        )
    return np.array([index[label] for label in labels], "int32")


def encode_label_sets(labels: Sequence[str], label_names: Sequence[str], path: str) -> np.ndarray:
    """Turns sets of labels into rows of 0 and 1.

    Args:
        labels: The labels of each text, separated by commas; empty where there are none.
        label_names: The classes, in the order of their indices.
        path: The file, for the error.

    Returns:
        float32 array (texts, C), 1 where the class holds.

    Raises:
        ValueError: A label is not among the classes.
    """
    sets = [label_set(text) for text in labels]
    indices = encode_labels([name for names in sets for name in names], label_names, path)
    rows = np.repeat(np.arange(len(sets)), [len(names) for names in sets])
    encoded = np.zeros((len(sets), len(label_names)), "float32")
    encoded[rows, indices] = 1
    return encoded


def encode_numbers(labels: Sequence[str], path: str) -> np.ndarray:
    """Turns labels into numbers.

    Args:
        labels: Labels as written.
        path: The file, for the error.

    Returns:
        float32 array (texts, 1).

    Raises:
        ValueError: A label is not a finite number.
    """
    numbers = np.zeros((len(labels), 1), "float32")
    for row, label in enumerate(labels):
        try:
            numbers[row] = float(label)
        except ValueError:
            numbers[row] = np.nan
        if not np.isfinite(numbers[row]):
            raise ValueError(
                f"{path}: each label of a regression must be a finite number. "
                f"Received: {label!r} in example {row + 1}"
            )
    return numbers


def _tokenize(layer: InGraphTokenizer, texts: Sequence[str]) -> tf.RaggedTensor:
    chunks = [
        layer.tokenize(tf.constant(texts[start : start + _CHUNK], tf.string))
        for start in range(0, len(texts), _CHUNK)
    ]
    return tf.concat(chunks, axis=0) if chunks else layer.tokenize(tf.constant([], tf.string))


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
