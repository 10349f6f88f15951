"""Who does what to whom: the predicates of a text and their arguments."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from keras_bert_kit.data.conll import TaggedSentences
from keras_bert_kit.data.propositions import Propositions, read_propositions
from keras_bert_kit.data.tagging_scores import tagging_scores
from keras_bert_kit.data.tokens import encode_words
from keras_bert_kit.tasks.served import texts_spec
from keras_bert_kit.tasks.tagging import Words, entities_of, listed, word_mask, words_of
from keras_bert_kit.tasks.task import TaskData
from keras_bert_kit.tasks.token_classification import (
    ServedTagger,
    TokenClassification,
    predicted_tags,
)
from keras_bert_kit.tokenization.rows import places_in_rows

_PREDICATE = "V"


@dataclasses.dataclass(frozen=True)
class SemanticRoleLabeling(TokenClassification):
    """Who does what to whom: the predicates of a text and their arguments.

    One tagger does both: with no token marked it finds the predicates of a text, and with the
    tokens of one predicate marked, by token type 1, that one's arguments.

    Args:
        crf: Whether a linear-chain CRF stands on top.
        lstm: Units of each direction of an LSTM under it; 0 means none.

    Reference:
        Shi and Lin 2019, Simple BERT Models for Relation Extraction and Semantic Role Labeling,
        section 3 (https://arxiv.org/abs/1904.05255), which marks the predicate in another way.
    """

    name: ClassVar = "semantic-role-labeling"
    purpose: ClassVar = "finds predicates and their arguments: {labels}"
    # Many rare roles: the head, which is new, needs more than BERT's rate.
    defaults: ClassVar = {"head_learning_rate": 1e-3}

    def read(self, path: str) -> Propositions:
        """Reads sentences with predicates and roles; see `read_propositions`."""
        return read_propositions(path)

    def config(self, train: Propositions) -> dict[str, Any]:
        """Gives the roles as `id2label`, and the layers on top."""
        return super().config(_tagged(train))

    def check(self, train: Propositions, validation: Propositions):
        """Checks nothing: a role that training does not know is always wrong."""

    def groups(self, examples: Propositions) -> list[str]:
        """Gives the sentence of each row."""
        return [" ".join(words) for words in examples.words]

    def data(self, model, examples: Propositions, max_length: int) -> TaskData:
        """Encodes each sentence with each of its predicates, and once without."""
        names = model.config.label_names
        known = [[tag if tag in names else "O" for tag in tags] for tags in examples.tags]
        features = encode_words(
            TaggedSentences(examples.path, examples.words, known),
            model.tokenizer.as_text(),
            names,
            max_length,
            examples.predicates,
        )
        summary = {
            "file": examples.path,
            "sentences": examples.sentences,
            "predicates": len(examples) - examples.sentences,
            "truncated": features.truncated,
        }
        return TaskData(examples, features, summary)

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model by the arguments of the predicates that the file gives.

        Returns:
            `rows`, `loss`, what `tagging_scores` gives for the arguments, and `predicate_f1`, by
            which predicates are found.
        """
        predicted, loss = predicted_tags(model, data, batch_size)
        true = data.examples.tags
        given = [place is not None for place in data.examples.predicates]
        scores = tagging_scores(
            *(
                [_arguments(tags) for tags, one in zip(side, given, strict=True) if one]
                for side in (true, predicted)
            )
        )
        predicates = tagging_scores(
            *([tags for tags, one in zip(side, given, strict=True) if not one]
              for side in (true, predicted))
        )  # fmt: skip
        return {
            "rows": len(predicted),
            **scores,
            "predicate_f1": predicates["f1"],
            "loss": loss,
        }

    def served(self, model, tokenizer, **options) -> ServedRoles:
        """Gives the predicates of texts with their arguments."""
        return ServedRoles(model, tokenizer, **options)


class ServedRoles(ServedTagger):
    """A tagger from texts to predicates and arguments.

    `serving_default(text)` gives `predicates.text`, `predicates.start`, `predicates.end`,
    `predicates.score`, (B, N), and `predicates.count`, int32 (B,); and `arguments.predicate`,
    int32 (B, M), the number of the predicate in its text, `arguments.label`, `arguments.text`,
    `arguments.start`, `arguments.end`, `arguments.score`, (B, M), and `arguments.count`, int32
    (B,). Starts and ends are in characters.
    """

    task = SemanticRoleLabeling.name

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        functions = super().functions()
        return {**functions, "serving_default": (self.find, [texts_spec("text")])}

    def find(self, text):
        """Gives the predicates and arguments of texts (B,)."""
        ids, starts, ends = self.tokenizer.tokenize_with_offsets(text)
        inputs = self.padded(self.tokenizer.pack(ids, max_length=self.tokenizer.max_length))
        begins = word_mask(self.tokenizer, inputs["input_ids"])
        words = words_of(begins, starts, ends)
        tagged = self._tagged(inputs)
        found = entities_of(words, tagged["tags"], tagged["scores"], self.table)
        predicates = found.where(found.types == self._predicate)
        marked = self._marked(inputs, begins, words, predicates)
        again = self._tagged(marked)
        of_each = _words_of_each(words, predicates.rows)
        arguments = entities_of(of_each, again["tags"], again["scores"], self.table)
        arguments = arguments.where(arguments.types != self._predicate)
        number = places_in_rows(predicates.rows, tf.shape(text)[0])
        of_predicate = tf.gather(number, arguments.rows)
        in_text = dataclasses.replace(arguments, rows=tf.gather(predicates.rows, arguments.rows))
        given = self.tokenizer, text
        return {
            **listed("predicates", *given, predicates),
            **listed("arguments", *given, in_text, self.table.types, predicate=of_predicate),
        }

    @property
    def _predicate(self) -> int:
        """Index of the predicates' type; one that no word has where the model knows none."""
        types = self.table.types
        return types.index(_PREDICATE) if _PREDICATE in types else len(types)

    def _marked(self, inputs, begins, words: Words, predicates):
        """Gives the inputs once for each predicate (P, S), with type 1 at its tokens."""
        word = tf.cumsum(tf.cast(begins, tf.int32), axis=1)  # (B, S), from 1 on
        place = tf.gather(words.places, predicates.first_words)
        chosen = tf.gather_nd(word, tf.stack([predicates.rows, place], axis=1))  # (P,)
        rows = {name: tf.gather(values, predicates.rows) for name, values in inputs.items()}
        is_word = rows["input_ids"] != self.tokenizer.sep_token_id
        own = tf.gather(word, predicates.rows) == tf.expand_dims(chosen, 1)
        own &= is_word & (rows["attention_mask"] > 0)
        return {**rows, "token_type_ids": tf.where(own, 1, 0)}


def _words_of_each(words: Words, rows: tf.Tensor) -> Words:
    """Gives the words of the text of each predicate, the predicates as rows."""
    same = tf.expand_dims(rows, 1) == tf.expand_dims(words.rows, 0)  # (P, T)
    found = tf.cast(tf.where(same), tf.int32)
    numbers = found[:, 1]
    return Words(
        rows=found[:, 0],
        places=tf.gather(words.places, numbers),
        starts=tf.gather(words.starts, numbers),
        ends=tf.gather(words.ends, numbers),
    )


def _tagged(examples: Propositions) -> TaggedSentences:
    return TaggedSentences(examples.path, examples.words, examples.tags)


def _arguments(tags: list[str]) -> list[str]:
    return ["O" if tag.endswith(f"-{_PREDICATE}") else tag for tag in tags]
