"""Self-attention with several heads and a padding mask."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert_kit.layers.checks import check_mask, check_rate
from keras_bert_kit.layers.dropout import Dropout

# Added to the score of a masked key. Finite, so that a row with no key left stays a number, and
# far below any score in float32 and bfloat16; float16 ends at 65504.
MASKED = -1e9
MASKED_FLOAT16 = -3e4


@keras.saving.register_keras_serializable("keras_bert_kit")
class MultiHeadSelfAttention(keras.layers.Layer):
    """Softmax(Q K^T / sqrt(D)) V over several heads, then an output projection.

    Args:
        hidden_size: Width of input and output (H).
        num_attention_heads: Number of heads (N); must divide `hidden_size`.
        attention_probs_dropout_prob: Dropout rate of the attention probabilities.
        initializer_range: Standard deviation of the kernels' truncated normal initialiser.

    Call arguments:
        hidden_states: float tensor (B, S, H).
        attention_mask: int or bool tensor (B, S), nonzero where a key may be seen, or (B, S, S)
            with queries on the second axis; or float tensor (B, 1, 1, S) or (B, 1, S, S), which is
            added to the scores; `None` sees everything.
        return_attention_scores: Whether to also return the probabilities.
        output_length: How many positions attend, from the first on (Q); `None` means all, S.

    Returns:
        float tensor (B, Q, H); with `return_attention_scores` a pair with the attention
        probabilities (B, N, Q, S).

    Raises:
        TypeError: The mask is of another dtype.
        ValueError: `hidden_size` is not divisible by `num_attention_heads`, the dropout rate is
            not at least 0 and below 1, or the mask has another rank.

    Example:
        >>> layer = MultiHeadSelfAttention(hidden_size=8, num_attention_heads=2)
        >>> layer(keras.ops.ones((1, 5, 8)), attention_mask=[[1, 1, 1, 0, 0]]).shape
        TensorShape([1, 5, 8])

    Reference:
        Vaswani et al. 2017, Attention Is All You Need, section 3.2
        (https://arxiv.org/abs/1706.03762).
    """

    def __init__(
        self,
        hidden_size,
        num_attention_heads,
        attention_probs_dropout_prob=0.1,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if hidden_size % num_attention_heads:
            raise ValueError(
                "hidden_size must be divisible by num_attention_heads. Received: "
                f"hidden_size={hidden_size}, num_attention_heads={num_attention_heads}"
            )
        check_rate("attention_probs_dropout_prob", attention_probs_dropout_prob)
        self.hidden_size = hidden_size
        self.num_attention_heads = num_attention_heads
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.initializer_range = initializer_range
        self.head_size = hidden_size // num_attention_heads
        self.query = self._projection("query")
        self.key = self._projection("key")
        self.value = self._projection("value")
        self.output_dense = self._projection("output_dense")
        self.dropout = Dropout(
            attention_probs_dropout_prob, dtype=self.dtype_policy, name="dropout"
        )

    def build(self, input_shape):
        """Makes the four projections for inputs of shape (B, S, H)."""
        for projection in (self.query, self.key, self.value, self.output_dense):
            projection.build((None, None, self.hidden_size))
        self.built = True

    def call(
        self,
        hidden_states,
        attention_mask=None,
        return_attention_scores=False,
        output_length=None,
        training=None,
    ):
        """Attends; see the class."""
        queries = first_positions(hidden_states, output_length)
        query = self._heads(self.query, queries)  # (B, N, Q, D)
        key, value = (self._heads(one, hidden_states) for one in (self.key, self.value))
        # The scale stands at the product, which takes it in; at the projection it is one more pass.
        query = query * self.head_size**-0.5
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, N, Q, S)
        if attention_mask is not None:
            bias = attention_bias(attention_mask, scores.dtype)
            scores = scores + (bias if output_length is None else bias[:, :, :output_length])
        probabilities = ops.softmax(scores, axis=-1)
        context = self.dropout.matmul(probabilities, value, training=training)
        context = ops.transpose(context, (0, 2, 1, 3))  # (B, Q, N, D)
        output = self.output_dense(ops.reshape(context, (-1, self.hidden_size)))  # (B * Q, H)
        output = ops.reshape(output, ops.shape(queries))
        return (output, probabilities) if return_attention_scores else output

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "num_attention_heads": self.num_attention_heads,
            "attention_probs_dropout_prob": self.attention_probs_dropout_prob,
            "initializer_range": self.initializer_range,
        }

    def _projection(self, name):
        return keras.layers.Dense(
            self.hidden_size,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            dtype=self.dtype_policy,
            name=name,
        )

    def _heads(self, projection, x):
        """Projects hidden states (B, S, H), and splits them into heads (B, N, S, D)."""
        batch, length = ops.shape(x)[:2]
        # As a matrix, so that a projection and its bias become one operation.
        x = projection(ops.reshape(x, (-1, self.hidden_size)))  # (B * S, H)
        x = ops.reshape(x, (batch, length, self.num_attention_heads, self.head_size))
        return ops.transpose(x, (0, 2, 1, 3))


def first_positions(hidden_states, length):
    """Gives the first `length` positions of hidden states (B, S, H), or all where it is `None`."""
    return hidden_states if length is None else hidden_states[:, :length]


def attention_bias(attention_mask, dtype):
    """Turns a mask into what is added to the attention scores.

    Args:
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a key may be seen; or
            what is to be added, float tensor (B, 1, 1, S) or (B, 1, S, S).
        dtype: The scores' dtype, as a name.

    Returns:
        Tensor (B, 1, 1, S) or (B, 1, S, S) of `dtype`, 0 where a key may be seen.

    Raises:
        TypeError: The mask is neither of an integer dtype nor bool, nor float with four axes.
        ValueError: The mask has another rank.
    """
    attention_mask = ops.convert_to_tensor(attention_mask)
    check_mask(attention_mask)
    if len(attention_mask.shape) == 4:
        return ops.cast(attention_mask, dtype)
    mask = ops.cast(attention_mask, "bool")
    for _ in range(4 - len(mask.shape)):
        mask = ops.expand_dims(mask, 1)
    masked = MASKED_FLOAT16 if dtype == "float16" else MASKED
    return (1.0 - ops.cast(mask, dtype)) * masked
