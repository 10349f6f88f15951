"""A trained model to an artefact that is served without this package."""

from keras_bert_kit.export.saved_model import saved_model, serving_functions

__all__ = ["saved_model", "serving_functions"]
