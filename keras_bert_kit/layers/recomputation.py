"""Training without keeping a layer's activations: the backward pass computes them once more."""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras import ops


def recompute(layer, hidden_states, draws: Mapping[keras.layers.Dropout, int], **arguments):
    """Calls a layer so that its activations are recomputed in the backward pass.

    Outputs, gradients and dropout masks are those of `layer(hidden_states, **arguments)`: the
    weights' values and the seeds are taken once, and both passes compute with these.

    Args:
        layer: A built layer whose only state is its weights and its dropout seeds.
        hidden_states: float tensor, its first argument.
        draws: How many seeds one call in training takes from each dropout layer.
        **arguments: Its other arguments; no gradient reaches them.

    Returns:
        What the layer returns.

    Reference:
        Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost
        (https://arxiv.org/abs/1604.06174).
    """
    weights = layer.weights
    seeds = [pair for dropout, times in draws.items() for pair in _draw(dropout, times)]

    def run(hidden_states, *values):
        state = [*zip(weights, values, strict=True), *seeds]
        with keras.StatelessScope(state_mapping=state, initialize_variables=False):
            return layer(hidden_states, **arguments)

    # Copies, for a gradient that reaches both a variable and its value would be counted twice.
    return keras.remat(run)(hidden_states, *[ops.copy(weight) for weight in weights])


def later(tensor, upstream):
    """Gives a tensor for what a backward pass computes of it once more.

    TensorFlow's graph rewriter computes equal things once, and what the forward pass has computed
    would lie in memory until then. So this one waits for the gradient.

    Args:
        tensor: The tensor.
        upstream: The gradient of what comes after.
    """
    if keras.backend.backend() != "tensorflow":
        return tensor
    import tensorflow as tf  # Keras has no control dependencies

    with tf.control_dependencies([upstream]):
        return tf.identity(tensor)


def _draw(dropout, times):
    """Gives a generator's state before `times` draws, and moves it on past them."""
    if not dropout.rate:
        return []
    generator = dropout.seed_generator
    state = generator.next()
    for _ in range(times - 1):
        generator.next()
    return [(generator.state, state)]
