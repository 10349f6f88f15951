"""One SavedModel with the tokenizer inside: text in, label and probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.models import BertForSequenceClassification

TEXT = tf.TensorSpec([None], tf.string, name="text")
TEXT_PAIR = tf.TensorSpec([None], tf.string, name="text_pair")


def serving_functions(
    model: BertForSequenceClassification, max_length: int | None = None
) -> dict[str, Callable]:
    """Gives what a served model computes, as functions by signature name.

    Args:
        model: A classifier with a tokenizer.
        max_length: Longest sequence in tokens, specials included; longer texts are cut. `None`
            takes `model.max_length`.

    Returns:
        `serving_default(text)` and `pair(text, text_pair)`. Both take string tensors (B,) and
        give a dict of `label`, string (B,); `score`, float32 (B,), that label's probability;
        `labels`, string (B, C); and `probabilities`, float32 (B, C).

    Raises:
        ValueError: The model has no tokenizer, no single label a text, or takes no sequence of
            `max_length`.
    """
    tokenize = model_tokenizer(model, max_length)
    if model.config.problem_type not in (None, "single_label_classification"):
        raise ValueError(
            "Only a model that gives each text one label can be served. "
            f"Received: problem_type={model.config.problem_type!r}"
        )
    names = model.config.label_names

    def classify(inputs):
        logits = model(tokenize(inputs), training=False)["logits"]
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))  # (B, C)
        batch = tf.shape(probabilities)[0]
        labels = tf.constant(names)
        return {
            "label": tf.gather(labels, tf.argmax(probabilities, axis=-1)),
            "score": tf.reduce_max(probabilities, axis=-1),
            "labels": tf.tile(tf.expand_dims(labels, 0), [batch, 1]),
            "probabilities": probabilities,
        }

    return {
        "serving_default": _graph(lambda text: classify(text), TEXT),
        "pair": _graph(lambda text, text_pair: classify((text, text_pair)), TEXT, TEXT_PAIR),
    }


def saved_model(
    model: BertForSequenceClassification,
    path: str | Path,
    max_length: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a SavedModel for TensorFlow Serving whose input is text.

    Only TensorFlow and the ops of tensorflow-text are needed to load it. The folder appears whole
    or not at all, so a server that watches the parent folder never sees half a model.

    Args:
        model: A classifier with a tokenizer.
        path: The folder; TensorFlow Serving wants it named by a whole number, the version.
        max_length: Longest sequence in tokens; see `serving_functions`.
        overwrite: Whether it may replace a folder that is there.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder exists, and `overwrite` is false.
        ValueError: The model cannot be served; see `serving_functions`.
        OSError: The files cannot be written, for example for want of space.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]  # so that they are saved
    functions = serving_functions(model, max_length)
    signatures = {name: graph.get_concrete_function() for name, graph in functions.items()}
    try:
        with replaced_folder(path, overwrite) as folder:
            tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise OSError(f"{path} could not be written: {error.message}") from error
    return Path(path)


def _graph(function: Callable, *signature: tf.TensorSpec) -> Callable:
    return tf.function(function, input_signature=signature, autograph=False)


def model_tokenizer(model: BertForSequenceClassification, max_length: int | None):
    """Gives the layer that tokenizes for a model.

    Raises:
        ValueError: The model has no tokenizer, or takes no sequence of `max_length`.
    """
    if model.tokenizer is None:
        raise ValueError(
            "The model must have a tokenizer. Load it with from_pretrained, or set "
            "model.tokenizer = BertTokenizer(...). Received: tokenizer=None"
        )
    if max_length is None:
        max_length = model.max_length
    model.check_length(max_length)
    return model.tokenizer.in_graph(max_length)
