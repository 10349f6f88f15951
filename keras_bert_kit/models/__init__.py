"""Models: an encoder with a head, one module a task family."""

from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.document_classification import BertForDocumentClassification
from keras_bert_kit.models.multiple_choice import BertForMultipleChoice
from keras_bert_kit.models.pretrained import PretrainedModel
from keras_bert_kit.models.pretraining import (
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
)
from keras_bert_kit.models.question_answering import BertForQuestionAnswering
from keras_bert_kit.models.sentence_encoder import BertSentenceEncoder, nearest
from keras_bert_kit.models.sentence_losses import (
    CosineSimilarityLoss,
    MultipleNegativesRankingLoss,
)
from keras_bert_kit.models.sequence_classification import BertForSequenceClassification
from keras_bert_kit.models.token_classification import BertForTokenClassification
from keras_bert_kit.models.trainer import DistributedModel

__all__ = [
    "BertForDocumentClassification",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "BertSentenceEncoder",
    "CosineSimilarityLoss",
    "DistributedModel",
    "MultipleNegativesRankingLoss",
    "PretrainedModel",
    "nearest",
]
