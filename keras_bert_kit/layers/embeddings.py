"""Token, position and segment embeddings."""

from __future__ import annotations

import keras
from keras import ops


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

    Call arguments:
        input_ids: int tensor (B, S), token ids below `vocab_size`.
        token_type_ids: int tensor (B, S), segment ids below `type_vocab_size`; `None` means 0.

    Returns:
        float tensor (B, S, H).

    Raises:
        ValueError: The sequence is longer than the position table.

    Example:
        >>> layer = BertEmbeddings(vocab_size=20, hidden_size=8)
        >>> layer(keras.ops.array([[2, 7, 3]])).shape
        TensorShape([1, 3, 8])

    Reference:
        Devlin et al. 2018, BERT, figure 2 (https://arxiv.org/abs/1810.04805).
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        self.word_embeddings = self._table(vocab_size, "word_embeddings")
        self.position_embeddings = self._table(max_position_embeddings, "position_embeddings")
        self.token_type_embeddings = self._table(type_vocab_size, "token_type_embeddings")
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_eps, dtype=self.dtype_policy, name="layer_norm"
        )
        self.dropout = keras.layers.Dropout(
            hidden_dropout_prob, dtype=self.dtype_policy, name="dropout"
        )

    def build(self, input_shape):
        """Makes the three tables and the normalisation."""
        for table in (self.word_embeddings, self.position_embeddings, self.token_type_embeddings):
            table.build((None, None))
        self.layer_norm.build((None, None, self.hidden_size))
        self.built = True

    def call(self, input_ids, token_type_ids=None, training=None):
        """Embeds; see the class."""
        length = ops.shape(input_ids)[1]
        if isinstance(length, int) and length > self.max_position_embeddings:
            raise ValueError(
                f"A sequence must have at most max_position_embeddings="
                f"{self.max_position_embeddings} tokens. Received: {length}. "
                "Truncate the texts with the tokenizer's max_length."
            )
        positions = ops.cast(self.position_embeddings.embeddings[:length], self.compute_dtype)
        if token_type_ids is None:
            token_type_ids = ops.zeros_like(input_ids)
        embeddings = self.word_embeddings(input_ids) + ops.expand_dims(positions, 0)
        embeddings = embeddings + self.token_type_embeddings(token_type_ids)  # (B, S, H)
        return self.dropout(self.layer_norm(embeddings), training=training)

    def compute_output_shape(self, input_shape, **kwargs):
        """Adds the hidden axis to (B, S)."""
        return (*input_shape, self.hidden_size)

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
        }

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
