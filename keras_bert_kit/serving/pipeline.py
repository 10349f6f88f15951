"""An artefact to answers in plain Python, with TensorFlow and tensorflow-text alone."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the ops that the artefact's tokenizer uses

from keras_bert_kit.serving.answers import answers_of_rows
from keras_bert_kit.serving.columns import in_order
from keras_bert_kit.serving.lite import is_lite_model, lite_functions


def is_saved_model(path: str | Path) -> bool:
    """Tells whether a folder is a SavedModel."""
    return (Path(path) / "saved_model.pb").is_file()


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """Texts in, plain Python out: the functions of an artefact, and what lives as long as they do.

    Attributes:
        functions: Functions by signature name, from named tensors to named tensors:
            `serving_default` takes one or more columns of texts; where there is also `pair`, it
            takes one column more.
        root: The loaded SavedModel, or the model behind the functions.

    Example:
        >>> pipeline = Pipeline.load("saved_models/reviews-serving/1")
        >>> pipeline(["Not bad at all."])[0]["label"]
    """

    functions: Mapping[str, Callable]
    root: Any = None

    @classmethod
    def load(cls, path: str | Path) -> Pipeline:
        """Loads what `export.saved_model` or `export.litert` wrote.

        Args:
            path: The SavedModel's folder; or that of LiteRT models, or `model.text.tflite` in it.

        Raises:
            FileNotFoundError: There is neither.
            ImportError: It is a LiteRT model, and ai-edge-litert is not installed.
            ValueError: It cannot be read, or has no signature that takes text.
        """
        if is_lite_model(path):
            return cls(lite_functions(path))
        if not is_saved_model(path):
            raise FileNotFoundError(f"{path} must be a SavedModel, with saved_model.pb in it")
        try:
            root = tf.saved_model.load(str(path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            first = str(error).partition("\n")[0]
            raise ValueError(f"{path} cannot be read as a SavedModel: {first}") from error
        signature = root.signatures.get("serving_default")
        inputs = signature.structured_input_signature[1] if signature else {}
        if not inputs or any(spec.dtype != tf.string for spec in inputs.values()):
            raise ValueError(
                f"{path} must have a signature serving_default whose inputs are texts. "
                f"Received: inputs={list(inputs)}, signatures={list(root.signatures)}"
            )
        return cls(root.signatures, root)

    def inputs(self, signature: str = "serving_default") -> list[str]:
        """Gives the names of a signature's columns, in order.

        Args:
            signature: The signature's name.
        """
        function = self.functions[signature]
        if hasattr(function, "structured_input_signature"):
            return in_order(function.structured_input_signature[1])
        if isinstance(function, tf.types.experimental.PolymorphicFunction):
            function = function.python_function
        return list(inspect.signature(function).parameters)

    def __call__(self, *columns: str | Sequence[Any], batch_size: int = 32) -> list[dict[str, Any]]:
        """Answers for texts.

        Args:
            *columns: The texts, as many columns as the model takes, in the order of `inputs()`:
                texts alone, or texts and second texts; questions and contexts. A text alone is
                a column of one.
            batch_size: Rows of a batch; those of like length go together.

        Returns:
            For each row, in order, a dict: for a classifier of `label`, `score` (the label's
            probability) and `probabilities` (by label); for another task of what its served
            signature gives.

        Raises:
            ValueError: There are too few or too many columns, or they differ in length.
        """
        signature, names = self._signature(len(columns))
        rows = [[column] if isinstance(column, str) else list(column) for column in columns]
        if len({len(column) for column in rows}) > 1:
            raise ValueError(
                f"{' and '.join(names)} must have the same length. "
                f"Received: {' and '.join(str(len(column)) for column in rows)}"
            )
        sizes = [len(str(row)) for row in zip(*rows, strict=True)]
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        answers: list[dict[str, Any]] = [{}] * len(order)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            tensors = {
                name: tf.constant([column[row] for row in batch])
                for name, column in zip(names, rows, strict=True)
            }
            outputs = self.functions[signature](**tensors)
            arrays = {name: np.asarray(tensor) for name, tensor in outputs.items()}
            for row, answer in zip(batch, answers_of_rows(arrays), strict=True):
                answers[row] = answer
        return answers

    def _signature(self, columns: int) -> tuple[str, list[str]]:
        """Gives the signature that takes a number of columns, and their names."""
        found = {}
        for signature in ("serving_default", "pair"):
            if signature in self.functions:
                names = self.inputs(signature)
                if len(names) == columns:
                    return signature, names
                found[signature] = f"{signature}({', '.join(names)})"
        raise ValueError(
            f"The model must be given the columns of {' or '.join(found.values())}. "
            f"Received: {columns} columns"
        )
