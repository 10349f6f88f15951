"""From a checkpoint's arrays to a model's variables, each array read and copied once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.checkpoints import Checkpoint
from keras_bert_kit.checkpoints.matching import (
    NOT_FINITE,
    LoadingReport,
    is_finite,
    match,
    not_filled,
)


def made_with_weights(
    make: Callable[[], keras.Model], checkpoint: Checkpoint, new_head: bool | None
) -> tuple[keras.Model, LoadingReport]:
    """Makes a model whose weights have a checkpoint's values from the start.

    Args:
        make: Makes the model.
        checkpoint: The checkpoint.
        new_head: As in `from_pretrained`.

    Raises:
        ValueError: The weights do not fill the model.
    """
    values = _Values(checkpoint.weights, checkpoint.source)
    with keras.StatelessScope():  # variables made in it are filled when it ends
        model = make()
        variables = model.weights_by_path()
        report = values.match(variables, model.heads, new_head)
        for path in [path for path in variables if path not in report.new]:
            variables[path]._initializer = values.initializer(path)
    values.check()
    return model, report


def assign(
    model: keras.Model,
    weights: Mapping[str, np.ndarray],
    source: str,
    new_head: bool | None,
) -> LoadingReport:
    """Sets a model's weights.

    Args:
        model: The model.
        weights: Arrays by the path that the table of names uses.
        source: Where they come from, for the error.
        new_head: As in `from_pretrained`.

    Raises:
        ValueError: The weights do not fill the model. Where the cause is that some are not finite,
            the others are set.
    """
    values = _Values(weights, source)
    variables = model.weights_by_path()
    report = values.match(variables, model.heads, new_head)
    for path in [path for path in variables if path not in report.new]:
        variable = variables[path]
        variable.assign(values.tensor(path, variable.dtype))
    values.check()
    return report


# Where TensorFlow wants the first number of a tensor, in bytes.
_ALIGNMENT = 64


def _as_tensor(array: np.ndarray, dtype: str) -> tf.Tensor:
    """Gives an array as a tensor, copied once; `tf.convert_to_tensor` copies twice."""
    room = np.empty(array.size * 4 + _ALIGNMENT, "uint8")
    start = -room.ctypes.data % _ALIGNMENT
    copy = room[start : start + array.size * 4].view("float32").reshape(array.shape)
    np.copyto(copy, array)
    return tf.cast(tf.experimental.dlpack.from_dlpack(copy.__dlpack__()), dtype)


class _Values:
    """A checkpoint's weights as tensors; remembers what was wrong with those that were given."""

    def __init__(self, weights: Mapping[str, np.ndarray], source: str):
        self._weights, self._source = weights, source
        self._not_finite: list[str] = []
        self._error: BaseException | None = None

    def match(self, variables, heads, new_head) -> LoadingReport:
        shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
        return match(self._source, shapes, self._weights, heads, new_head)

    def tensor(self, path: str, dtype: str) -> Any:
        array = self._weights[path]
        if not is_finite(array):
            self._not_finite.append(path)
        if array.ndim == 2 and array.T.flags.c_contiguous:  # TensorFlow transposes faster
            return tf.transpose(_as_tensor(array.T, dtype))
        return _as_tensor(array, dtype)

    def initializer(self, path: str) -> Callable[..., Any]:
        def initialize(shape, dtype=None):
            if self._error is None:
                try:
                    return self.tensor(path, dtype)
                except BaseException as error:  # Keras must get to its last variable
                    self._error = error
            return tf.zeros(shape, dtype)

        return initialize

    def check(self):
        if self._error is not None:
            raise self._error
        if self._not_finite:
            raise ValueError(not_filled(self._source, {NOT_FINITE: self._not_finite}))
