"""Pooling over the windows that a long text was cut into.

Beside the letters of the package: W windows of a text.
"""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_bert_kit")
class WindowPooling(keras.layers.Layer):
    """Makes one vector of the vectors of a text's windows, and says how much each window counts.

    Everything is computed in float32 under every dtype policy.

    Args:
        mode: "mean" of the windows, "max" in each dimension, or "attention": a softmax over scores
            that a dense tanh layer and a vector give, both learned.
        initializer_range: Standard deviation of the kernels' truncated normal initialiser.

    Call arguments:
        windows: float tensor (B, W, H).
        window_mask: int or bool tensor (B, W), nonzero where there is a window; `None` means
            everywhere.
        return_window_weights: Whether to also return how much each window counts.

    Returns:
        float32 tensor (B, H), zeros for a text without a window; with `return_window_weights` a
        pair with the weights, float32 (B, W). They are 0 at padding and sum to 1: with "mean" all
        alike, with "max" the share of the dimensions in which the window is the greatest, the
        first one where several are.

    Raises:
        ValueError: The mode is unknown.

    Example:
        >>> WindowPooling("attention")(keras.ops.ones((2, 5, 8))).shape
        TensorShape([2, 8])

    Reference:
        Yang et al. 2016, Hierarchical Attention Networks, section 2.2
        (https://aclanthology.org/N16-1174); for windows of BERT, Pappagari et al. 2019
        (https://arxiv.org/abs/1910.10781).
    """

    def __init__(self, mode="mean", initializer_range=0.02, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in ("mean", "max", "attention"):
            raise ValueError(f"mode must be mean, max or attention. Received: mode={mode!r}")
        self.mode = mode
        self.initializer_range = initializer_range
        self.dense = self.score = None

    def build(self, input_shape):
        """Makes the weights of the attention for windows of shape (B, W, H), if it has any."""
        if self.mode == "attention":
            self.dense = self._projection("dense", input_shape[-1], activation="tanh")
            self.score = self._projection("score", 1, use_bias=False)
            self.dense.build(input_shape)
            self.score.build(input_shape)
        self.built = True

    def call(self, windows, window_mask=None, return_window_weights=False):
        """Pools; see the class."""
        windows = ops.cast(windows, "float32")
        if window_mask is None:
            seen = ops.ones_like(windows[..., 0], dtype="bool")
        else:
            seen = ops.cast(window_mask, "bool")  # (B, W)
        if self.mode == "max":
            vector, weights = _largest(windows, seen)
        else:
            weights = _softmax(self._scores(windows), seen)
            vector = ops.sum(windows * ops.expand_dims(weights, -1), axis=1)  # (B, H)
        return (vector, weights) if return_window_weights else vector

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "mode": self.mode,
            "initializer_range": self.initializer_range,
        }

    def _scores(self, windows):
        if self.mode == "mean":
            return ops.zeros_like(windows[..., 0])
        return ops.squeeze(self.score(self.dense(windows)), -1)  # (B, W)

    def _projection(self, name, units, **arguments):
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=self.initializer_range),
            dtype="float32",
            name=name,
            **arguments,
        )


def _softmax(scores, seen):
    """Gives the softmax over what is seen, zeros where nothing is; Keras' warns of one window."""
    scores = ops.where(seen, scores, -1e9)
    scores = scores - ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    shares = ops.exp(scores) * ops.cast(seen, "float32")  # (B, W)
    total = ops.sum(shares, axis=-1, keepdims=True)
    return shares / ops.where(total > 0, total, 1.0)


def _largest(windows, seen):
    """Gives the greatest value of each dimension, and each window's share of them."""
    masked = ops.where(ops.expand_dims(seen, -1), windows, -1e9)  # (B, W, H)
    winner = ops.expand_dims(ops.argmax(masked, axis=1), 1)  # (B, 1, H)
    is_any = ops.cast(ops.any(seen, axis=1, keepdims=True), "float32")  # (B, 1)
    vector = ops.max(masked, axis=1)  # (B, H)
    places = ops.expand_dims(ops.arange(ops.shape(windows)[1], dtype=winner.dtype), (0, 2))
    share = ops.mean(ops.cast(ops.equal(winner, places), "float32"), axis=-1)  # (B, W)
    return vector * is_any, share * is_any
