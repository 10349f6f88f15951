"""Keras layers of BERT, on `keras.ops` alone, for use in any Keras model.

Letters of the shape comments: B batch, S sequence, N heads, D head size, H hidden, I intermediate,
V vocabulary, C classes.
"""

from keras_bert_kit.layers.attention import MultiHeadSelfAttention
from keras_bert_kit.layers.crf import ConditionalRandomField
from keras_bert_kit.layers.embeddings import BertEmbeddings
from keras_bert_kit.layers.encoder import TransformerEncoder, TransformerEncoderBlock
from keras_bert_kit.layers.heads import (
    ClassificationHead,
    MaskedLMHead,
    NextSentenceHead,
    Pooler,
    SentencePooling,
)
from keras_bert_kit.layers.window_pooling import WindowPooling

__all__ = [
    "BertEmbeddings",
    "ClassificationHead",
    "ConditionalRandomField",
    "MaskedLMHead",
    "MultiHeadSelfAttention",
    "NextSentenceHead",
    "Pooler",
    "SentencePooling",
    "TransformerEncoder",
    "TransformerEncoderBlock",
    "WindowPooling",
]
