"""Words with tags to ids with labels, kept in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.conll import TaggedSentences
from keras_bert_kit.data.features import encode_labels
from keras_bert_kit.data.sequences import EncodedSequences, joined_rows, padded_rows
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_CHUNK = 2048  # sentences tokenized in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedWords(EncodedSequences):
    """Sentences as ids, with a label at the first token of each of BERT's words.

    Attributes:
        ids: int32 array (sentences, S).
        types: int32 array (sentences, S), token type ids.
        lengths: int32 array (sentences,), tokens of each sentence.
        max_length: Longest sequence in tokens, specials included.
        pad_token_id: The id behind the end of a sentence.
        labels: int32 array (sentences, S), -1 where there is none.
        first_places: For each sentence, int32 array (words,): the place of each word's first
            token, -1 where it was cut off or has none.
        truncated: How many sentences were cut.
    """

    labels: np.ndarray
    first_places: list[np.ndarray]
    truncated: int

    def pack(self, rows: tf.Tensor, length: tf.Tensor):
        """Gives a batch; see `Features`.

        Args:
            rows: int32 tensor (B,), numbers of the sentences.
            length: int32 scalar, length to pad to.

        Returns:
            Inputs, a dict of int32 (B, S); labels, int32 (B, S), 0 where there is none; and
            weights, float32 (B, S), above 0 where there is one, of mean 1 over the batch.
        """
        labels = padded_rows(self.labels, rows, length, -1)
        weights = tf.cast(labels >= 0, tf.float32)
        weights /= tf.maximum(tf.reduce_mean(weights), 1e-9)
        return self.inputs(rows, length), tf.maximum(labels, 0), weights

    def word_tags(
        self, tags_of_rows: Sequence[np.ndarray], label_names: Sequence[str]
    ) -> list[list[str]]:
        """Gives the tag of each word.

        Args:
            tags_of_rows: For each sentence, int array (S,): the tag at each place.
            label_names: The tags, in the order of their indices.

        Returns:
            The names, "O" for a word that was cut off or has no token.
        """
        return [
            [label_names[tags[place]] if place >= 0 else "O" for place in places]
            for tags, places in zip(tags_of_rows, self.first_places, strict=True)
        ]


def encode_words(
    sentences: TaggedSentences,
    tokenizer: BertTokenizer,
    label_names: Sequence[str],
    max_length: int = 128,
    predicates: Sequence[int | None] | None = None,
) -> EncodedWords:
    """Tokenizes words and gives their tags to the tokens.

    BERT splits a word of a file, such as "U.S.", into words of its own. The first one has the tag,
    and the others the one that goes on with it, so that a text that comes without words is tagged
    alike. Further pieces (##) have no label.

    Args:
        sentences: The sentences, their tags in IOB2.
        tokenizer: The model's tokenizer.
        label_names: The tags, in the order of their indices.
        max_length: Longest sequence in tokens, specials included.
        predicates: For each sentence the number of the word whose tokens have type 1, or `None`.

    Raises:
        ValueError: A tag is not among the names, or `max_length` leaves no room.
    """
    flat = [tag for tags in sentences.tags for tag in tags]
    tag_ids = encode_labels(flat, label_names, sentences.path)
    first_tag = np.cumsum([0, *map(len, sentences.tags)])[:-1]  # of each sentence
    names = {name: index for index, name in enumerate(label_names)}
    goes_on = np.array([names.get(f"I{name[1:]}", i) for i, name in enumerate(label_names)])
    begins = np.array([not token.startswith("##") for token in tokenizer.tokens])

    count = len(sentences.words)
    ids, word_ids, lengths = _tokenized(sentences.words, tokenizer, max_length)
    is_word = word_ids >= 0
    before = np.pad(word_ids, [(0, 0), (1, 0)], constant_values=-1)[:, :-1]
    first = is_word & (word_ids != before)
    of_word = tag_ids[np.where(is_word, first_tag[:, None] + word_ids, 0)] if len(flat) else ids
    labels = np.where(first, of_word, np.where(is_word & begins[ids], goes_on[of_word], -1))
    types = np.zeros_like(ids)
    if predicates is not None:
        wanted = np.array([-2 if word is None else word for word in predicates])
        types = (word_ids == wanted[:, None]).astype("int32")
    places = [np.full(len(words), -1, "int32") for words in sentences.words]
    for row, place in zip(*np.nonzero(first), strict=True):
        places[row][word_ids[row, place]] = place
    reached = word_ids.max(axis=1, initial=-1) + 1
    return EncodedWords(
        ids=ids,
        types=types,
        labels=labels.astype("int32"),
        lengths=lengths,
        max_length=max_length,
        pad_token_id=tokenizer.pad_token_id,
        first_places=places,
        truncated=int(sum(reached[row] < len(sentences.words[row]) for row in range(count))),
    )


def _tokenized(words, tokenizer: BertTokenizer, max_length: int):
    """Gives ids and word numbers, int32 (sentences, S), and lengths, int32 (sentences,)."""
    parts = [
        tokenizer(
            words[start : start + _CHUNK],
            max_length=max_length,
            is_split_into_words=True,
            return_word_ids=True,
        )
        for start in range(0, len(words), _CHUNK)
    ]
    lengths = np.concatenate([part["attention_mask"].sum(axis=1) for part in parts])
    return (
        joined_rows([part["input_ids"] for part in parts], tokenizer.pad_token_id),
        joined_rows([part["word_ids"] for part in parts], -1),
        lengths.astype("int32"),
    )
