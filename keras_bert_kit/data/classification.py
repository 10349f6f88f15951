"""Labelled texts to batches, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from keras_bert_kit.data.batching import bucketed_batches
from keras_bert_kit.data.features import encode_labels, encode_texts
from keras_bert_kit.data.readers import label_names as read_label_names
from keras_bert_kit.data.readers import read_examples
from keras_bert_kit.tokenization.tokenizer import BertTokenizer


def text_classification(
    path: str | Path,
    tokenizer: BertTokenizer,
    label_names: Sequence[str] | None = None,
    batch_size: int = 32,
    max_length: int = 128,
    training: bool = False,
    seed: int = 0,
    few_lengths: bool = True,
) -> tf.data.Dataset:
    """Reads a file of labelled texts as batches for `model.fit`.

    Args:
        path: TSV, CSV or JSONL file with the columns `text`, `label` and perhaps `text_pair`, or
            a TSV file of two columns without a header; see `read_examples`.
        tokenizer: The model's tokenizer.
        label_names: The classes in the order of their indices, such as
            `model.config.label_names`; `None` takes those of the file, in order.
        batch_size: Rows of a batch.
        max_length: Longest sequence in tokens, specials included; longer texts are cut.
        training: Whether the rows are shuffled, anew in every epoch, with texts of like length in
            a batch; else they come in the file's order.
        seed: Decides the shuffled order.
        few_lengths: Whether batches are padded to a few lengths, for XLA; see `bucketed_batches`.

    Returns:
        A dataset of pairs: a dict of `input_ids`, `token_type_ids` and `attention_mask`, int32
        (B, S), and the class indices, int32 (B,). Its cardinality is the number of batches.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, with its line; or a label is not in `label_names`.

    Example:
        >>> labels = keras_bert_kit.data.label_names("train.tsv")
        >>> train = keras_bert_kit.data.text_classification(
        ...     "train.tsv", tokenizer=model.tokenizer, label_names=labels, training=True
        ... )
    """
    examples = read_examples(path)
    names = read_label_names(examples) if label_names is None else label_names
    return bucketed_batches(
        encode_texts(examples, tokenizer, max_length),
        encode_labels(examples.labels, names, str(path)),
        batch_size,
        seed=seed if training else None,
        few_lengths=few_lengths,
    )
