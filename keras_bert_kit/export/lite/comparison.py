"""How a LiteRT model compares with the Keras model that it was made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_bert_kit.data import Examples, encode_labels
from keras_bert_kit.export.lite.graphs import IDS_INPUTS, LiteClassifier
from keras_bert_kit.export.signatures import served_classifier
from keras_bert_kit.interpreter import LiteModel

_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Scores:
    """A LiteRT model beside the Keras model, on the same texts.

    Attributes:
        texts: How many there are.
        mean_difference: Mean, over the texts, of the largest difference of a probability. Where a
            regression's numbers are above 1, it is relative to them.
        largest_difference: Largest of these differences.
        accuracy: Share of texts with the right label; where there are no labels, with the Keras
            model's. `None` for a model that does not give one label a text.
        keras_accuracy: The Keras model's.
    """

    texts: int
    mean_difference: float
    largest_difference: float
    accuracy: float | None
    keras_accuracy: float | None

    @property
    def drop(self) -> float:
        """By how many points (hundredths) the accuracy is lower than the Keras model's."""
        return 0.0 if self.accuracy is None else 100 * (self.keras_accuracy - self.accuracy)


class Comparison:
    """Texts with the Keras model's answers, to compare LiteRT models with.

    Args:
        served: The classifier, with the weights as they were trained.
        examples: The texts, labelled or not.

    Attributes:
        labelled: Whether their labels say what is right.

    Raises:
        ValueError: A label is none of the model's.
    """

    def __init__(self, served: LiteClassifier, examples: Examples):
        self._examples, self._served = examples, served
        self._single_label = served.kind.startswith("single")
        self.labelled = self._single_label and examples.labels is not None
        if self.labelled:
            names = served.model.config.label_names
            self._labels = encode_labels(examples.labels, names, examples.path)
        keras_model = served_classifier(served.model, served.tokenizer.max_length)
        self._expected = np.concatenate(
            [keras_model.probabilities(self._tokens(rows)) for rows in self._batches()]
        )

    def ids_model(self, model: LiteModel) -> Scores:
        """Compares a model of tokens."""
        rows = range(len(self._examples))
        inputs = (ids_inputs(self._served, self._examples, row) for row in rows)
        return self._scores([model.run("serving_default", **one) for one in inputs])

    def text_model(self, model: LiteModel) -> Scores:
        """Compares a model of texts."""
        signature = "serving_default" if self._examples.text_pairs is None else "pair"
        return self._scores(
            [model.run(signature, **text_inputs(self._examples, rows)) for rows in self._batches()]
        )

    def _batches(self) -> list[range]:
        count = len(self._examples)
        return [range(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]

    def _tokens(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        texts, pairs = columns(self._examples, rows)
        length = self._served.tokenizer.max_length
        return self._served.python_tokenizer(texts, pairs, max_length=length)

    def _scores(self, answers: Sequence[dict[str, np.ndarray]]) -> Scores:
        found = np.concatenate([next(iter(answer.values())) for answer in answers])
        scale = np.maximum(1, np.abs(self._expected))
        differences = (np.abs(found - self._expected) / scale).max(axis=-1)
        accuracy = keras_accuracy = None
        if self._single_label:
            expected = self._expected.argmax(axis=-1)
            labels = self._labels if self.labelled else expected
            accuracy = float(np.mean(found.argmax(axis=-1) == labels))
            keras_accuracy = float(np.mean(expected == labels))
        return Scores(
            texts=len(found),
            mean_difference=float(differences.mean()),
            largest_difference=float(differences.max()),
            accuracy=accuracy,
            keras_accuracy=keras_accuracy,
        )


def columns(examples: Examples, rows: Sequence[int]) -> tuple[list[str], list[str] | None]:
    """Gives the texts of some rows, and their second texts."""
    texts, pairs = examples.texts, examples.text_pairs
    return [texts[row] for row in rows], pairs and [pairs[row] for row in rows]


def text_inputs(examples: Examples, rows: Sequence[int]) -> dict[str, np.ndarray]:
    """Gives the inputs of a model of texts, arrays (B,) of bytes."""
    named = zip(("text", "text_pair"), columns(examples, rows), strict=True)
    return {
        name: np.array([text.encode() for text in column], object)
        for name, column in named
        if column is not None
    }


def ids_inputs(served: LiteClassifier, examples: Examples, row: int) -> dict[str, np.ndarray]:
    """Gives the inputs of a model of tokens, int32 (1, S)."""
    texts, pairs = columns(examples, [row])
    length = served.tokenizer.max_length
    tokens = served.python_tokenizer(texts, pairs, max_length=length, padding="max_length")
    return {name: tokens[ours] for name, ours in IDS_INPUTS.items()}
