"""Masked-LM selection inside tf.data: which tokens are to be predicted, and what stands there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from keras_bert_kit.tokenization.tokenizer import BertTokenizer
from keras_bert_kit.tokenization.vocabulary import SPECIAL_TOKENS

_RANDOM_SHARE, _KEPT_SHARE = 0.1, 0.1


@dataclasses.dataclass(frozen=True)
class TokenMasker:
    """Chooses tokens to predict; 80 % of them become [MASK], 10 % a random token, 10 % stay.

    Of a sequence of n tokens, special ones counted, `max(1, round(mlm_probability * n))` are
    chosen, but no more than `max_predictions`. Special tokens and padding are never chosen. With
    whole words, all pieces of a word are chosen or none, and a word that would exceed the number
    is passed over, so that it may not be reached.

    Args:
        tokenizer: The tokenizer that made the ids.
        mlm_probability: Share of the tokens to predict.
        max_predictions: Width of the outputs (P), and the most tokens chosen in a sequence.
        whole_word_mask: Whether to choose whole words.

    Raises:
        ValueError: A number is out of its range.

    Example:
        >>> masker = TokenMasker(tokenizer, max_predictions=20)
        >>> seeds = tf.data.Dataset.random(seed=0, rerandomize_each_iteration=True).batch(2)
        >>> masked = tf.data.Dataset.zip(batches, seeds).map(masker)

    Reference:
        Devlin et al. 2018, section 3.1, task 1 (https://arxiv.org/abs/1810.04805); whole words as
        in google-research/bert, create_pretraining_data.py.
    """

    tokenizer: BertTokenizer
    mlm_probability: float = 0.15
    max_predictions: int = 20
    whole_word_mask: bool = False

    def __post_init__(self):
        if not 0 < self.mlm_probability < 1:
            raise ValueError(
                "mlm_probability must lie between 0 and 1. "
                f"Received: mlm_probability={self.mlm_probability}"
            )
        if self.max_predictions < 1:
            raise ValueError(
                f"max_predictions must be at least 1. Received: {self.max_predictions}"
            )

    def __call__(
        self,
        inputs: Mapping[str, tf.Tensor],
        seed: tf.Tensor,
        continues: tf.Tensor | None = None,
    ):
        """Masks a batch.

        Args:
            inputs: `input_ids`, `token_type_ids` and `attention_mask`, int32 (B, S).
            seed: int tensor (2,); the same seed gives the same choice.
            continues: bool tensor (B, S), the tokens that go on with the word before, beside those
                that the vocabulary tells: words of a segmenter, where none are written.

        Returns:
            A triple: the inputs with hidden tokens and `masked_positions`, int32 (B, P), in
            order, 0 where fewer were chosen; the hidden tokens' ids, int32 (B, P); and weights,
            float32 (B, P), 1 where a token was chosen and 0 elsewhere.
        """
        ids = inputs["input_ids"]
        seeds = tf.random.experimental.stateless_split(seed, 3)
        length = tf.reduce_sum(inputs["attention_mask"], 1)
        count = tf.cast(tf.round(self.mlm_probability * tf.cast(length, tf.float32)), tf.int32)
        count = tf.clip_by_value(count, 1, self.max_predictions)
        positions, weights = self._choose(ids, inputs["attention_mask"], count, seeds[0], continues)
        labels = tf.gather(ids, positions, batch_dims=1)
        hidden = tf.where(weights, self._hide(labels, seeds[1], seeds[2]), labels)
        rows = tf.broadcast_to(tf.expand_dims(tf.range(tf.shape(ids)[0]), 1), tf.shape(positions))
        where = tf.stack([rows, positions], -1)[weights]  # (chosen, 2)
        masked = tf.tensor_scatter_nd_update(ids, where, hidden[weights])
        positions = tf.where(weights, positions, 0)
        return (
            {**inputs, "input_ids": masked, "masked_positions": positions},
            tf.where(weights, labels, 0),
            tf.cast(weights, tf.float32),
        )

    def _choose(self, ids, attention_mask, count, seed, continues):
        """Gives positions (B, P), those chosen first and in order, and whether each was chosen."""
        special = tf.constant([self.tokenizer.vocab[token] for token in SPECIAL_TOKENS])
        is_special = tf.reduce_any(tf.expand_dims(ids, -1) == special, -1)
        candidate = ~is_special & tf.cast(attention_mask, tf.bool)  # (B, S)
        score = tf.random.stateless_uniform(tf.shape(ids), seed)
        if self.whole_word_mask:
            is_piece = self._is_piece(ids)
            is_piece = is_piece if continues is None else is_piece | continues
            chosen = _choose_words(candidate & is_piece, candidate, score, count)
        else:
            order = tf.argsort(tf.argsort(tf.where(candidate, score, 2.0), 1), 1)
            chosen = candidate & (order < tf.expand_dims(count, 1))
        length = tf.shape(ids)[1]
        position = tf.range(length)
        first = tf.sort(tf.where(chosen, position, length), 1)[:, : self.max_predictions]
        room = tf.maximum(self.max_predictions - length, 0)
        first = tf.pad(first, [[0, 0], [0, room]], constant_values=-1)
        weights = (first >= 0) & (first < length)
        positions = tf.where(weights, first, 0)
        return tf.ensure_shape(positions, [None, self.max_predictions]), weights

    def _hide(self, labels, kind_seed, random_seed):
        kind = tf.random.stateless_uniform(tf.shape(labels), kind_seed)
        other = tf.random.stateless_uniform(
            tf.shape(labels), random_seed, 0, len(self.tokenizer.tokens), tf.int32
        )
        mask = tf.fill(tf.shape(labels), self.tokenizer.vocab["[MASK]"])
        hidden = tf.where(kind < _RANDOM_SHARE + _KEPT_SHARE, other, mask)
        return tf.where(kind < _KEPT_SHARE, labels, hidden)

    def _is_piece(self, ids):
        """Tells which ids go on with the word before."""
        table = np.array([token.startswith("##") for token in self.tokenizer.tokens])
        return tf.gather(tf.constant(table), tf.minimum(ids, len(table) - 1))


def _choose_words(is_piece, candidate, score, count):
    """Chooses whole words in random order, each that still fits into the number.

    Args:
        is_piece: bool (B, S), tokens that go on with the word before.
        candidate: bool (B, S), tokens that may be chosen.
        score: float (B, S), random; that of a word's first token decides its turn.
        count: int (B,), the most tokens to choose.

    Returns:
        bool (B, S), the tokens chosen.
    """
    is_start = candidate & ~is_piece
    word = tf.maximum(tf.cumsum(tf.cast(is_start, tf.int32), 1) - 1, 0)  # (B, S), from 0 on
    # (B, S, W): which token belongs to which word; W is S, the most words there can be
    member = tf.one_hot(word, tf.shape(score)[1], dtype=tf.float32)
    member *= tf.expand_dims(tf.cast(candidate, tf.float32), -1)
    size = tf.cast(tf.reduce_sum(member, 1), tf.int32)  # (B, W)
    first = tf.cast(tf.expand_dims(is_start, -1), tf.float32) * tf.expand_dims(score, -1)
    turn = tf.argsort(tf.where(size > 0, tf.reduce_sum(member * first, 1), 2.0), 1)
    sizes = tf.transpose(tf.gather(size, turn, batch_dims=1))  # (W, B), in turn

    def take(taken, size):
        total, _ = taken
        fits = (size > 0) & (total + size <= count)
        return total + tf.where(fits, size, 0), fits

    start = tf.zeros_like(count), tf.zeros_like(count, tf.bool)
    _, fits = tf.scan(take, sizes, start)
    back = tf.argsort(turn, 1)  # from turn to word
    chosen_word = tf.gather(tf.transpose(fits), back, batch_dims=1)  # (B, W)
    return candidate & tf.gather(chosen_word, word, batch_dims=1)
