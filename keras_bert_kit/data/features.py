"""Texts to ids, kept in memory: what the batches are cut from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.readers import Examples
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer, sequence_lengths
from keras_bert_kit.tokenization.lengths import check_max_length
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_CHUNK = 4096  # texts tokenized in one call, so that the strings in flight stay few


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


def _tokenize(layer: InGraphTokenizer, texts: Sequence[str]) -> tf.RaggedTensor:
    chunks = [
        layer.tokenize(tf.constant(texts[start : start + _CHUNK], tf.string))
        for start in range(0, len(texts), _CHUNK)
    ]
    return tf.concat(chunks, axis=0) if chunks else layer.tokenize(tf.constant([], tf.string))


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
