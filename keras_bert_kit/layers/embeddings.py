"""Token, position and segment embeddings."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_bert_kit.layers.checks import (
    check_indices,
    check_one_given,
    check_rate,
    check_vectors,
)
from keras_bert_kit.layers.dropout import Dropout
from keras_bert_kit.layers.normalization import LayerNormalization

POSITION_EMBEDDING_TYPES = ("absolute", "sinusoidal")


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertEmbeddings(keras.layers.Layer):
    """The sum of token, position and segment embeddings, normalised, with dropout.

    Args:
        vocab_size: Rows of the token table (V).
        hidden_size: Width of the embeddings (H).
        max_position_embeddings: Rows of the position table, the longest sequence in tokens.
        type_vocab_size: Rows of the segment table.
        hidden_dropout_prob: Dropout rate.
        layer_norm_eps: Epsilon of the layer normalisation.
        initializer_range: Standard deviation of the tables' truncated normal initialiser.
        position_embedding_type: "absolute" learns the position table, as BERT does; "sinusoidal"
            takes sines and cosines, which are no weights.

    Call arguments:
        input_ids: int tensor (B, S), token ids below `vocab_size`; `None` with `inputs_embeds`.
        token_type_ids: int tensor (B, S), segment ids below `type_vocab_size`; `None` means 0.
        position_ids: int tensor (B, S), positions below `max_position_embeddings`; `None` counts
            from 0. Texts packed into one row start again at 0.
        inputs_embeds: float tensor (B, S, H), what the token table would give, instead of
            `input_ids`; gradients flow into it.

    Returns:
        float tensor (B, S, H).

    Raises:
        TypeError: Ids are not of an integer dtype.
        ValueError: The sequence is longer than the position table, not exactly one of `input_ids`
            and `inputs_embeds` is given, or the latter has another shape; in eager mode also: an
            id is not one of its table. Graphs cannot look at ids; `keras_bert_kit.data.check_ids`
            does it in the data pipeline. Of the arguments: the dropout rate is not at least 0 and
            below 1, or `position_embedding_type` is not known.

    Example:
        >>> layer = BertEmbeddings(vocab_size=20, hidden_size=8)
        >>> layer(keras.ops.array([[2, 7, 3]])).shape
        TensorShape([1, 3, 8])

    Reference:
        Devlin et al. 2018, BERT, figure 2 (https://arxiv.org/abs/1810.04805). Vaswani et al. 2017,
        section 3.5, for the sinusoids (https://arxiv.org/abs/1706.03762).
    """

    def __init__(
        self,
        vocab_size,
        hidden_size,
        max_position_embeddings=512,
        type_vocab_size=2,
        hidden_dropout_prob=0.1,
        layer_norm_eps=1e-12,
        initializer_range=0.02,
        position_embedding_type="absolute",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate("hidden_dropout_prob", hidden_dropout_prob)
        if position_embedding_type not in POSITION_EMBEDDING_TYPES:
            raise ValueError(
                f"position_embedding_type must be one of {', '.join(POSITION_EMBEDDING_TYPES)}. "
                f"Received: {position_embedding_type!r}"
            )
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        self.position_embedding_type = position_embedding_type
        self.word_embeddings = self._table(vocab_size, "word_embeddings")
        if position_embedding_type == "absolute":
            self.position_embeddings = self._table(max_position_embeddings, "position_embeddings")
        else:
            self.position_embeddings = None
            self.sinusoids = sinusoids(max_position_embeddings, hidden_size)
        self.token_type_embeddings = self._table(type_vocab_size, "token_type_embeddings")
        self.layer_norm = LayerNormalization(
            epsilon=layer_norm_eps, dtype=self.dtype_policy, name="layer_norm"
        )
        self.dropout = Dropout(hidden_dropout_prob, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape):
        """Makes the tables and the normalisation."""
        for table in (self.word_embeddings, self.position_embeddings, self.token_type_embeddings):
            if table is not None:
                table.build((None, None))
        self.layer_norm.build((None, None, self.hidden_size))
        self.built = True

    def call(
        self,
        input_ids=None,
        token_type_ids=None,
        position_ids=None,
        inputs_embeds=None,
        training=None,
    ):
        """Embeds; see the class."""
        check_one_given(input_ids=input_ids, inputs_embeds=inputs_embeds)
        if inputs_embeds is None:
            input_ids = ops.convert_to_tensor(input_ids)
            check_indices("input_ids", input_ids, "vocab_size", self.vocab_size)
            inputs_embeds = self.word_embeddings(input_ids)
        else:
            inputs_embeds = ops.cast(inputs_embeds, self.compute_dtype)
            check_vectors("inputs_embeds", inputs_embeds, "hidden_size", self.hidden_size)
            input_ids = ops.zeros_like(inputs_embeds[..., 0], dtype="int32")  # (B, S)
        embeddings = inputs_embeds + self._positions(input_ids, position_ids)
        if token_type_ids is None:
            token_type_ids = ops.zeros_like(input_ids)
        else:
            token_type_ids = ops.convert_to_tensor(token_type_ids)
            check_indices("token_type_ids", token_type_ids, "type_vocab_size", self.type_vocab_size)
        embeddings = embeddings + self.token_type_embeddings(token_type_ids)  # (B, S, H)
        normalized = self.layer_norm(embeddings, training=training)
        return self.dropout(normalized, training=training)

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "max_position_embeddings": self.max_position_embeddings,
            "type_vocab_size": self.type_vocab_size,
            "hidden_dropout_prob": self.hidden_dropout_prob,
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
            "position_embedding_type": self.position_embedding_type,
        }

    def _positions(self, input_ids, position_ids):
        """Gives the position embeddings, (B, S, H) or the same for every row, (1, S, H)."""
        limit = self.max_position_embeddings
        if position_ids is not None:
            position_ids = ops.convert_to_tensor(position_ids)
            check_indices("position_ids", position_ids, "max_position_embeddings", limit)
        else:
            length = ops.shape(input_ids)[1]
            if isinstance(length, int) and length > limit:
                raise ValueError(
                    f"A sequence must have at most max_position_embeddings={limit} tokens. "
                    f"Received: {length}. Truncate the texts with the tokenizer's max_length."
                )
            position_ids = ops.expand_dims(ops.arange(length, dtype="int32"), 0)
        if self.position_embeddings is not None:
            return self.position_embeddings(position_ids)
        return ops.take(ops.cast(self.sinusoids, self.compute_dtype), position_ids, axis=0)

    def _table(self, rows, name):
        return keras.layers.Embedding(
            rows,
            self.hidden_size,
            embeddings_initializer=keras.initializers.TruncatedNormal(
                stddev=self.initializer_range
            ),
            dtype=self.dtype_policy,
            name=name,
        )


def sinusoids(length: int, hidden_size: int) -> np.ndarray:
    """Gives the table of positions that are not learned.

    PE(p, 2j) = sin(p / 10000^(2j / H)) and PE(p, 2j + 1) = cos(p / 10000^(2j / H)).

    Args:
        length: Number of positions.
        hidden_size: Width (H).

    Returns:
        float32 array (length, H).

    Reference:
        Vaswani et al. 2017, section 3.5 (https://arxiv.org/abs/1706.03762).
    """
    columns = np.arange(hidden_size)
    angles = np.arange(length)[:, None] / 10000.0 ** ((columns - columns % 2) / hidden_size)
    return np.where(columns % 2, np.cos(angles), np.sin(angles)).astype("float32")
