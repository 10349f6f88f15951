"""The transformer block and the stack of blocks."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert_kit.layers.activations import activation, gelu_product
from keras_bert_kit.layers.attention import MultiHeadSelfAttention, first_positions
from keras_bert_kit.layers.checks import check_rate
from keras_bert_kit.layers.dropout import Dropout
from keras_bert_kit.layers.normalization import LayerNormalization
from keras_bert_kit.layers.recomputation import recompute


@keras.saving.register_keras_serializable("keras_bert_kit")
class TransformerEncoderBlock(keras.layers.Layer):
    """Self-attention and feed-forward, each with dropout, a residual sum and a normalisation.

    BERT normalises the sum, norm(x + f(x)); with `norm_first` it is x + f(norm(x)).

    Args:
        hidden_size: Width of the hidden states (H).
        num_attention_heads: Number of heads; must divide `hidden_size`.
        intermediate_size: Width of the feed-forward layer (I).
        hidden_act: Activation of the feed-forward layer, by its config-file name.
        hidden_dropout_prob: Dropout rate after each of the two parts.
        attention_probs_dropout_prob: Dropout rate of the attention probabilities.
        layer_norm_eps: Epsilon of the two layer normalisations.
        initializer_range: Standard deviation of the kernels' truncated normal initialiser.
        norm_first: Whether each part's input is normalised, and not the sum (pre-norm).

    Call arguments:
        hidden_states: float tensor (B, S, H).
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a key may be seen.
        return_attention_scores: Whether to also return the attention probabilities (B, N, Q, S).
        output_length: How many positions are computed, from the first on (Q); `None` means all, S.

    Returns:
        float tensor (B, Q, H), or a pair with the attention probabilities.

    Raises:
        TypeError: The mask is neither of an integer dtype nor bool.
        ValueError: `hidden_size` is not divisible by `num_attention_heads`, `hidden_act` is not
            known, or a dropout rate is not at least 0 and below 1.

    Example:
        >>> block = TransformerEncoderBlock(8, num_attention_heads=2, intermediate_size=16)
        >>> block(keras.ops.ones((1, 5, 8))).shape
        TensorShape([1, 5, 8])

    Reference:
        Vaswani et al. 2017, section 3.1 (https://arxiv.org/abs/1706.03762); for `norm_first` Xiong
        et al. 2020, On Layer Normalization in the Transformer Architecture
        (https://arxiv.org/abs/2002.04745).
    """

    def __init__(
        self,
        hidden_size,
        num_attention_heads,
        intermediate_size,
        hidden_act="gelu",
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        layer_norm_eps=1e-12,
        initializer_range=0.02,
        norm_first=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate("hidden_dropout_prob", hidden_dropout_prob)
        self.hidden_size = hidden_size
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.layer_norm_eps = layer_norm_eps
        self.initializer_range = initializer_range
        self.norm_first = norm_first
        self.attention = MultiHeadSelfAttention(
            hidden_size=hidden_size,
            num_attention_heads=num_attention_heads,
            attention_probs_dropout_prob=attention_probs_dropout_prob,
            initializer_range=initializer_range,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention_layer_norm = self._norm("attention_layer_norm")
        activation(hidden_act)  # refuses a name that is not known
        self.intermediate_dense = self._dense(intermediate_size, "intermediate_dense")
        self.output_dense = self._dense(hidden_size, "output_dense")
        self.output_layer_norm = self._norm("output_layer_norm")
        self.dropout = Dropout(hidden_dropout_prob, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape):
        """Makes the weights for hidden states of shape (B, S, H)."""
        hidden = (None, None, self.hidden_size)
        self.attention.build(hidden)
        self.attention_layer_norm.build(hidden)
        self.intermediate_dense.build(hidden)
        self.output_dense.build((None, None, self.intermediate_size))
        self.output_layer_norm.build(hidden)
        self.built = True

    def call(
        self,
        hidden_states,
        attention_mask=None,
        return_attention_scores=False,
        output_length=None,
        training=None,
    ):
        """Runs the block; see the class."""
        attended, probabilities = self.attention(
            self._normalized_first(self.attention_layer_norm, hidden_states, training),
            attention_mask=attention_mask,
            return_attention_scores=True,
            output_length=output_length,
            training=training,
        )
        hidden_states = first_positions(hidden_states, output_length)
        hidden_states = hidden_states + self.dropout(attended, training=training)
        if not self.norm_first:
            hidden_states = self.attention_layer_norm(hidden_states, training=training)
        shape = ops.shape(hidden_states)
        # As a matrix, so that a product, its bias, activation and sum become one operation.
        hidden_states = ops.reshape(hidden_states, (-1, self.hidden_size))  # (B * Q, H)
        fed = self._normalized_first(self.output_layer_norm, hidden_states, training)
        fed = self._activated_product(self.intermediate_dense(fed), training)
        hidden_states = hidden_states + self.dropout(fed, training=training)
        if not self.norm_first:
            hidden_states = self.output_layer_norm(hidden_states, training=training)
        hidden_states = ops.reshape(hidden_states, shape)
        return (hidden_states, probabilities) if return_attention_scores else hidden_states

    def call_and_recompute(self, hidden_states, attention_mask=None, output_length=None):
        """Calls the block in training, without keeping its activations for the backward pass.

        Args:
            hidden_states: float tensor (B, S, H).
            attention_mask: int or bool tensor (B, S) or (B, S, S).
            output_length: How many positions are computed, from the first on (Q).

        Returns:
            float tensor (B, Q, H), that of a call with `training=True`.
        """
        # A call draws one seed for the probabilities and one after each of the two parts.
        draws = {self.attention.dropout: 1, self.dropout: 2}
        given = {"attention_mask": attention_mask, "output_length": output_length}
        return recompute(self, hidden_states, draws, **given, training=True)

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "num_attention_heads": self.num_attention_heads,
            "intermediate_size": self.intermediate_size,
            "hidden_act": self.hidden_act,
            "hidden_dropout_prob": self.hidden_dropout_prob,
            "attention_probs_dropout_prob": self.attention_probs_dropout_prob,
            "layer_norm_eps": self.layer_norm_eps,
            "initializer_range": self.initializer_range,
            "norm_first": self.norm_first,
        }

    def _normalized_first(self, norm, hidden_states, training):
        return norm(hidden_states, training=training) if self.norm_first else hidden_states

    def _activated_product(self, fed, training):
        """Runs activation and output layer over the intermediate numbers (B * Q, I)."""
        dense = self.output_dense
        if training and self.hidden_act == "gelu" and dense.quantization_mode is None:
            return ops.add(gelu_product(fed, ops.cast(dense.kernel, fed.dtype)), dense.bias)
        return dense(activation(self.hidden_act, training)(fed))

    def _dense(self, units, name):
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name):
        return LayerNormalization(epsilon=self.layer_norm_eps, dtype=self.dtype_policy, name=name)


@keras.saving.register_keras_serializable("keras_bert_kit")
class TransformerEncoder(keras.layers.Layer):
    """A stack of `TransformerEncoderBlock`s.

    Args:
        num_hidden_layers: Number of blocks (L); the arguments not named here are those of a block.
        norm_first: Whether the blocks are pre-norm; a last normalisation then follows them.
        gradient_checkpointing: Whether training keeps what goes into each block alone, and
            computes the block again in the backward pass: the same gradients with less memory and
            one more forward pass. A call with `output_attentions` keeps everything.

    Call arguments:
        hidden_states: float tensor (B, S, H).
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a key may be seen.
        output_hidden_states: Whether to return what goes into the first block and comes out of
            each; with `norm_first` the last of them is normalised.
        output_attentions: Whether to return the attention probabilities of each block.
        output_length: How many positions are wanted of the last block, from the first on (Q), which
            then computes no others; `None` means all, S.

    Returns:
        float tensor (B, Q, H); with one of the two options a dict with `last_hidden_state`,
        `hidden_states` (L + 1 tensors (B, S, H), the last (B, Q, H)) and `attentions` (L tensors
        (B, N, S, S), the last (B, N, Q, S)), as far as they were asked for.

    Example:
        >>> encoder = TransformerEncoder(
        ...     2, hidden_size=8, num_attention_heads=2, intermediate_size=16
        ... )
        >>> encoder(keras.ops.ones((1, 5, 8))).shape
        TensorShape([1, 5, 8])

    Reference:
        Vaswani et al. 2017, section 3.1 (https://arxiv.org/abs/1706.03762); for `norm_first` Xiong
        et al. 2020 (https://arxiv.org/abs/2002.04745); for `gradient_checkpointing` Chen et al.
        2016 (https://arxiv.org/abs/1604.06174).
    """

    def __init__(
        self,
        num_hidden_layers,
        hidden_size,
        num_attention_heads,
        intermediate_size,
        hidden_act="gelu",
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        layer_norm_eps=1e-12,
        initializer_range=0.02,
        norm_first=False,
        gradient_checkpointing=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_hidden_layers = num_hidden_layers
        self.gradient_checkpointing = gradient_checkpointing
        self.block_arguments = {
            "hidden_size": hidden_size,
            "num_attention_heads": num_attention_heads,
            "intermediate_size": intermediate_size,
            "hidden_act": hidden_act,
            "hidden_dropout_prob": hidden_dropout_prob,
            "attention_probs_dropout_prob": attention_probs_dropout_prob,
            "layer_norm_eps": layer_norm_eps,
            "initializer_range": initializer_range,
            "norm_first": norm_first,
        }
        self.blocks = [
            TransformerEncoderBlock(
                **self.block_arguments, dtype=self.dtype_policy, name=f"block_{index}"
            )
            for index in range(num_hidden_layers)
        ]
        self.final_layer_norm = None
        if norm_first:
            self.final_layer_norm = LayerNormalization(
                epsilon=layer_norm_eps, dtype=self.dtype_policy, name="final_layer_norm"
            )

    def build(self, input_shape):
        """Makes the blocks' weights for hidden states of shape (B, S, H)."""
        hidden = (None, None, self.block_arguments["hidden_size"])
        for block in self.blocks:
            block.build(hidden)
        if self.final_layer_norm is not None:
            self.final_layer_norm.build(hidden)
        self.built = True

    def call(
        self,
        hidden_states,
        attention_mask=None,
        output_hidden_states=False,
        output_attentions=False,
        output_length=None,
        training=None,
    ):
        """Runs the blocks in turn; see the class."""
        recomputed = self.gradient_checkpointing and training and not output_attentions
        all_hidden_states, all_attentions = [hidden_states], []
        for block in self.blocks:
            given = {"attention_mask": attention_mask}
            if block is self.blocks[-1]:
                given["output_length"] = output_length
            if recomputed:
                hidden_states = block.call_and_recompute(hidden_states, **given)
            else:
                hidden_states, probabilities = block(
                    hidden_states, **given, return_attention_scores=True, training=training
                )
                all_attentions.append(probabilities)
            all_hidden_states.append(hidden_states)
        if self.final_layer_norm is not None:
            hidden_states = self.final_layer_norm(hidden_states, training=training)
            all_hidden_states[-1] = hidden_states
        if not (output_hidden_states or output_attentions):
            return hidden_states
        outputs = {"last_hidden_state": hidden_states}
        if output_hidden_states:
            outputs["hidden_states"] = tuple(all_hidden_states)
        if output_attentions:
            outputs["attentions"] = tuple(all_attentions)
        return outputs

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "num_hidden_layers": self.num_hidden_layers,
            **self.block_arguments,
            "gradient_checkpointing": self.gradient_checkpointing,
        }
