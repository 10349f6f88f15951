"""Ids to batches: readers, features and batches of few static shapes."""

from keras_bert_kit.data.batching import bucketed_batches, length_buckets
from keras_bert_kit.data.checks import check_ids
from keras_bert_kit.data.classification import text_classification
from keras_bert_kit.data.features import EncodedTexts, encode_labels, encode_texts
from keras_bert_kit.data.masking import TokenMasker
from keras_bert_kit.data.pretraining import counted, pretraining_batches
from keras_bert_kit.data.readers import Examples, label_names, read_examples, read_lines
from keras_bert_kit.data.sentence_pairs import SentencePair, next_sentence_pairs, read_documents

__all__ = [
    "EncodedTexts",
    "Examples",
    "SentencePair",
    "TokenMasker",
    "bucketed_batches",
    "check_ids",
    "counted",
    "encode_labels",
    "encode_texts",
    "label_names",
    "length_buckets",
    "next_sentence_pairs",
    "pretraining_batches",
    "read_documents",
    "read_examples",
    "read_lines",
    "text_classification",
]
