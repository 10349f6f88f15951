"""Whole sequences as ids, with their special tokens, kept in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedSequences:
    """Sequences as ids.

    Attributes:
        ids: int32 array (N, S).
        types: int32 array (N, S), token type ids.
        lengths: int32 array (N,), tokens of each sequence.
        max_length: Longest sequence in tokens, specials included.
        pad_token_id: The id behind the end of a sequence.
    """

    ids: np.ndarray
    types: np.ndarray
    lengths: np.ndarray
    max_length: int
    pad_token_id: int

    def __len__(self) -> int:
        return len(self.lengths)

    def inputs(self, rows: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Gives the inputs of a batch.

        Args:
            rows: int32 tensor (B,), numbers of the sequences.
            length: int32 scalar, length to pad to.

        Returns:
            A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, S).
        """
        lengths = tf.gather(tf.constant(self.lengths), rows)
        return {
            "input_ids": padded_rows(self.ids, rows, length, self.pad_token_id),
            "token_type_ids": padded_rows(self.types, rows, length, 0),
            "attention_mask": tf.sequence_mask(lengths, length, tf.int32),
        }


def padded_rows(array: np.ndarray, rows: tf.Tensor, length: tf.Tensor, filler: int) -> tf.Tensor:
    """Gives some rows of an array, cut or padded to a length.

    Args:
        array: Array (N, S).
        rows: int32 tensor (B,), numbers of the rows.
        length: int32 scalar, the length.
        filler: What is padded with.

    Returns:
        Tensor (B, length).
    """
    found = tf.gather(tf.constant(array), rows)[:, :length]
    return tf.pad(found, [[0, 0], [0, length - tf.shape(found)[1]]], constant_values=filler)


def joined_rows(arrays: Sequence[np.ndarray], filler: int) -> np.ndarray:
    """Puts arrays of different lengths one below the other.

    Args:
        arrays: Arrays (n, s).
        filler: What the shorter ones are padded with.

    Returns:
        int32 array (N, S).
    """
    width = max(array.shape[1] for array in arrays)
    return np.concatenate(
        [
            np.pad(array, [(0, 0), (0, width - array.shape[1])], constant_values=filler)
            for array in arrays
        ]
    ).astype("int32")
