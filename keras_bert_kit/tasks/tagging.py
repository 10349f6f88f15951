"""Tags over words, in the graph: where words begin, and the entities that tags make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_kit.tokenization.in_graph import InGraphTokenizer
from keras_bert_kit.tokenization.rows import counts_of, dense_rows, places_in_rows

_BEGINS = ("B", "S", "U")
_PREFIXES = (*_BEGINS, "I", "M", "E", "L")


class TagTable:
    """What the names of tags say, as constants of a graph.

    A tag is "O", or a type with a prefix such as "B-" or "I-"; a name without a prefix is a type of
    which neighbours belong together.

    Args:
        names: The tags, in the order of their indices.

    Attributes:
        types: The types, in order.
        type_of: int32 tensor (C,), index of each tag's type, -1 for "O".
        begins: bool tensor (C,), whether the tag begins an entity.
    """

    def __init__(self, names: Sequence[str]):
        parts = [_split(name) for name in names]
        self.types = sorted({type_ for _, type_ in parts} - {""})
        index = {"": -1, **{name: number for number, name in enumerate(self.types)}}
        self.type_of = tf.constant([index[type_] for _, type_ in parts], tf.int32)
        self.begins = tf.constant([prefix in _BEGINS for prefix, _ in parts])


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of a batch of texts, one after the other (T in all).

    Attributes:
        rows: int32 tensor (T,), the text that each is from, increasing.
        places: int32 tensor (T,), the place of its first token in the sequence.
        starts: int32 tensor (T,), where it starts in its text, in bytes.
        ends: int32 tensor (T,), where it ends.
    """

    rows: tf.Tensor
    places: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor

    def of(self, dense: tf.Tensor) -> tf.Tensor:
        """Gives the values of a tensor (B, S, ...) at each word's first token, (T, ...)."""
        return tf.gather_nd(dense, tf.stack([self.rows, self.places], axis=1))


@dataclasses.dataclass(frozen=True)
class Entities:
    """Runs of words that belong together (E in all), in the order of the texts.

    Attributes:
        rows: int32 tensor (E,), the text that each is from.
        types: int32 tensor (E,), index of its type.
        starts: int32 tensor (E,), where it starts in its text, in bytes.
        ends: int32 tensor (E,), where it ends.
        scores: float32 tensor (E,), mean of its words' scores.
        first_words: int32 tensor (E,), index of its first word in `Words`.
    """

    rows: tf.Tensor
    types: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    scores: tf.Tensor
    first_words: tf.Tensor

    def where(self, chosen: tf.Tensor) -> Entities:
        """Gives those for which `chosen`, bool (E,), holds."""
        values = vars(self).items()
        return Entities(**{name: tf.boolean_mask(v, chosen) for name, v in values})


def word_mask(tokenizer: InGraphTokenizer, input_ids: tf.Tensor) -> tf.Tensor:
    """Tells where words begin: tokens that do not go on with a word, special ones apart.

    Args:
        tokenizer: The tokenizer.
        input_ids: int32 tensor (B, S).

    Returns:
        bool tensor (B, S).
    """
    vocab = tokenizer.get_config()["vocab"]
    begins = np.array([not token.startswith("##") for token in vocab])
    for special in (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id):
        begins[special] = False
    return tf.gather(tf.constant(begins), input_ids)


def words_of(begins: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor) -> Words:
    """Gives the words of a batch.

    Args:
        begins: bool tensor (B, S), where words begin.
        starts: int32 ragged tensor (B, None), where each token starts in its text; the first
            token stands at place 1 of its sequence, after [CLS].
        ends: The same, where it ends.
    """
    length = tf.shape(begins)[1]
    rows = tf.cast(starts.value_rowids(), tf.int32)
    places = places_in_rows(rows, tf.shape(begins)[0]) + 1  # behind [CLS]
    kept = places < length - 1  # what was cut has no place
    rows = tf.boolean_mask(rows, kept)
    places = tf.boolean_mask(places, kept)
    token_starts = tf.boolean_mask(starts.flat_values, kept)
    token_ends = tf.boolean_mask(ends.flat_values, kept)
    first = tf.gather_nd(begins, tf.stack([rows, places], axis=1))  # (tokens,)
    number = tf.maximum(tf.cumsum(tf.cast(first, tf.int32)) - 1, 0)
    return Words(
        rows=tf.boolean_mask(rows, first),
        places=tf.boolean_mask(places, first),
        starts=tf.boolean_mask(token_starts, first),
        ends=tf.math.unsorted_segment_max(token_ends, number, _how_many(first)),
    )


def entities_of(words: Words, tags: tf.Tensor, scores: tf.Tensor, table: TagTable) -> Entities:
    """Joins words to entities: one begins at a begin tag, or where the type changes.

    Args:
        words: The words.
        tags: int32 tensor (B, S), the tag at each place.
        scores: float32 tensor (B, S), its probability.
        table: The tags.
    """
    tag = words.of(tags)
    types = tf.gather(table.type_of, tag)
    before = tf.concat([[-1], types[:-1]], 0)
    is_first = tf.concat([[True], words.rows[1:] != words.rows[:-1]], 0)[: tf.size(tag)]
    before = tf.where(is_first, -1, before[: tf.size(tag)])
    inside = types >= 0
    begins = inside & (tf.gather(table.begins, tag) | (before != types))
    number = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int32)) - 1, inside)
    count = _how_many(begins)
    return Entities(
        rows=tf.boolean_mask(words.rows, begins),
        types=tf.boolean_mask(types, begins),
        starts=tf.boolean_mask(words.starts, begins),
        ends=tf.math.unsorted_segment_max(tf.boolean_mask(words.ends, inside), number, count),
        scores=tf.math.unsorted_segment_mean(
            tf.boolean_mask(words.of(scores), inside), number, count
        ),
        first_words=tf.cast(tf.squeeze(tf.where(begins), 1), tf.int32),
    )


def listed(
    name: str,
    tokenizer: InGraphTokenizer,
    texts: tf.Tensor,
    entities: Entities,
    types: Sequence[str] = (),
    **more: tf.Tensor,
):
    """Gives entities as the outputs of a signature.

    Args:
        name: What they are called, such as "entities".
        tokenizer: The tokenizer.
        texts: string tensor (B,), the texts.
        entities: The entities.
        types: The names of their types; none, where these are not to be said.
        **more: int32 tensors (E,) of further outputs.

    Returns:
        A dict of `name.text`, string, `name.start` and `name.end`, int32, offsets in characters,
        `name.score`, float32, perhaps `name.label`, string, and what else is given, all (B, N); and
        `name.count`, int32 (B,).
    """
    count = tf.shape(texts)[0]

    def dense(values, default=0):
        return dense_rows(values, entities.rows, count, default)

    starts, ends = dense(entities.starts), dense(entities.ends)  # (B, N)
    outputs = {
        "text": tokenizer.parts_of(texts, starts, ends),
        "start": tokenizer.character_offsets(texts, starts),
        "end": tokenizer.character_offsets(texts, ends),
        "score": dense(entities.scores),
        **{field: dense(values) for field, values in more.items()},
        "count": counts_of(entities.rows, count),
    }
    if types:
        outputs["label"] = tf.gather([*types, ""], dense(entities.types, len(types)))
    return {f"{name}.{field}": values for field, values in outputs.items()}


def _how_many(chosen: tf.Tensor) -> tf.Tensor:
    """Counts what is true of a bool tensor."""
    return tf.reduce_sum(tf.cast(chosen, tf.int32))


def _split(name: str) -> tuple[str, str]:
    """Gives a tag's prefix and type; of "O" both are empty."""
    prefix, dash, type_ = name.partition("-")
    if dash and prefix in _PREFIXES:
        return prefix, type_
    return "", "" if name == "O" else name
