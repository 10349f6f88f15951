"""Models as LiteRT models: of texts for the tasks, of tokens for classifiers."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping

import tensorflow as tf

from keras_bert_kit.export.lite.operations import check_operations
from keras_bert_kit.export.lite.tokenizer import CUSTOM_OPERATIONS, LiteTokenizer
from keras_bert_kit.models import BertForSequenceClassification, PretrainedModel
from keras_bert_kit.tasks.served import Served
from keras_bert_kit.tasks.text_classification import ServedClassifier

# Added to the score of a masked key. Small, for it widens the range that whole numbers have to
# cover, and yet e^-30 is nothing beside what float32 can tell apart.
MASKED = -30.0

#: Names of MediaPipe's text classifiers, and the model's own.
IDS_INPUTS = {"ids": "input_ids", "mask": "attention_mask", "segment_ids": "token_type_ids"}


class LiteClassifier(ServedClassifier):
    """A classifier in operations that LiteRT has.

    A special token that is written in a text is read as text, which is the faster way.

    Args:
        model: The classifier, with a tokenizer.
        max_length: Longest sequence in tokens, specials included; longer texts are cut.

    Raises:
        ValueError: The tokenizer has `never_split`, which needs regular expressions.
    """

    def __init__(self, model: BertForSequenceClassification, max_length: int):
        self.python_tokenizer = model.tokenizer.as_text()
        tokenizer = LiteTokenizer.like(self.python_tokenizer.in_graph(max_length))
        super().__init__(model, tokenizer, masked=MASKED)

    def answer(self, probabilities):
        """Gives `probabilities`, float32 (B, C), or `scores` of a regression."""
        return {"scores" if self.kind == "regression" else "probabilities": probabilities}

    def classify_ids(self, inputs):
        """Gives the answer for a dict of `ids`, `mask` and `segment_ids`, int32 (1, S)."""
        tokens = {ours: inputs[name] for name, ours in IDS_INPUTS.items()}
        return self.answer(self.probabilities(tokens))

    def ids_model(self, float16: bool = False) -> bytes:
        """Gives a model of tokens: one signature, one text, `max_length` tokens."""
        shape = [1, self.tokenizer.max_length]
        inputs = {name: tf.TensorSpec(shape, tf.int32, name=name) for name in IDS_INPUTS}
        function = tf.function(self.classify_ids, [inputs], autograph=False)
        return _converted(self.model, {"serving_default": function}, (), float16)


def lite_signatures(served: Served) -> dict[str, Callable]:
    """Gives the functions of a model of texts, by signature name: all but those of tf.Example.

    Args:
        served: What a model computes.
    """
    return {
        name: function
        for name, function in served.signatures().items()
        if not name.startswith(("classify", "regress"))
    }


def text_model(served: Served, float16: bool = False) -> bytes:
    """Gives a model with the tokenizer inside: several signatures, any batch and length.

    Args:
        served: What a model computes, with a `LiteTokenizer`.
        float16: Whether weights are of half precision.
    """
    return _converted(served.model, lite_signatures(served), CUSTOM_OPERATIONS, float16)


def copy_of(model: PretrainedModel, length: int) -> PretrainedModel:
    """Gives a copy that computes in float32, and knows as many positions as it needs.

    Args:
        model: The model.
        length: Longest sequence in tokens.
    """
    checkpoint = model.to_checkpoint()
    config = dataclasses.replace(checkpoint.config, max_position_embeddings=length)
    weights = {
        path: array[:length] if "/position_embeddings/" in path else array
        for path, array in checkpoint.weights.items()
    }
    cut = dataclasses.replace(checkpoint, config=config, weights=weights)
    return type(model).from_pretrained(cut, dtype="float32")


def _converted(
    model: tf.Module, functions: Mapping[str, Callable], custom: tuple[str, ...], float16: bool
) -> bytes:
    """Converts functions to one model, and checks that LiteRT has all of its operations."""
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    graphs = {name: function.get_concrete_function() for name, function in functions.items()}
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=graphs)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(graphs))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.allow_custom_ops = bool(custom)
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    check_operations(content, custom)
    return content
