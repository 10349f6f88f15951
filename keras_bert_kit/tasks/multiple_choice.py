"""Which of several texts goes with a question."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.data.choices import Choices, read_choices
from keras_bert_kit.data.features import EncodedTexts, encode_texts
from keras_bert_kit.data.readers import Examples
from keras_bert_kit.models import BertForMultipleChoice
from keras_bert_kit.tasks.served import Served, texts_spec
from keras_bert_kit.tasks.task import Task, TaskData, outputs_of_rows


@dataclasses.dataclass(frozen=True)
class MultipleChoice(Task):
    """Which of several texts goes with a question.

    Reference:
        Devlin et al. 2018, section 4.4 (https://arxiv.org/abs/1810.04805).
    """

    name: ClassVar = "multiple-choice"
    purpose: ClassVar = "chooses the text that goes with a question"
    metric: ClassVar = "accuracy"
    model_class: ClassVar = BertForMultipleChoice
    # The paper's for SWAG
    defaults: ClassVar = {"batch_size": 16, "learning_rate": 2e-5}

    def read(self, path: str) -> Choices:
        """Reads questions with choices; see `read_choices`."""
        return read_choices(path)

    def config(self, train: Choices) -> dict[str, Any]:
        """Gives nothing: choices have no names."""
        return {}

    def check(self, train: Choices, validation: Choices):
        """Checks nothing: any questions fit each other."""

    def data(self, model, examples: Choices, max_length: int) -> TaskData:
        """Encodes each question with each of its choices."""
        count = len(examples.choices[0])
        texts = [text for text in question_texts(examples) for _ in range(count)]
        pairs = list(itertools.chain.from_iterable(examples.choices))
        encoded = encode_texts(Examples(examples.path, texts, pairs), model.tokenizer, max_length)
        features = EncodedChoices(encoded, np.array(examples.labels, "int32"), count)
        summary = {
            "file": examples.path,
            "questions": len(features),
            "choices": count,
            "truncated": encoded.truncated,
        }
        return TaskData(examples, features, summary)

    def loss(self, model) -> keras.losses.Loss:
        """Gives the cross-entropy over the choices."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self, model) -> list[Any]:
        """Gives the accuracy."""
        return ["accuracy"]

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model.

        Returns:
            `rows`, `accuracy`, and `loss` in nats.
        """
        labels = data.features.labels
        logits = np.zeros((len(labels), data.features.choices), "float32")
        for rows, _, outputs in outputs_of_rows(model, data.features, batch_size):
            logits[rows] = outputs["logits"]
        return {
            "rows": len(labels),
            "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
            "loss": float(self.loss(model)(labels, logits)),
        }

    def served(self, model, tokenizer, **options) -> ServedMultipleChoice:
        """Gives the choices."""
        return ServedMultipleChoice(model, tokenizer, **options)


@dataclasses.dataclass(frozen=True)
class EncodedChoices:
    """Questions with their choices as ids; see `Features`.

    Attributes:
        texts: Each question with each of its choices, one after the other.
        labels: int32 array (questions,), index of the right choice.
        choices: Choices of a question (C).
    """

    texts: EncodedTexts
    labels: np.ndarray
    choices: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of the longest choice of each question, with the question."""
        return self.texts.lengths.reshape(-1, self.choices).max(axis=1)

    @property
    def max_length(self) -> int:
        """Longest sequence in tokens."""
        return self.texts.max_length

    def __len__(self) -> int:
        return len(self.labels)

    def pack(self, rows: tf.Tensor, length: tf.Tensor):
        """Gives inputs, int32 (B, C, S), and labels, int32 (B,)."""
        every = rows[:, None] * self.choices + tf.range(self.choices)  # (B, C)
        packed = self.texts.pack(tf.reshape(every, [-1]), length)
        shape = [-1, self.choices, length]
        inputs = {name: tf.reshape(values, shape) for name, values in packed.items()}
        return inputs, tf.gather(tf.constant(self.labels), rows)


class ServedMultipleChoice(Served):
    """A model from questions and choices to the one that goes with the question.

    `serving_default(text, choices)`, strings (B,) and (B, C), gives `choice`, int32 (B,), its
    index; `answer`, string (B,), the text itself; `score`, float32 (B,), its probability; and
    `choices.text`, `choices.score`, (B, C), `choices.count`, int32 (B,). What a question is about
    stands before it in the text.
    """

    task = MultipleChoice.name

    def __init__(self, model, tokenizer, **options):
        super().__init__(model, tokenizer, **options)
        self._scored = self.network(self._scores)

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        choices = tf.TensorSpec([None, None], tf.string, name="choices")
        return {
            "serving_default": (self.choose, [texts_spec("text"), choices]),
            "embed": (self.embed, [texts_spec("text")]),
            "tokenize": (self.tokenize, [texts_spec("text"), choices]),
        }

    def tokenize(self, text, choices=None):
        """Gives the inputs of the model, one row for each choice of each text."""
        if choices is None:
            return self.tokenizer(text)
        texts = tf.repeat(text, tf.shape(choices)[1])  # (B*C,)
        return self.tokenizer((texts, tf.reshape(choices, [-1])))

    def choose(self, text, choices):
        """Gives the choices for texts (B,)."""
        inputs = self.padded(self.tokenize(text, choices))
        logits = tf.reshape(self._scored(inputs)["logits"], tf.shape(choices))
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))  # (B, C)
        choice = tf.argmax(probabilities, axis=1, output_type=tf.int32)
        first = tf.range(tf.shape(choices)[0]) * tf.shape(choices)[1]
        return {
            "choice": choice,
            "answer": tf.gather(tf.reshape(choices, [-1]), first + choice),
            "score": tf.reduce_max(probabilities, axis=1),
            "choices.text": choices,
            "choices.score": probabilities,
            "choices.count": tf.fill(tf.shape(text), tf.shape(choices)[1]),
        }

    def _scores(self, inputs):
        pooled = self.model.bert(inputs, pooled_only=True, training=False)["pooler_output"]
        return {"logits": self.model.classifier(pooled, training=False)}  # (B*C, 1)


def question_texts(examples: Choices) -> list[str]:
    """Gives each question with what it is about before it.

    Args:
        examples: The questions.
    """
    contexts = examples.contexts or [""] * len(examples.questions)
    return [
        f"{context} {question}".strip()
        for context, question in zip(contexts, examples.questions, strict=True)
    ]
