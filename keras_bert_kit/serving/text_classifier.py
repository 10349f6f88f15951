"""An artefact to predictions, with TensorFlow and tensorflow-text alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the ops that the artefact's tokenizer uses


def is_saved_model(path: str | Path) -> bool:
    """Tells whether a folder is a SavedModel."""
    return (Path(path) / "saved_model.pb").is_file()


@dataclasses.dataclass(frozen=True)
class TextClassifier:
    """Functions that classify texts, and what has to live as long as they do.

    Attributes:
        functions: `serving_default(text)` and, for pairs, `pair(text, text_pair)`; what a
            SavedModel holds as signatures.
        root: The loaded SavedModel or the model behind the functions.
    """

    functions: Mapping[str, Callable]
    root: Any = None

    @classmethod
    def load(cls, path: str | Path) -> TextClassifier:
        """Loads a SavedModel that `export.saved_model` wrote.

        Raises:
            FileNotFoundError: The folder is no SavedModel.
            ValueError: The SavedModel cannot be read, or has no signature that takes text.
        """
        if not is_saved_model(path):
            raise FileNotFoundError(f"{path} must be a SavedModel, with saved_model.pb in it")
        try:
            root = tf.saved_model.load(str(path))
        except (OSError, ValueError, tf.errors.OpError) as error:
            first = str(error).partition("\n")[0]
            raise ValueError(f"{path} cannot be read as a SavedModel: {first}") from error
        signature = root.signatures.get("serving_default")
        inputs = list(signature.structured_input_signature[1]) if signature else []
        if inputs != ["text"]:
            raise ValueError(
                f"{path} must have a signature serving_default(text). "
                f"Received: inputs={inputs}, signatures={list(root.signatures)}"
            )
        return cls(root.signatures, root)

    def predict(
        self,
        texts: Sequence[str],
        text_pairs: Sequence[str] | None = None,
        batch_size: int = 32,
    ) -> list[dict[str, Any]]:
        """Classifies texts.

        Args:
            texts: The texts.
            text_pairs: The second texts, as many, or `None`.
            batch_size: Texts of a batch; texts of like length go together.

        Returns:
            For each text, in order, a dict of `label`, `score` (the label's probability) and
            `probabilities` (by label).

        Raises:
            ValueError: The two lists differ in length, or the model takes no pairs.
        """
        columns = {"text": list(texts)}
        if text_pairs is not None:
            columns["text_pair"] = list(text_pairs)
            if len(columns["text_pair"]) != len(columns["text"]):
                raise ValueError(
                    "texts and text_pairs must have the same length. Received: "
                    f"{len(columns['text'])} and {len(columns['text_pair'])}"
                )
            if "pair" not in self.functions:
                raise ValueError("Pairs need a signature pair(text, text_pair). Received: none")
        function = self.functions["serving_default" if text_pairs is None else "pair"]
        sizes = [sum(map(len, row)) for row in zip(*columns.values(), strict=True)]
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        answers: list[dict[str, Any]] = [{}] * len(order)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = {name: [column[row] for row in rows] for name, column in columns.items()}
            outputs = function(**{name: tf.constant(values) for name, values in batch.items()})
            for row, answer in zip(rows, _answers(outputs), strict=True):
                answers[row] = answer
        return answers


def _answers(outputs: Mapping[str, tf.Tensor]) -> list[dict[str, Any]]:
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    return [
        {
            "label": label.decode(),
            "score": float(score),
            "probabilities": {
                name.decode(): float(probability)
                for name, probability in zip(names, probabilities, strict=True)
            },
        }
        for label, score, names, probabilities in zip(
            arrays["label"],
            arrays["score"],
            arrays["labels"],
            arrays["probabilities"],
            strict=True,
        )
    ]
