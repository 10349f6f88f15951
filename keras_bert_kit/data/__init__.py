"""Ids to batches: readers, features and batches of few static shapes."""

from keras_bert_kit.data.batching import bucketed_batches, length_buckets
from keras_bert_kit.data.classification import text_classification
from keras_bert_kit.data.features import EncodedTexts, encode_labels, encode_texts
from keras_bert_kit.data.masking import TokenMasker
from keras_bert_kit.data.readers import Examples, label_names, read_examples, read_lines

__all__ = [
    "EncodedTexts",
    "Examples",
    "TokenMasker",
    "bucketed_batches",
    "encode_labels",
    "encode_texts",
    "label_names",
    "length_buckets",
    "read_examples",
    "read_lines",
    "text_classification",
]
