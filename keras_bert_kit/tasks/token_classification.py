"""Tags over the words of a text: named entities and their like."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.data.conll import TaggedSentences, read_conll, tag_names
from keras_bert_kit.data.tagging_scores import tagging_scores
from keras_bert_kit.data.tokens import encode_words
from keras_bert_kit.models import BertForTokenClassification
from keras_bert_kit.tasks.served import IDS, MASK, TYPES, Served, texts_spec
from keras_bert_kit.tasks.tagging import TagTable, entities_of, listed, word_mask, words_of
from keras_bert_kit.tasks.task import Task, TaskData, outputs_of_rows


@dataclasses.dataclass(frozen=True)
class TokenClassification(Task):
    """Tags over the words of a text: named entities and their like.

    Args:
        crf: Whether a linear-chain CRF stands on top.
        lstm: Units of each direction of an LSTM under it; 0 means none.
    """

    crf: bool = dataclasses.field(
        default=False, metadata={"help": "Put a linear-chain CRF on top."}
    )
    lstm: int = dataclasses.field(
        default=0, metadata={"help": "Units of each direction of a BiLSTM on top of BERT."}
    )

    name: ClassVar = "token-classification"
    purpose: ClassVar = "finds in texts {labels}"
    metric: ClassVar = "f1"
    model_class: ClassVar = BertForTokenClassification

    @property
    def defaults(self) -> dict[str, Any]:
        """A rate for new layers that learn too slowly at BERT's."""
        return {"head_learning_rate": 1e-3} if self.crf or self.lstm else {}

    @classmethod
    def of(cls, model):
        """Gives the task with the options that a model was trained with."""
        return cls(crf=model.config.use_crf, lstm=model.config.lstm_hidden_size or 0)

    def read(self, path: str) -> TaggedSentences:
        """Reads sentences in columns, one word a line; see `read_conll`."""
        return read_conll(path)

    def config(self, train: TaggedSentences) -> dict[str, Any]:
        """Gives the tags as `id2label`, and the layers on top."""
        names = tag_names(train)
        if len(names) < 2:
            raise ValueError(
                f"{train.path}: some word must have another tag than {names[0]!r}. "
                f"Received: {len(train.words)} sentences without one"
            )
        return {
            "id2label": names,
            "use_crf": self.crf,
            "lstm_hidden_size": self.lstm or None,
        }

    def check(self, train: TaggedSentences, validation: TaggedSentences):
        """Checks that the tags of the second file are among those of the first."""
        known = tag_names(train)
        unknown = [name for name in tag_names(validation) if name not in known]
        if unknown:
            raise ValueError(
                f"{validation.path}: each tag must be one of those in {train.path}: "
                f"{', '.join(known)}. Received: {', '.join(unknown)}"
            )

    def data(self, model, examples: TaggedSentences, max_length: int) -> TaskData:
        """Encodes words and tags."""
        features = encode_words(
            examples, model.tokenizer.as_text(), model.config.label_names, max_length
        )
        summary = {
            "file": examples.path,
            "sentences": len(examples.words),
            "words": sum(map(len, examples.words)),
            "scheme": examples.scheme,
            "repairs": examples.repairs,
            "truncated": features.truncated,
        }
        return TaskData(examples, features, summary)

    def loss(self, model) -> keras.losses.Loss:
        """Gives the cross-entropy; a model with a CRF has its own."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model by its entities.

        Returns:
            `rows`, `loss`, and what `tagging_scores` gives.
        """
        predicted, loss = predicted_tags(model, data, batch_size)
        scores = tagging_scores(data.examples.tags, predicted)
        return {"rows": len(predicted), **scores, "loss": loss}

    def tokenizer(self, model, max_length: int):
        """Gives a tokenizer that reads special tokens in a text as text."""
        return model.tokenizer.as_text().in_graph(max_length)

    def lite_lacks(self, model) -> str:
        """Names what a CRF and an LSTM need."""
        if not (model.config.use_crf or model.config.lstm_hidden_size):
            return ""
        return (
            "loops over a length that is not known, which a CRF and an LSTM are "
            f"(use_crf={model.config.use_crf}, lstm_hidden_size={model.config.lstm_hidden_size})"
        )

    def served(self, model, tokenizer, **options) -> ServedTagger:
        """Gives the entities of texts."""
        return ServedTagger(model, tokenizer, **options)


class ServedTagger(Served):
    """A tagger from texts to entities.

    `serving_default(text)` gives `entities.text`, `entities.label`, `entities.start`,
    `entities.end`, `entities.score`, (B, N), and `entities.count`, int32 (B,): the longest runs of
    words with tags of a type. Starts and ends are in characters; a score is the mean probability of
    the words' tags. `tokens` gives `tags`, string (B, S), and `scores`, float32 (B, S), which count
    at the first token of each word.
    """

    task = TokenClassification.name

    def __init__(self, model, tokenizer, **options):
        super().__init__(model, tokenizer, **options)
        self.table = TagTable(model.config.label_names)
        self._tagged = self.network(self._tags)

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        text = texts_spec("text")
        return {
            "serving_default": (self.find, [text]),
            "tokens": (self.tag_tokens, [IDS, MASK, TYPES]),
            "embed": (self.embed, [text]),
            "tokenize": (self.tokenize, [text]),
        }

    def find(self, text):
        """Gives the entities of texts (B,)."""
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(text)
        inputs = self.padded(self.tokenizer.pack(ids, max_length=self.tokenizer.max_length))
        tagged = self._tagged(inputs)
        words = words_of(word_mask(self.tokenizer, inputs["input_ids"]), starts, ends)
        entities = entities_of(words, tagged["tags"], tagged["scores"], self.table)
        return listed("entities", self.tokenizer, text, entities, self.table.types)

    def tag_tokens(self, input_ids, attention_mask, token_type_ids):
        """Gives the tags of tokens (B, S)."""
        inputs = self.padded(self.own_tokens(input_ids, attention_mask, token_type_ids))
        tagged = self._tagged(inputs)
        names = tf.constant(self.model.config.label_names)
        length = tf.shape(input_ids)[1]
        return {
            "tags": tf.gather(names, tagged["tags"][:, :length]),
            "scores": tagged["scores"][:, :length],
        }

    def _tags(self, inputs):
        """Gives the tag at each place, int32 (B, S), and its probability, float32 (B, S)."""
        mask = word_mask(self.tokenizer, inputs["input_ids"])
        logits = self.model(inputs, training=False)["logits"]
        tags = self.model.decode(logits, mask)
        probabilities = tf.cast(self.model.tag_probabilities(logits, mask), tf.float32)
        return {"tags": tags, "scores": tf.gather(probabilities, tags, axis=2, batch_dims=2)}


def predicted_tags(
    model: BertForTokenClassification, data: TaskData, batch_size: int
) -> tuple[list[list[str]], float]:
    """Gives the tag of each word of each sentence, and the loss.

    Args:
        model: The model.
        data: What `encode_words` made.
        batch_size: Rows of a batch.

    Returns:
        The tags, "O" for a word that was cut off; and the mean loss of a labelled place, in nats.
    """
    places_of_rows: list[np.ndarray] = [np.zeros(0, "int32")] * len(data.features)
    total, count = 0.0, 0
    decode = _compiled(model)
    for rows, (_, labels, weights), outputs in outputs_of_rows(model, data.features, batch_size):
        logits, mask = outputs["logits"], weights > 0
        tags, loss = decode(*map(tf.constant, (logits, labels, mask)))
        for row, found in zip(rows, tags.numpy(), strict=True):
            places_of_rows[row] = found
        total += float(loss)
        count += int(mask.sum())
    tags = data.features.word_tags(places_of_rows, model.config.label_names)
    return tags, total / max(count, 1)


@functools.lru_cache(maxsize=1)
def _compiled(model: BertForTokenClassification) -> Callable:
    """Gives a graph from logits, labels and mask to tags and the sum of the losses, in nats."""

    def decode(logits, labels, mask):
        if model.crf is not None:
            losses = -model.crf.log_likelihood(logits, labels, mask)
        else:
            losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            losses = tf.where(mask, losses, 0.0)
        return model.decode(logits, mask), tf.reduce_sum(losses)

    return tf.function(decode, autograph=False, reduce_retracing=True)
