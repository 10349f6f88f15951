"""A trained model to an artefact that is served without this package."""

from keras_bert_kit.export.saved_model import saved_model
from keras_bert_kit.export.signatures import serving_functions

__all__ = ["saved_model", "serving_functions"]
