"""One SavedModel with the tokenizer inside: text in, answers out, for TensorFlow Serving."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.compat.v1.saved_model.signature_def_utils import MethodNameUpdater

from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.export.serving_files import (
    is_version,
    write_serving_files,
    write_version_files,
)
from keras_bert_kit.export.signatures import served_model
from keras_bert_kit.export.warm_up import check_answers, warm_up_requests
from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tasks.served import Served

WEIGHTS = ("float32", "bfloat16")


def saved_model(
    model: PretrainedModel,
    path: str | Path,
    max_length: int | None = None,
    overwrite: bool = False,
    weights: str = "float32",
    xla: bool = False,
    texts: Sequence[str] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Path:
    """Writes a SavedModel for TensorFlow Serving whose input is text.

    Only TensorFlow and two ops of tensorflow-text are needed to load it. The folder appears whole
    or not at all, so a server that watches the parent folder never sees half a model. Its answers
    to the warm-up requests are compared with the model's own before it appears.

    Beside the folder, in its parent, come the server's configuration and examples of requests;
    what is there already stays, but for models.config, README.md and requests/, which are written
    anew.

    Args:
        model: A model of one of the tasks, with a tokenizer.
        path: The folder; its name must be a whole number, the version: `saved_models/reviews/1`.
            The parent's name becomes the model's.
        max_length: Longest sequence in tokens; see `serving_functions`.
        overwrite: Whether it may replace a folder that is there.
        weights: "float32", or "bfloat16" for half the size: the weights are rounded to 8
            significant bits on disk and computed with in float32.
        xla: Whether XLA compiles the network. Such a SavedModel fails on a server that was not
            started with `--xla_cpu_compilation_enabled` or `--xla_gpu_compilation_enabled`.
        texts: Texts for the warm-up requests, such as those that are to come; `None` takes some
            of the kit's own.
        on_step: Is called with a few words as each step begins.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder exists, and `overwrite` is false.
        TypeError: The model belongs to no task.
        ValueError: The folder's name is no version, or the path a pattern; the model cannot be
            served (see `serving_functions`); or `weights` is unknown.
        RuntimeError: The SavedModel does not answer as the model does.
        OSError: The files cannot be written, for example for want of space.
    """
    path = _version_folder(path)
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}. Received: {weights!r}")
    module, scope = _stored(model, weights)
    served = served_model(model, max_length, xla=xla, scope=scope)
    with replaced_folder(path, overwrite) as folder:
        on_step("Answering the warm-up requests with Keras")
        requests = warm_up_requests(served, texts)
        on_step("Writing the SavedModel")
        try:
            _save(module, served, folder)
        except tf.errors.OpError as error:
            raise OSError(f"{path} could not be written: {error.message}") from error
        write_version_files(folder, requests, xla)
        on_step("Comparing its answers")
        measured = check_answers(folder, requests, served)
    write_serving_files(path, served, requests, measured, weights)
    return path


def _version_folder(path: str | Path) -> Path:
    path = Path(path)
    if not is_version(path.name) or not path.absolute().parent.name:
        raise ValueError(
            "The folder must be named by the version, a whole number, for TensorFlow Serving "
            f"looks for no other: {path / '1'}. Received: {path}"
        )
    if set(str(path.absolute())) & set("*?[]\\"):
        raise ValueError(
            "A SavedModel's path must have none of the characters *?[]\\, for TensorFlow reads it "
            f"as a pattern and does not find the weights. Received: {path}"
        )
    return path


def _stored(model: keras.Model, weights: str) -> tuple[tf.Module, Callable]:
    """Gives what holds the weights on disk, and the scope in which a model computes with them.

    They are variables. Constants in the graph would be arranged for oneDNN's products once, not at
    each request, which makes a short one a quarter faster; but each signature has a graph of its
    own with all of them, and a loaded MiniLM takes 2.6 GB instead of 0.2.
    """
    module = tf.Module()
    if weights == "float32":
        module.weights = [variable.value for variable in model.variables]
        return module, contextlib.nullcontext
    floats = [variable for variable in model.variables if variable.dtype == "float32"]
    module.weights = [tf.Variable(tf.cast(variable.value, weights)) for variable in floats]

    def scope():
        values = [tf.cast(weight, tf.float32) for weight in module.weights]
        return keras.StatelessScope(state_mapping=list(zip(floats, values, strict=True)))

    return module, scope


def _save(module: tf.Module, served: Served, folder: Path):
    signatures = {
        name: graph.get_concrete_function() for name, graph in served.signatures().items()
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    updater = MethodNameUpdater(str(folder))
    for name in signatures:
        for method in ("classify", "regress"):
            if name.startswith(method):
                updater.replace_method_name(name, f"tensorflow/serving/{method}")
    updater.save()
