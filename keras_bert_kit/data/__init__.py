"""Ids to batches: readers, features and batches of few static shapes."""

from keras_bert_kit.data.batching import bucketed_batches, length_buckets
from keras_bert_kit.data.checks import check_ids
from keras_bert_kit.data.choices import Choices, read_choices
from keras_bert_kit.data.classification import text_classification
from keras_bert_kit.data.conll import TaggedSentences, read_conll, tag_names
from keras_bert_kit.data.documents import EncodedDocuments, encode_documents
from keras_bert_kit.data.features import (
    EncodedTexts,
    LabelledTexts,
    encode_label_sets,
    encode_labels,
    encode_numbers,
    encode_texts,
)
from keras_bert_kit.data.masking import TokenMasker
from keras_bert_kit.data.pairs_of_texts import EncodedTextPairs, encode_text_pairs
from keras_bert_kit.data.pretraining import counted, pretraining_batches
from keras_bert_kit.data.propositions import Propositions, read_propositions
from keras_bert_kit.data.readers import Examples, label_names, read_examples, read_lines
from keras_bert_kit.data.segmentation import continuing_tokens, load_segmenter
from keras_bert_kit.data.sentence_pairs import SentencePair, next_sentence_pairs, read_documents
from keras_bert_kit.data.squad import Questions, read_squad
from keras_bert_kit.data.squad_scores import squad_scores
from keras_bert_kit.data.tagging_scores import tagging_scores
from keras_bert_kit.data.tokens import EncodedWords, encode_words
from keras_bert_kit.data.windows import EncodedQuestions, encode_questions

__all__ = [
    "Choices",
    "EncodedDocuments",
    "EncodedQuestions",
    "EncodedTextPairs",
    "EncodedTexts",
    "EncodedWords",
    "Examples",
    "LabelledTexts",
    "Propositions",
    "Questions",
    "SentencePair",
    "TaggedSentences",
    "TokenMasker",
    "bucketed_batches",
    "check_ids",
    "continuing_tokens",
    "counted",
    "encode_documents",
    "encode_label_sets",
    "encode_labels",
    "encode_numbers",
    "encode_questions",
    "encode_text_pairs",
    "encode_texts",
    "encode_words",
    "label_names",
    "length_buckets",
    "load_segmenter",
    "next_sentence_pairs",
    "pretraining_batches",
    "read_choices",
    "read_conll",
    "read_documents",
    "read_examples",
    "read_lines",
    "read_propositions",
    "read_squad",
    "squad_scores",
    "tag_names",
    "tagging_scores",
    "text_classification",
]
