"""Models: an encoder with a head, one module a task family."""

from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel
from keras_bert_kit.models.pretraining import (
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
)
from keras_bert_kit.models.sequence_classification import BertForSequenceClassification
from keras_bert_kit.models.trainer import DistributedModel

__all__ = [
    "BertForMaskedLM",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertModel",
    "DistributedModel",
    "PretrainedModel",
]
