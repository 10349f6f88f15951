"""What stands on top of the encoder: the pooler and the classifier."""

from __future__ import annotations

import keras


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

    Example:
        >>> ClassificationHead(3)(keras.ops.ones((2, 8))).shape
        TensorShape([2, 3])

    Reference:
        Devlin et al. 2018, section 4.1 (https://arxiv.org/abs/1810.04805).
    """

    def __init__(self, num_labels, dropout=0.1, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.num_labels = num_labels
        self.initializer_range = initializer_range
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
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
