"""Vectors of texts whose cosines tell how alike they are."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.data.features import encode_numbers
from keras_bert_kit.data.pairs_of_texts import encode_text_pairs
from keras_bert_kit.data.readers import Examples, read_examples
from keras_bert_kit.models import (
    BertSentenceEncoder,
    CosineSimilarityLoss,
    MultipleNegativesRankingLoss,
)
from keras_bert_kit.models.sentence_encoder import nearest
from keras_bert_kit.tasks.scores import number_scores
from keras_bert_kit.tasks.served import Served, texts_spec
from keras_bert_kit.tasks.task import Task, TaskData, outputs_of_rows

_LOSSES = ("cosine", "ranking")


@dataclasses.dataclass(frozen=True)
class SentenceSimilarity(Task):
    """Vectors of texts whose cosines tell how alike they are.

    Args:
        loss_type: "cosine" learns how alike two texts are, from numbers; "ranking" learns which
            text belongs to which, from pairs that do, without numbers.
        max_score: The number of two texts that mean the same, such as 5 in STS-B.

    Raises:
        ValueError: The loss is unknown, or the number is not above 0.
    """

    loss_type: str = dataclasses.field(
        default="cosine", metadata={"help": "cosine, or ranking for pairs without numbers."}
    )
    max_score: float = dataclasses.field(
        default=5.0, metadata={"help": "The number of texts that mean the same."}
    )

    name: ClassVar = "sentence-similarity"
    purpose: ClassVar = "turns texts into vectors whose cosines tell how alike they are"
    model_class: ClassVar = BertSentenceEncoder

    def __post_init__(self):
        if self.loss_type not in _LOSSES:
            raise ValueError(
                f"loss_type must be one of {', '.join(_LOSSES)}. Received: {self.loss_type!r}"
            )
        if not self.max_score > 0:
            raise ValueError(f"max_score must be above 0. Received: {self.max_score}")

    @property
    def metric(self) -> str:
        """Spearman's correlation; without numbers the share of texts whose own one is nearest."""
        return "spearman" if self.loss_type == "cosine" else "accuracy"

    def read(self, path: str) -> Examples:
        """Reads pairs of texts; see `read_examples`."""
        examples = read_examples(path, labelled=self.loss_type == "cosine")
        if examples.text_pairs is None:
            raise ValueError(f"{path}: each text needs a second one. Add the column text_pair")
        return examples

    def config(self, train: Examples) -> dict[str, Any]:
        """Gives nothing: the pooling is the model's."""
        return {}

    def check(self, train: Examples, validation: Examples):
        """Checks that the numbers are numbers."""
        self._scores(validation)

    def data(self, model, examples: Examples, max_length: int) -> TaskData:
        """Encodes pairs of texts and their numbers."""
        scores = self._scores(examples)
        features = encode_text_pairs(examples, model.tokenizer, max_length, scores)
        summary = {
            "file": examples.path,
            "pairs": len(features),
            "empty": features.empty,
            "truncated": features.truncated,
        }
        return TaskData(examples, features, summary)

    def loss(self, model) -> keras.losses.Loss:
        """Gives the loss of the task's kind."""
        return CosineSimilarityLoss() if self.loss_type == "cosine" else _RANKING

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model.

        Returns:
            `rows`; with numbers, `pearson` and `spearman`, between them and the cosines; without,
            `accuracy`, the share of texts of which the own second text is the nearest of all.
        """
        vectors = np.zeros((len(data.features), 2, model.config.hidden_size), "float32")
        for rows, _, outputs in outputs_of_rows(model, data.features, batch_size):
            vectors[rows] = outputs["sentence_embedding"]
        rows = {"rows": len(vectors)}
        if self.loss_type == "ranking":
            found, _ = nearest(vectors[:, 0], vectors[:, 1], k=1)
            return {**rows, "accuracy": float(np.mean(found[:, 0] == np.arange(len(vectors))))}
        length = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        cosines = np.prod(vectors / length, axis=1).sum(axis=-1)
        return {**rows, **number_scores(self._scores(data.examples), cosines)}

    def served(self, model, tokenizer, **options) -> ServedSentenceEncoder:
        """Gives the vectors of texts, and the cosines of pairs."""
        return ServedSentenceEncoder(model, tokenizer, **options)

    def _scores(self, examples: Examples) -> np.ndarray:
        """Gives numbers of which 1 means the same; zeros, which are not read, where none are."""
        if self.loss_type == "ranking":
            return np.zeros(len(examples), "float32")
        return encode_numbers(examples.labels, examples.path)[:, 0] / self.max_score


_RANKING = MultipleNegativesRankingLoss()


class ServedSentenceEncoder(Served):
    """An encoder from texts to vectors.

    `serving_default(text)` gives `embedding`, float32 (B, H); `pair(text, text_pair)` gives
    `score`, float32 (B,), the cosine of the two texts' vectors.
    """

    task = SentenceSimilarity.name

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        text, pair = texts_spec("text"), texts_spec("text_pair")
        return {
            "serving_default": (self.embed, [text]),
            "pair": (self.compare, [text, pair]),
            "tokenize": (self.tokenize, [text]),
        }

    def embed(self, text):
        """Gives the vectors of texts (B,)."""
        inputs = self.padded(self.tokenizer(text))
        states = self._encode(inputs)["last_hidden_state"]
        embedding = self.model.sentence_pooling(states, inputs["attention_mask"])
        return {"embedding": tf.cast(embedding, tf.float32)}

    def compare(self, text, text_pair):
        """Gives the cosines of pairs of texts (B,)."""
        one, other = (
            tf.math.l2_normalize(self.embed(texts)["embedding"], axis=1, epsilon=1e-24)
            for texts in (text, text_pair)
        )
        return {"score": tf.reduce_sum(one * other, axis=1)}
