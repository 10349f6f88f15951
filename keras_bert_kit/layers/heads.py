"""What stands on top of the encoder: pooler, classifier, masked tokens, next sentence."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert_kit.layers.activations import activation
from keras_bert_kit.layers.checks import check_rate
from keras_bert_kit.layers.dropout import Dropout
from keras_bert_kit.layers.normalization import LayerNormalization


@keras.saving.register_keras_serializable("keras_bert_kit")
class Pooler(keras.layers.Layer):
    """Dense layer with tanh over the first token's hidden state.

    Args:
        hidden_size: Width of input and output (H).
        initializer_range: Standard deviation of the kernel's truncated normal initialiser.

    Call arguments:
        hidden_states: float tensor (B, S, H).

    Returns:
        float tensor (B, H).

    Example:
        >>> Pooler(8)(keras.ops.ones((2, 5, 8))).shape
        TensorShape([2, 8])

    Reference:
        Devlin et al. 2018, section 3.1, the [CLS] vector (https://arxiv.org/abs/1810.04805).
    """

    def __init__(self, hidden_size, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.initializer_range = initializer_range
        self.dense = keras.layers.Dense(
            hidden_size,
            activation="tanh",
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype=self.dtype_policy,
            name="dense",
        )

    def build(self, input_shape):
        """Makes the dense layer's weights."""
        self.dense.build((None, self.hidden_size))
        self.built = True

    def call(self, hidden_states):
        """Pools; see the class."""
        return self.dense(hidden_states[:, 0])  # (B, H)

    def compute_output_shape(self, input_shape):
        """Drops the sequence axis of (B, S, H)."""
        return (input_shape[0], self.hidden_size)

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
        }


@keras.saving.register_keras_serializable("keras_bert_kit")
class ClassificationHead(keras.layers.Layer):
    """Dropout, then a dense layer: logits of the classes.

    The logits are float32 under every dtype policy, so that the loss is.

    Args:
        num_labels: Number of classes (C).
        dropout: Dropout rate.
        initializer_range: Standard deviation of the kernel's truncated normal initialiser.

    Call arguments:
        features: float tensor (B, H), or (B, S, H) for a class a token.

    Returns:
        float32 tensor (B, C) or (B, S, C).

    Raises:
        ValueError: The dropout rate is not at least 0 and below 1.

    Example:
        >>> ClassificationHead(3)(keras.ops.ones((2, 8))).shape
        TensorShape([2, 3])

    Reference:
        Devlin et al. 2018, section 4.1 (https://arxiv.org/abs/1810.04805).
    """

    def __init__(self, num_labels, dropout=0.1, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        check_rate("dropout", dropout)
        self.num_labels = num_labels
        self.initializer_range = initializer_range
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.dense = keras.layers.Dense(
            num_labels,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype="float32",
            name="dense",
        )

    def build(self, input_shape):
        """Makes the dense layer's weights for features of the given shape."""
        self.dense.build(input_shape)
        self.built = True

    def call(self, features, training=None):
        """Classifies; see the class."""
        return self.dense(self.dropout(features, training=training))

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "dropout": self.dropout.rate,
            "initializer_range": self.initializer_range,
        }


@keras.saving.register_keras_serializable("keras_bert_kit")
class MaskedLMHead(keras.layers.Layer):
    """Dense layer, activation and normalisation, then logits over the vocabulary.

    The output matrix is the token table of the embeddings, which the call takes, so that the two
    are one weight. With `masked_positions` the vocabulary product is done at those alone.

    Args:
        vocab_size: Rows of the token table (V).
        hidden_size: Width of the hidden states (H).
        hidden_act: Activation, by its config-file name.
        layer_norm_eps: Epsilon of the layer normalisation.
        initializer_range: Standard deviation of the kernel's truncated normal initialiser.

    Call arguments:
        hidden_states: float tensor (B, S, H).
        token_table: float tensor (V, H).
        masked_positions: int tensor (B, P), the positions wanted; `None` wants all.

    Returns:
        float32 tensor (B, P, V), or (B, S, V).

    Example:
        >>> head = MaskedLMHead(vocab_size=20, hidden_size=8)
        >>> head(keras.ops.ones((2, 5, 8)), keras.ops.ones((20, 8))).shape
        TensorShape([2, 5, 20])

    Reference:
        Devlin et al. 2018, section 3.1, task 1 (https://arxiv.org/abs/1810.04805).
    """

    def __init__(
        self,
        vocab_size,
        hidden_size,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.hidden_act = hidden_act
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        self.dense = keras.layers.Dense(
            hidden_size,
            activation=activation(hidden_act),
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype=self.dtype_policy,
            name="dense",
        )
        self.layer_norm = LayerNormalization(
            epsilon=layer_norm_eps, dtype=self.dtype_policy, name="layer_norm"
        )

    def build(self, input_shape):
        """Makes the weights for hidden states of shape (B, S, H)."""
        hidden = (None, None, self.hidden_size)
        self.dense.build(hidden)
        self.layer_norm.build(hidden)
        self.bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="bias")
        self.built = True

    def call(self, hidden_states, token_table, masked_positions=None):
        """Predicts tokens; see the class."""
        if masked_positions is not None:
            positions = ops.expand_dims(masked_positions, -1)  # (B, P, 1)
            hidden_states = ops.take_along_axis(hidden_states, positions, axis=1)
        hidden_states = self.layer_norm(self.dense(hidden_states))
        table = ops.cast(token_table, self.compute_dtype)
        logits = ops.matmul(hidden_states, ops.transpose(table))  # (B, P, V)
        return ops.cast(logits, "float32") + ops.cast(self.bias, "float32")

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "hidden_act": self.hidden_act,
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
        }


@keras.saving.register_keras_serializable("keras_bert_kit")
class NextSentenceHead(keras.layers.Layer):
    """Logits for "the second text follows the first" (index 0) and "it does not" (index 1).

    The logits are float32 under every dtype policy.

    Args:
        initializer_range: Standard deviation of the kernel's truncated normal initialiser.

    Call arguments:
        pooled: float tensor (B, H).

    Returns:
        float32 tensor (B, 2).

    Example:
        >>> NextSentenceHead()(keras.ops.ones((3, 8))).shape
        TensorShape([3, 2])

    Reference:
        Devlin et al. 2018, section 3.1, task 2 (https://arxiv.org/abs/1810.04805).
    """

    def __init__(self, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.initializer_range = initializer_range
        self.dense = keras.layers.Dense(
            2,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype="float32",
            name="dense",
        )

    def build(self, input_shape):
        """Makes the weights for pooled states of shape (B, H)."""
        self.dense.build(input_shape)
        self.built = True

    def call(self, pooled):
        """Classifies; see the class."""
        return self.dense(pooled)

    def get_config(self):
        """Gives the constructor's arguments."""
        return {**super().get_config(), "initializer_range": self.initializer_range}


@keras.saving.register_keras_serializable("keras_bert_kit")
class SentencePooling(keras.layers.Layer):
    """Makes one vector of a sentence's hidden states.

    The vector is float32 under every dtype policy.

    Args:
        mode: "mean" of the tokens, "cls" for the first one, or "max" in each dimension.
        normalize: Whether the vector is scaled to length 1.

    Call arguments:
        hidden_states: float tensor (B, S, H).
        attention_mask: int or bool tensor (B, S), nonzero where there is a token; `None` means
            everywhere.

    Returns:
        float32 tensor (B, H); of a row without a token, zeros with "mean".

    Raises:
        ValueError: The mode is unknown.

    Example:
        >>> SentencePooling("mean", normalize=True)(keras.ops.ones((2, 5, 8))).shape
        TensorShape([2, 8])

    Reference:
        Reimers and Gurevych 2019, Sentence-BERT, section 3 (https://arxiv.org/abs/1908.10084).
    """

    def __init__(self, mode="mean", normalize=False, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in ("mean", "cls", "max"):
            raise ValueError(f"mode must be mean, cls or max. Received: mode={mode!r}")
        self.mode = mode
        self.normalize = normalize

    def call(self, hidden_states, attention_mask=None):
        """Pools; see the class."""
        vector = self._pool(ops.cast(hidden_states, "float32"), attention_mask)  # (B, H)
        if not self.normalize:
            return vector
        length = ops.sqrt(ops.sum(ops.square(vector), axis=-1, keepdims=True))
        return vector / ops.maximum(length, 1e-12)

    def _pool(self, hidden_states, attention_mask):
        if self.mode == "cls":
            return hidden_states[:, 0]
        if attention_mask is None:
            seen = ops.ones_like(hidden_states[..., :1], dtype="bool")
        else:
            seen = ops.cast(
                ops.cast(ops.expand_dims(attention_mask, -1), "bool"), "float32"
            )  # (B, S, 1)
        if self.mode == "max":
            return ops.max(ops.where(seen, hidden_states, -1e9), axis=1)
        seen = ops.cast(seen, "float32")
        total = ops.sum(hidden_states * seen, axis=1)
        return total / ops.maximum(ops.sum(seen, axis=1), 1e-9)

    def compute_output_shape(self, input_shape):
        """Drops the sequence axis of (B, S, H)."""
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        """Gives the constructor's arguments."""
        return {**super().get_config(), "mode": self.mode, "normalize": self.normalize}
