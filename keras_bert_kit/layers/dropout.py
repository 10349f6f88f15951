"""Dropout that draws 16 random bits for a number, where Keras' draws 32."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert_kit.layers.recomputation import later

_BITS = 16


@keras.saving.register_keras_serializable("keras_bert_kit")
class Dropout(keras.layers.Dropout):
    """Keras' layer, in about half the time on a CPU; on other backends than TensorFlow's, Keras'.

    Random bits are what dropout costs there. 16 of them decide whether a number is kept, so the
    rate is that asked for to within 2^-17; the bits do not depend on the dtype, where Keras 3.15
    compares a random bfloat16, of 8 significant bits, with the rate. What is kept is divided by the
    share that is kept, so that the mean stays.

    Args:
        rate: Share of the numbers that become 0, at least 0 and below 1.
        **kwargs: The arguments of `keras.layers.Dropout`, but for `noise_shape`.

    Call arguments:
        inputs: float tensor.
        training: Whether to drop anything.

    Returns:
        A tensor like the inputs.

    Example:
        >>> Dropout(0.1)(keras.ops.ones((2, 8)), training=True).shape
        TensorShape([2, 8])

    Reference:
        Srivastava et al. 2014, Dropout (https://jmlr.org/papers/v15/srivastava14a.html).
    """

    def call(self, inputs, training=False):
        """Drops; see the class."""
        if not self._draws_bits(training):
            return super().call(inputs, training=training)
        drop = self._draw(inputs)
        return ops.custom_gradient(lambda x: (drop(x), drop))(inputs)

    def matmul(self, inputs, other, training=False):
        """Drops, and multiplies what is left with another tensor.

        In training it keeps the inputs for the backward pass and not what is left of them, which
        is computed once more.

        Args:
            inputs: float tensor (..., M, N).
            other: float tensor (..., N, K).
            training: Whether to drop anything.

        Returns:
            float tensor (..., M, K).
        """
        if not self._draws_bits(training):
            return ops.matmul(self(inputs, training=training), other)
        drop = self._draw(inputs)

        @ops.custom_gradient
        def product(x, other):
            def gradient(upstream):
                to_x = drop(ops.matmul(upstream, ops.swapaxes(other, -1, -2)))
                left = drop(later(x, upstream))
                return to_x, ops.matmul(ops.swapaxes(left, -1, -2), upstream)

            return ops.matmul(drop(x), other), gradient

        return product(inputs, other)

    def _draws_bits(self, training) -> bool:
        return bool(training and self.rate) and keras.backend.backend() == "tensorflow"

    def _draw(self, inputs):
        """Draws which of the inputs are kept, and gives what drops the others of a tensor."""
        levels = 2**_BITS
        dropped = min(round(self.rate * levels), levels - 1)
        kept = _random_bits(inputs, self.seed_generator.next()) >= dropped  # a byte a number

        def drop(x):
            return ops.where(later(kept, x), x * (levels / (levels - dropped)), 0.0)

        return drop


def _random_bits(like, seed):
    """Gives uniform uint16 numbers in the shape of a tensor."""
    import tensorflow as tf  # keras.random has no integers of full range

    shape, count = tf.shape(like), tf.size(like)
    seed = tf.cast(seed, "int32")  # XLA takes no int64
    pairs = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, "uint32")
    bits = tf.reshape(tf.reshape(tf.bitcast(pairs, "uint16"), [-1])[:count], shape)
    return tf.ensure_shape(bits, like.shape)
