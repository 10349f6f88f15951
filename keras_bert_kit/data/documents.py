"""Long texts to windows of ids, kept in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.features import encode_texts
from keras_bert_kit.data.readers import Examples
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer
from keras_bert_kit.tokenization.tokenizer import BertTokenizer


@dataclasses.dataclass(frozen=True)
class EncodedDocuments:
    """Texts as ids, with the windows that they are cut into; see `encode_documents`.

    Attributes:
        tokenizer: The layer that made the ids and packs them into batches.
        ids: ragged int32 tensor (texts, None), without special tokens.
        window_length: Tokens of a window, specials included.
        stride: How many tokens each window shares with the one before it.
        max_windows: The most windows of a text, the first ones, or `None`.
        lengths: int32 array (texts,), windows of each text.
        empty: How many texts hold no token.
        truncated: How many texts have more windows than they may.
    """

    tokenizer: InGraphTokenizer
    ids: tf.RaggedTensor
    window_length: int
    stride: int
    max_windows: int | None
    lengths: np.ndarray
    empty: int
    truncated: int

    @property
    def max_length(self) -> int:
        """The most windows that a text has."""
        return int(self.lengths.max(initial=1))

    @property
    def buckets(self) -> list[int]:
        """The numbers of windows that batches are padded to; see `window_buckets`."""
        return window_buckets(self.max_length)

    def __len__(self) -> int:
        return len(self.lengths)

    def pack(self, rows: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Gives the inputs of a batch; see `Features`.

        Args:
            rows: int32 tensor (B,), numbers of the texts.
            length: int32 scalar, number of windows to pad to (W), at least that of each text.

        Returns:
            A dict of `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, W, S), S being
            `window_length`; the mask of a window that is padding is 0.
        """
        packed = self.tokenizer.windows(
            tf.gather(self.ids, rows),
            max_length=self.window_length,
            stride=self.stride,
            max_windows=self.max_windows,
        )
        packed.pop("position")
        filler = {"input_ids": self.tokenizer.pad_token_id}
        shape = (None, None, self.window_length)
        padded = {}
        for name, values in packed.items():
            windows, tokens = tf.unstack(tf.shape(values)[1:])
            more = [[0, 0], [0, length - windows], [0, self.window_length - tokens]]
            values = tf.pad(values, more, constant_values=filler.get(name, 0))
            padded[name] = tf.ensure_shape(values, shape)
        return padded


def encode_documents(
    examples: Examples,
    tokenizer: BertTokenizer,
    window_length: int = 256,
    stride: int = 32,
    max_windows: int | None = None,
) -> EncodedDocuments:
    """Tokenizes texts of any length and cuts them into windows.

    The windows are those that `BertTokenizer` gives with `return_overflowing_tokens=True`.

    Args:
        examples: The texts; second texts are not read.
        tokenizer: The model's tokenizer.
        window_length: Tokens of a window, specials included.
        stride: How many tokens of its text each window shares with the one before it.
        max_windows: The most windows of a text, the first ones; `None` takes all.

    Raises:
        ValueError: `window_length` leaves no room, windows would not go on, or there would be none.

    Example:
        >>> reviews = read_examples("train.tsv")
        >>> texts = encode_documents(reviews, model.tokenizer, window_length=256, stride=32)
        >>> labels = encode_labels(reviews.labels, label_names(reviews), reviews.path)
        >>> batches = bucketed_batches(texts, labels, batch_size=4, seed=1)
    """
    texts = encode_texts(dataclasses.replace(examples, text_pairs=None), tokenizer, window_length)
    room = window_length - 2
    if not 0 <= stride < room:
        raise ValueError(
            f"stride must be from 0 to {room - 1}, so that each window goes on. "
            f"Received: stride={stride}. Raise window_length or lower stride."
        )
    if max_windows is not None and max_windows < 1:
        raise ValueError(f"max_windows must be at least 1. Received: max_windows={max_windows}")
    counts = np.diff(texts.ids.row_splits.numpy())
    windows = 1 + np.maximum(-(-(counts - room) // (room - stride)), 0)
    kept = windows if max_windows is None else np.minimum(windows, max_windows)
    return EncodedDocuments(
        tokenizer=texts.tokenizer,
        ids=texts.ids,
        window_length=window_length,
        stride=stride,
        max_windows=max_windows,
        lengths=kept.astype("int32"),
        empty=texts.empty,
        truncated=int(np.sum(windows > kept)),
    )


def window_buckets(max_length: int) -> list[int]:
    """Gives the numbers of windows that batches are padded to: 1, 2, 3, 4, 6, 8, 12, 16, 24, ...

    Few, because XLA compiles once a shape.

    Args:
        max_length: The most windows.

    Returns:
        Increasing numbers, the last one `max_length`.
    """
    buckets, power = [1], 1
    while buckets[-1] < max_length:
        buckets += [2 * power, 3 * power]
        power *= 2
    return [*sorted(bucket for bucket in {*buckets} if bucket < max_length), max_length]
