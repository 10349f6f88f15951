"""Answers to questions, as spans of a context of any length."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import tensorflow as tf

from keras_bert_kit.data.squad import Questions, read_squad
from keras_bert_kit.data.squad_scores import squad_scores
from keras_bert_kit.data.windows import encode_questions
from keras_bert_kit.models import BertForQuestionAnswering
from keras_bert_kit.tasks.served import Served, texts_spec
from keras_bert_kit.tasks.task import Task, TaskData
from keras_bert_kit.tokenization.rows import at_columns, put_back

#: Tokens of a question that are looked at, and tokens that a window shares with the one before.
MAX_QUERY_LENGTH, STRIDE = 64, 128
_IMPOSSIBLE = -1e9


@dataclasses.dataclass(frozen=True)
class QuestionAnswering(Task):
    """Answers to questions, as spans of a context of any length.

    Reference:
        Devlin et al. 2018, sections 4.2 and 4.3 (https://arxiv.org/abs/1810.04805).
    """

    name: ClassVar = "question-answering"
    purpose: ClassVar = "finds the answer to a question in a text"
    metric: ClassVar = "f1"
    model_class: ClassVar = BertForQuestionAnswering
    # google-research/bert, README: run_squad.py for SQuAD 1.1
    defaults: ClassVar = {"epochs": 2, "batch_size": 12, "learning_rate": 3e-5, "max_length": 384}

    def read(self, path: str) -> Questions:
        """Reads a file in SQuAD's format; see `read_squad`."""
        return read_squad(path)

    def config(self, train: Questions) -> dict[str, Any]:
        """Gives nothing; refuses a file without an answer."""
        if not any(train.answers):
            raise ValueError(
                f"{train.path}: some question must have an answer to train on. "
                f"Received: {len(train.questions)} questions without one"
            )
        return {}

    def check(self, train: Questions, validation: Questions):
        """Checks nothing: any questions fit each other."""

    def groups(self, examples: Questions) -> list[str]:
        """Gives the context of each question."""
        return examples.contexts

    def data(self, model, examples: Questions, max_length: int) -> TaskData:
        """Encodes each question with each window of its context."""
        features = encode_questions(
            examples,
            model.tokenizer.as_text(),
            max_length=max_length,
            stride=window_stride(max_length),
            max_query_length=query_length(max_length),
        )
        summary = {
            "file": examples.path,
            "questions": len(examples.questions),
            "windows": len(features),
            "moved answers": examples.moved,
            "dropped answers": examples.dropped,
        }
        return TaskData(examples, features, summary)

    def loss(self, model) -> dict[str, keras.losses.Loss]:
        """Gives half the cross-entropy over the places, for starts and for ends.

        Their sum is the mean of the two, as in BERT's own run on SQuAD: that it is not twice as
        large counts where gradients are clipped.
        """
        return {
            name: _HalfCrossentropy(from_logits=True) for name in ("start_logits", "end_logits")
        }

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores the answers that a served model would give.

        Where a file has questions without an answer, a question gets none where that is more
        probable than the best answer.

        Returns:
            `rows`, questions, and what `squad_scores` gives.
        """
        questions = data.examples
        served = self.served(model, self.tokenizer(model, data.features.max_length))
        answer = served.signatures()["serving_default"]
        sizes = [
            len(q) + len(c) for q, c in zip(questions.questions, questions.contexts, strict=True)
        ]
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        predictions = {}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            found = answer(
                question=tf.constant([questions.questions[row] for row in rows]),
                context=tf.constant([questions.contexts[row] for row in rows]),
            )
            texts = found["answer"].numpy()
            none = (found["no_answer"] > found["score"]).numpy() & any(questions.impossible)
            for row, text, is_none in zip(rows, texts, none, strict=True):
                predictions[questions.ids[row]] = "" if is_none else text.decode()
        return {"rows": len(order), **squad_scores(predictions, questions)}

    def tokenizer(self, model, max_length: int):
        """Gives a tokenizer that reads special tokens in a text as text."""
        return model.tokenizer.as_text().in_graph(max_length)

    def served(self, model, tokenizer, **options) -> ServedQuestionAnswering:
        """Gives the answers to questions."""
        return ServedQuestionAnswering(model, tokenizer, **options)


class _HalfCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) / 2


class ServedQuestionAnswering(Served):
    """A model from questions and contexts of any length to answers.

    `serving_default(question, context)` gives `answer`, string (B,); `start` and `end`, int32 (B,),
    in characters of the context; `score`, float32 (B,), its probability among the best answers
    and none; `no_answer`, float32 (B,), the probability that there is none; and the 20 best
    answers, `n_best.text`, `n_best.start`, `n_best.end`, `n_best.score`, (B, N), with
    `n_best.count`, int32 (B,). A context without tokens has no answer: "" with the score 0.
    """

    task = QuestionAnswering.name
    n_best = 20
    max_answer_length = 30  # tokens

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        question, context = texts_spec("question"), texts_spec("context")
        return {
            "serving_default": (self.answer, [question, context]),
            "embed": (self.embed, [texts_spec("text")]),
            "tokenize": (self.tokenize, [question, context]),
        }

    def tokenize(self, question, context=None):
        """Gives the inputs of the model for a text, or for a question and its first window."""
        return self.tokenizer(question if context is None else (question, context))

    def answer(self, question, context):
        """Gives the answers to questions (B,)."""
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(context)
        scores, firsts, lasts, none = self._spans(question, ids)
        probabilities = tf.nn.softmax(tf.concat([scores, none], 1))  # (B, N + 1)
        is_real = scores > _IMPOSSIBLE / 2
        first_bytes = tf.where(is_real, at_columns(starts, firsts), 0)
        last_bytes = tf.where(is_real, at_columns(ends, lasts), 0)
        n_best = {
            "text": self.tokenizer.parts_of(context, first_bytes, last_bytes),
            "start": self.tokenizer.character_offsets(context, first_bytes),
            "end": self.tokenizer.character_offsets(context, last_bytes),
            "score": tf.where(is_real, probabilities[:, :-1], 0.0),
        }
        best = {"answer" if name == "text" else name: v[:, 0] for name, v in n_best.items()}
        return {
            **best,
            "no_answer": probabilities[:, -1],
            **{f"n_best.{name}": values for name, values in n_best.items()},
            "n_best.count": tf.reduce_sum(tf.cast(is_real, tf.int32), axis=1),
        }

    def _spans(self, question, ids):
        """Gives the best spans of contexts, tokens (B, N): scores, first and last token, none."""
        length = self.tokenizer.max_length
        windows = self.tokenizer.windows(
            ids,
            self.tokenizer.tokenize(question),
            max_length=length,
            stride=window_stride(length),
            max_question_length=query_length(length),
        )
        position = windows.pop("position")  # (B, W, S)
        real = tf.reduce_any(windows["attention_mask"] > 0, axis=2)  # (B, W)
        inputs = {name: tf.boolean_mask(values, real) for name, values in windows.items()}  # (T, S)
        outputs = self.outputs(self.padded(inputs))
        places = tf.boolean_mask(position, real)
        size = tf.shape(places)[1]
        firsts, lasts = (
            tf.cast(outputs[name], tf.float32)[:, :size] for name in ("start_logits", "end_logits")
        )
        scores, first, last = self._spans_of_windows(firsts, lasts, places)  # (T, M)

        def by_row(values, default):
            return tf.reshape(put_back(values, real, default), [tf.shape(real)[0], -1])

        none = by_row((firsts[:, :1] + lasts[:, :1]), float("inf"))  # at [CLS]
        none = tf.reduce_min(none, axis=1, keepdims=True)
        scores, first, last = by_row(scores, _IMPOSSIBLE), by_row(first, 0), by_row(last, 0)
        scores = tf.where(_is_repeated(scores, first, last), _IMPOSSIBLE, scores)
        scores, best = tf.math.top_k(scores, self.n_best)
        return scores, *(tf.gather(x, best, batch_dims=1) for x in (first, last)), none

    def _spans_of_windows(self, firsts, lasts, places):
        """Gives the best spans of each window (T, M), as tokens of the context."""
        outside = tf.where(places >= 0, 0.0, 2 * _IMPOSSIBLE)
        missing = tf.maximum(self.n_best - tf.shape(places)[1], 0)
        padding = [[0, 0], [0, missing]]
        places = tf.pad(places, padding)
        firsts = tf.pad(firsts + outside, padding, constant_values=2 * _IMPOSSIBLE)
        lasts = tf.pad(lasts + outside, padding, constant_values=2 * _IMPOSSIBLE)
        starts, first = tf.math.top_k(firsts, self.n_best)  # (T, K)
        ends, last = tf.math.top_k(lasts, self.n_best)
        places = tf.maximum(places, 0)
        first, last = (tf.gather(places, one, batch_dims=1) for one in (first, last))
        length = tf.expand_dims(last, 1) - tf.expand_dims(first, 2)  # (T, K, K)
        fits = (length >= 0) & (length < self.max_answer_length)
        scores = tf.expand_dims(starts, 2) + tf.expand_dims(ends, 1)
        scores = tf.where(fits & (scores > _IMPOSSIBLE / 2), scores, _IMPOSSIBLE)
        shape = [tf.shape(scores)[0], self.n_best**2]
        scores, best = tf.math.top_k(tf.reshape(scores, shape), self.n_best)
        row, column = best // self.n_best, best % self.n_best
        return (
            scores,
            tf.gather(first, row, batch_dims=1),
            tf.gather(last, column, batch_dims=1),
        )


def window_stride(max_length: int) -> int:
    """Gives how many tokens a window shares with the one before: 128, less in short windows.

    Args:
        max_length: Longest sequence in tokens.
    """
    return min(STRIDE, max_length // 3)


def query_length(max_length: int) -> int:
    """Gives how many tokens of a question are looked at: 64, less in short windows.

    Args:
        max_length: Longest sequence in tokens.
    """
    return min(MAX_QUERY_LENGTH, max_length // 3)


def _is_repeated(scores, first, last):
    """Tells which spans (B, M) another window has with a higher score, or the same and earlier."""

    def each_other(values):
        return tf.expand_dims(values, 2), tf.expand_dims(values, 1)  # (B, M, 1), (B, 1, M)

    (first, other_first), (last, other_last) = each_other(first), each_other(last)
    score, other_score = each_other(scores)
    place, other_place = each_other(tf.expand_dims(tf.range(tf.shape(scores)[1]), 0))
    better = (other_score > score) | ((other_score == score) & (other_place < place))
    return tf.reduce_any((first == other_first) & (last == other_last) & better, axis=2)
