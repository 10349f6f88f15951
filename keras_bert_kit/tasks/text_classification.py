"""Texts, or pairs of texts, to one label, several labels, or a number."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.config import PROBLEM_TYPES
from keras_bert_kit.data.features import (
    LabelledTexts,
    encode_label_sets,
    encode_labels,
    encode_numbers,
    encode_texts,
)
from keras_bert_kit.data.readers import Examples, label_names, read_examples
from keras_bert_kit.models import BertForSequenceClassification
from keras_bert_kit.models.losses import classification_loss
from keras_bert_kit.tasks.scores import label_scores, label_set_scores, number_scores, numbers_of
from keras_bert_kit.tasks.served import IDS, MASK, TYPES, Served, texts_spec
from keras_bert_kit.tasks.task import Task, TaskData, outputs_of_rows

SINGLE_LABEL, MULTI_LABEL, REGRESSION = PROBLEM_TYPES
_METRICS = {SINGLE_LABEL: "accuracy", MULTI_LABEL: "macro_f1", REGRESSION: "spearman"}


@dataclasses.dataclass(frozen=True)
class TextClassification(Task):
    """Texts, or pairs of texts, to one label, several labels, or a number.

    The labels of a text with several are separated by commas; a text may have none of them.

    Args:
        problem_type: One of `keras_bert_kit.config.PROBLEM_TYPES`.

    Raises:
        ValueError: The problem type is unknown.
    """

    problem_type: str = dataclasses.field(
        default=SINGLE_LABEL, metadata={"help": f"{', '.join(PROBLEM_TYPES[:2])} or {REGRESSION}."}
    )

    name: ClassVar = "text-classification"
    model_class: ClassVar = BertForSequenceClassification

    def __post_init__(self):
        if self.problem_type not in PROBLEM_TYPES:
            raise ValueError(
                f"problem_type must be one of {', '.join(PROBLEM_TYPES)}. "
                f"Received: {self.problem_type!r}"
            )

    @classmethod
    def of(cls, model):
        """Gives the task with the options that a model was trained with."""
        return cls(model.config.problem_type or SINGLE_LABEL)

    @property
    def metric(self) -> str:
        """Accuracy; of several labels macro F1, of a regression Spearman's correlation."""
        return _METRICS[self.problem_type]

    @property
    def purpose(self) -> str:
        """What a trained model does."""
        if self.problem_type == REGRESSION:
            return "gives texts a number"
        several = self.problem_type == MULTI_LABEL
        return f"sorts texts into {'any of ' if several else ''}{{labels}}"

    def read(self, path: str) -> Examples:
        """Reads labelled texts; see `read_examples`."""
        return read_examples(path, empty_labels=self.problem_type == MULTI_LABEL)

    def config(self, train: Examples) -> dict[str, Any]:
        """Gives `id2label` and `problem_type`."""
        names = self._names(train)
        if self.problem_type == SINGLE_LABEL and len(names) < 2:
            raise ValueError(
                f"{train.path}: the labels must be of at least two classes. "
                f"Received: {names[0]!r} in all {len(train)} rows"
            )
        # transformers takes a model without a type for one of single labels
        kind = None if self.problem_type == SINGLE_LABEL else self.problem_type
        return {"id2label": names, "problem_type": kind}

    def check(self, train: Examples, validation: Examples):
        """Checks that the labels are of the same kind, and that both or neither have pairs."""
        self._labels(validation, self._names(train))
        if (train.text_pairs is None) != (validation.text_pairs is None):
            raise ValueError(
                f"{train.path} and {validation.path}: both or neither must have text_pair"
            )

    def data(self, model, examples: Examples, max_length: int) -> TaskData:
        """Encodes texts and labels."""
        labels = self._labels(examples, model.config.label_names)
        texts = encode_texts(examples, model.tokenizer, max_length)
        features = LabelledTexts(examples.path, texts, labels)
        return TaskData(examples, features, texts.summary(examples.path))

    def loss(self, model) -> keras.losses.Loss:
        """Gives the loss of the problem's type."""
        return classification_loss(self.problem_type)

    def metrics(self, model) -> list[Any]:
        """Gives the accuracy, where there is one label a text."""
        return ["accuracy"] if self.problem_type == SINGLE_LABEL else []

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model.

        Returns:
            `rows`, `loss`, and the scores of `label_scores`, `label_set_scores` or
            `number_scores`; where the file has languages, `languages`, the scores by language.
        """
        labels = data.features.labels
        logits = np.zeros((len(labels), model.config.num_labels), "float32")
        for rows, _, outputs in outputs_of_rows(model, data.features, batch_size):
            logits[rows] = outputs["logits"]
        scores = self._scores(labels, logits, model.config.label_names)
        languages = data.examples.languages
        if languages is not None:
            scores["languages"] = {}
            for language in sorted(set(languages)):
                own = np.array([one == language for one in languages])
                found = self._scores(labels[own], logits[own], model.config.label_names)
                scores["languages"][language] = {"rows": int(own.sum()), **numbers_of(found)}
        loss = float(self.loss(model)(labels, logits))
        return {"rows": len(labels), **scores, "loss": loss}

    def served(self, model, tokenizer, **options) -> ServedClassifier:
        """Gives the answers for texts, pairs, tokens and tf.Example."""
        return ServedClassifier(model, tokenizer, **options)

    def _scores(self, labels, logits, names) -> dict[str, Any]:
        if self.problem_type == REGRESSION:
            return number_scores(labels, logits)
        if self.problem_type == MULTI_LABEL:
            return label_set_scores(labels, logits > 0, names)
        return label_scores(labels, logits.argmax(axis=-1), names)

    def _names(self, examples: Examples) -> list[str]:
        if self.problem_type == REGRESSION:
            return ["score"]
        return label_names(examples, several=self.problem_type == MULTI_LABEL)

    def _labels(self, examples: Examples, names: Sequence[str]) -> np.ndarray:
        if self.problem_type == REGRESSION:
            return encode_numbers(examples.labels, examples.path)
        encode = encode_label_sets if self.problem_type == MULTI_LABEL else encode_labels
        return encode(examples.labels, names, examples.path)


class ServedClassifier(Served):
    """A classifier from texts or tokens to answers.

    Its signatures are `serving_default(text)`, `pair(text, text_pair)`, `tokens`, `embed`,
    `tokenize`, and `classify` and `classify_pair`, or `regress` and `regress_pair`.
    """

    task = TextClassification.name

    @property
    def kind(self) -> str:
        """The config's `problem_type`."""
        return self.model.config.problem_type or SINGLE_LABEL

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        text, pair, examples = map(texts_spec, ("text", "text_pair", "inputs"))
        functions = {
            "serving_default": (self.classify_text, [text]),
            "pair": (self.classify_text, [text, pair]),
            "tokens": (self.classify_tokens, [IDS, MASK, TYPES]),
            "embed": (self.embed, [text]),
            "tokenize": (self.tokenize, [text]),
        }
        if self.kind != REGRESSION:
            functions["classify"] = (self.classify_examples, [examples])
            functions["classify_pair"] = (self.classify_paired_examples, [examples])
        elif self.model.config.num_labels == 1:
            functions["regress"] = (self.classify_examples, [examples])
            functions["regress_pair"] = (self.classify_paired_examples, [examples])
        return functions

    def classify_text(self, text, text_pair=None):
        """Gives the answer for texts (B,), or pairs of texts."""
        return self.answer(self._of_texts(text, text_pair))

    def classify_tokens(self, input_ids, attention_mask, token_type_ids):
        """Gives the answer for tokens (B, S)."""
        inputs = self.own_tokens(input_ids, attention_mask, token_type_ids)
        return self.answer(self.probabilities(inputs))

    def classify_examples(self, inputs):
        """Gives `classes` and `scores`, or `outputs`, for serialized tf.Example (B,)."""
        return self._of_examples(inputs, ["text"])

    def classify_paired_examples(self, inputs):
        """The same for examples with a second text."""
        return self._of_examples(inputs, ["text", "text_pair"])

    def probabilities(self, inputs):
        """Gives probabilities, or a regression's numbers, float32 (B, C), for a dict of tokens."""
        return self.numbers(self.outputs(self.padded(inputs))["logits"])

    def numbers(self, logits):
        """Gives what logits (B, C) say: probabilities, or a regression's numbers, float32."""
        logits = tf.cast(logits, tf.float32)
        if self.kind == REGRESSION:
            return logits
        return tf.nn.softmax(logits) if self.kind == SINGLE_LABEL else tf.sigmoid(logits)

    def answer(self, probabilities):
        """Gives the named outputs of a signature, for `probabilities` (B, C)."""
        if self.kind == REGRESSION:
            if self.model.config.num_labels == 1:
                return {"score": tf.squeeze(probabilities, 1)}
            return {"labels": self._labels(probabilities), "scores": probabilities}
        every = {"labels": self._labels(probabilities), "probabilities": probabilities}
        if self.kind == MULTI_LABEL:
            return every
        names = tf.constant(self.model.config.label_names)
        return {
            "label": tf.gather(names, tf.argmax(probabilities, axis=-1)),
            "score": tf.reduce_max(probabilities, axis=-1),
            **every,
        }

    def _of_texts(self, text, text_pair=None):
        return self.probabilities(self.tokenize(text, text_pair))

    def _of_examples(self, inputs, columns: Sequence[str]):
        features = dict.fromkeys(columns, tf.io.FixedLenFeature([], tf.string))
        parsed = tf.io.parse_example(inputs, features)
        probabilities = self._of_texts(*(parsed[column] for column in columns))
        if self.kind == REGRESSION:
            return {"outputs": probabilities}  # (B, 1)
        return {"classes": self._labels(probabilities), "scores": probabilities}

    def _labels(self, probabilities):
        names = tf.expand_dims(tf.constant(self.model.config.label_names), 0)
        return tf.tile(names, [tf.shape(probabilities)[0], 1])  # (B, C)
