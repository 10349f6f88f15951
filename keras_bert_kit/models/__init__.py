"""Models: an encoder with a head, one module a task family."""

from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel
from keras_bert_kit.models.sequence_classification import BertForSequenceClassification

__all__ = ["BertForSequenceClassification", "BertModel", "PretrainedModel"]
