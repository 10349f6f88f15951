"""Layer normalisation in few operations."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_bert_kit")
class LayerNormalization(keras.layers.LayerNormalization):
    """Keras' layer over the last axis, computed as (x - mean) * (rsqrt(variance) * gamma) + beta.

    The same numbers to rounding, in eight operations where Keras 3.15 takes thirteen: less to do
    forwards and backwards wherever no compiler fuses them, which on a CPU is a few percent of a
    step. It computes in float32 at least, whatever the policy, as Keras' does.

    Args:
        **kwargs: The arguments of `keras.layers.LayerNormalization`, but for `axis` and what leaves
            out gamma or beta.

    Call arguments:
        inputs: float tensor (..., H).

    Returns:
        float tensor (..., H), in the policy's dtype.

    Example:
        >>> LayerNormalization(epsilon=1e-12)(keras.ops.ones((1, 5, 8))).shape
        TensorShape([1, 5, 8])

    Reference:
        Ba et al. 2016, Layer Normalization (https://arxiv.org/abs/1607.06450).
    """

    def call(self, inputs):
        """Normalises; see the class."""
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        x = ops.cast(inputs, dtype)
        centered = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
        scale = ops.rsqrt(variance + self.epsilon) * ops.cast(self.gamma, dtype)
        return ops.cast(centered * scale + ops.cast(self.beta, dtype), self.compute_dtype)
