"""Integrated gradients over the token embeddings of any model of the kit.

Dimension letters: B batch, S sequence, H hidden size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from keras_bert_kit.models import PretrainedModel

# Tokens that one forward and backward pass takes, however many steps they make: about 1 GB for a
# BERT of 12 layers.
_TOKENS_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True)
class IntegratedGradients:
    """What each token adds to an output, against a baseline.

    Attributes:
        scores: float32 (S,), the attribution of each token.
        output: f(x), the output for the text.
        baseline_output: f(x'), the output for the baseline.
    """

    scores: np.ndarray
    output: float
    baseline_output: float

    @property
    def delta(self) -> float:
        """What the sum of the attributions lacks of f(x) - f(x'), the error of the integral."""
        return self.output - self.baseline_output - float(self.scores.sum(dtype="float64"))


def integrated_gradients(
    model: PretrainedModel,
    inputs: Mapping[str, np.ndarray],
    baseline_ids: np.ndarray,
    output_of: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
    steps: int = 50,
) -> IntegratedGradients:
    """Attributes an output to the tokens of a sequence.

    The attribution of token i is (x_i - x'_i) times the mean gradient on the straight path from
    the baseline's embeddings x' to the sequence's x, summed over H. The mean is taken at the
    points and with the weights of Gauss and Legendre.

    Args:
        model: A model that takes `inputs_embeds`.
        inputs: `input_ids`, `token_type_ids` and `attention_mask`, int (1, S).
        baseline_ids: int (1, S), the baseline's ids.
        output_of: What is explained: from the model's outputs for B rows to one number a row,
            float (B,).
        steps: Number of points on the path.

    Returns:
        `IntegratedGradients`.

    Raises:
        ValueError: `steps` is below 1.

    Reference:
        Sundararajan et al. 2017, sections 3 and 5 (https://arxiv.org/abs/1703.01365).
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1. Received: steps={steps}")
    table = getattr(model, "bert", model).embeddings.word_embeddings
    end, start = (
        tf.cast(table(ids), tf.float32) for ids in (inputs["input_ids"], baseline_ids)
    )  # (1, S, H)
    others = {name: tensor for name, tensor in inputs.items() if name != "input_ids"}
    points, weights = np.polynomial.legendre.leggauss(steps)
    points, weights = (
        np.float32((points + 1) / 2),
        np.float32(weights / 2),
    )  # from [-1, 1] to [0, 1]
    gradient = tf.zeros_like(end)
    rows = max(1, _TOKENS_AT_ONCE // end.shape[1])
    for first in range(0, steps, rows):
        part = slice(first, first + rows)
        path = start + points[part, None, None] * (end - start)  # (B, S, H)
        gradients = _gradients(model, path, others, output_of)
        gradient += tf.einsum("b,bsh->sh", weights[part], gradients)
    outputs = _outputs(model, tf.concat([end, start], axis=0), others, output_of).numpy()
    scores = tf.reduce_sum(gradient * (end - start), axis=-1)[0]  # (S,)
    return IntegratedGradients(scores.numpy(), float(outputs[0]), float(outputs[1]))


def _gradients(model, path, others, output_of) -> tf.Tensor:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(path)
        outputs = _outputs(model, path, others, output_of)
    return tape.gradient(outputs, path)  # (B, S, H), since a row's output is its own alone


def _outputs(model, embeddings, others, output_of) -> tf.Tensor:
    rows = {name: tf.repeat(value, len(embeddings), axis=0) for name, value in others.items()}
    return tf.cast(output_of(model(inputs_embeds=embeddings, **rows)), tf.float32)
