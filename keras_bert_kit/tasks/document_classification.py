"""Texts of any length to labels or numbers, from windows over all of them."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from keras_bert_kit.data.documents import encode_documents
from keras_bert_kit.data.features import LabelledTexts
from keras_bert_kit.data.readers import Examples
from keras_bert_kit.models import BertForDocumentClassification
from keras_bert_kit.tasks.served import texts_spec
from keras_bert_kit.tasks.task import TaskData
from keras_bert_kit.tasks.text_classification import (
    REGRESSION,
    SINGLE_LABEL,
    ServedClassifier,
    TextClassification,
)
from keras_bert_kit.tokenization.rows import at_columns, put_back


@dataclasses.dataclass(frozen=True)
class DocumentClassification(TextClassification):
    """Texts of any length to labels or numbers, from windows over all of them.

    The recipe's `max_length` is the length of a window.

    Args:
        problem_type: One of `keras_bert_kit.config.PROBLEM_TYPES`.
        pooling: How one vector is made of those of the windows: "mean", "max" or "attention".
        stride: Tokens that a window shares with the one before it.
        max_windows: The most windows of a text in training and scoring; 0 takes all.
    """

    pooling: str = dataclasses.field(
        default="mean", metadata={"help": "Over the windows: mean, max or attention."}
    )
    stride: int = dataclasses.field(
        default=32, metadata={"help": "Tokens that a window shares with the one before it."}
    )
    max_windows: int = dataclasses.field(
        default=0, metadata={"help": "Most windows of a text in training; 0 takes all."}
    )

    name: ClassVar = "document-classification"
    model_class: ClassVar = BertForDocumentClassification
    defaults: ClassVar = {"batch_size": 8, "max_length": 256}

    @classmethod
    def of(cls, model):
        """Gives the task with the options that a model was trained with."""
        config = model.config
        return cls(
            problem_type=config.problem_type or SINGLE_LABEL,
            pooling=config.window_pooling or "mean",
            stride=config.window_stride or 0,
        )

    def config(self, train: Examples) -> dict[str, Any]:
        """Gives `id2label`, `problem_type`, and how windows are cut and pooled."""
        if train.text_pairs is not None:
            raise ValueError(f"{train.path}: long documents come alone. Remove text_pair")
        windows = {"window_pooling": self.pooling, "window_stride": self.stride}
        return {**super().config(train), **windows}

    def data(self, model, examples: Examples, max_length: int) -> TaskData:
        """Cuts texts into windows, and encodes labels."""
        labels = self._labels(examples, model.config.label_names)
        texts = encode_documents(
            examples, model.tokenizer.as_text(), max_length, self.stride, self.max_windows or None
        )
        summary = {
            "file": examples.path,
            "texts": len(texts),
            "empty": texts.empty,
            "truncated": texts.truncated,
            "windows": int(texts.lengths.sum()),
        }
        return TaskData(examples, LabelledTexts(examples.path, texts, labels), summary)

    def tokenizer(self, model, max_length: int):
        """Gives a tokenizer that reads special tokens in a text as text."""
        return model.tokenizer.as_text().in_graph(max_length)

    def served(self, model, tokenizer, **options) -> ServedDocuments:
        """Gives the answers for texts of any length."""
        return ServedDocuments(model, tokenizer, **options)


class ServedDocuments(ServedClassifier):
    """A classifier of texts of any length.

    `serving_default(text)` gives what `ServedClassifier` gives, and the windows with what each
    counted: `windows.start` and `windows.end`, int32 (B, W), in characters; `windows.weight`,
    float32 (B, W); and `windows.count`, int32 (B,).
    """

    task = DocumentClassification.name

    def __init__(self, model, tokenizer, **options):
        super().__init__(model, tokenizer, **options)
        self._windows = self.network(
            lambda inputs: model.bert(inputs, pooled_only=True, training=False)
        )
        self._pooled = self.network(self._classify, _POOLED)

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        text, examples = texts_spec("text"), texts_spec("inputs")
        functions = {
            "serving_default": (self.classify_text, [text]),
            "embed": (self.embed, [text]),
            "tokenize": (self.tokenize, [text]),
        }
        if self.kind != REGRESSION:
            functions["classify"] = (self.classify_examples, [examples])
        elif self.model.config.num_labels == 1:
            functions["regress"] = (self.classify_examples, [examples])
        return functions

    def classify_text(self, text):
        """Gives the answer for texts (B,)."""
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(text)
        probabilities, weights, position = self._of_windows(ids)
        real = position >= 0
        count = tf.reduce_sum(tf.cast(tf.reduce_any(real, 2), tf.int32), axis=1)
        first = tf.reduce_min(tf.where(real, position, tf.int32.max), axis=2)
        last = tf.maximum(tf.reduce_max(position, axis=2), 0)  # (B, W)
        first = tf.where(first <= last, first, 0)
        empty = tf.expand_dims(starts.row_lengths() == 0, 1)
        first, last = (
            tf.where(empty, 0, at_columns(*one)) for one in ((starts, first), (ends, last))
        )
        return {
            **self.answer(probabilities),
            "windows.start": self.tokenizer.character_offsets(text, first),
            "windows.end": self.tokenizer.character_offsets(text, last),
            "windows.weight": weights,
            "windows.count": count,
        }

    def _of_windows(self, ids):
        """Gives probabilities (B, C), weights (B, W) and places of tokens (B, W, S)."""
        windows = self.tokenizer.windows(
            ids,
            max_length=self.tokenizer.max_length,
            stride=self.model.config.window_stride or 0,
        )
        position = windows.pop("position")
        real = tf.reduce_any(windows["attention_mask"] > 0, axis=2)  # (B, W)
        flat = {name: tf.boolean_mask(values, real) for name, values in windows.items()}
        vectors = self._windows(self.padded(flat))["pooler_output"]  # (T, H)
        outputs = self._pooled({"vectors": put_back(vectors, real), "real": real})
        return self.numbers(outputs["logits"]), outputs["window_weights"], position

    def _classify(self, inputs):
        vectors = tf.cast(inputs["vectors"], self.model.compute_dtype)
        vector, weights = self.model.window_pooling(
            vectors, inputs["real"], return_window_weights=True
        )
        return {"logits": self.model.classifier(vector), "window_weights": weights}

    def _of_texts(self, text):
        return self._of_windows(self.tokenizer.tokenize(text))[0]


_POOLED = (
    tf.TensorSpec([None, None, None], tf.float32, name="vectors"),
    tf.TensorSpec([None, None], tf.bool, name="real"),
)
