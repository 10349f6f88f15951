"""A trained model to an artefact that answers without this package."""

from keras_bert_kit.export.lite import LiteModel, LiteRTExport, litert
from keras_bert_kit.export.onnx import onnx_model
from keras_bert_kit.export.saved_model import saved_model
from keras_bert_kit.export.signatures import serving_functions

__all__ = [
    "LiteModel",
    "LiteRTExport",
    "litert",
    "onnx_model",
    "saved_model",
    "serving_functions",
]
