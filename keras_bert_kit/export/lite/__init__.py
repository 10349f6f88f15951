"""A model for phones, browsers and small machines: LiteRT (TensorFlow Lite) models."""

from keras_bert_kit.export.lite.comparison import Scores
from keras_bert_kit.export.lite.exporter import litert
from keras_bert_kit.export.lite.quantization import FORMATS
from keras_bert_kit.export.lite.result import LiteRTExport, LiteRTModel
from keras_bert_kit.interpreter import LiteModel

__all__ = ["FORMATS", "LiteModel", "LiteRTExport", "LiteRTModel", "Scores", "litert"]
