"""Activation functions under the names that BERT config files use."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
from keras import ops

from keras_bert_kit.layers.recomputation import later


def gelu(x):
    """Exact GELU, x * Phi(x), as Hugging Face's "gelu".

    Written with `erf`, not `erfc` as in `keras.activations.gelu`: graph rewriters (oneDNN, LiteRT)
    know this form and fuse it, and ONNX has no `erfc`.

    Reference:
        Hendrycks and Gimpel 2016, Gaussian Error Linear Units (https://arxiv.org/abs/1606.08415).
    """
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


@ops.custom_gradient
def gelu_in_training(x):
    """Exact GELU that keeps only its input for the backward pass: Phi(x) + x phi(x).

    TensorFlow's own gradient of `gelu` keeps three tensors, and takes longer. For training alone:
    what it wraps the function in keeps graph rewriters from knowing it.
    """

    def gradient(upstream):
        _, slope = _share_and_slope(later(x, upstream))
        return upstream * slope

    return gelu(x), gradient


@ops.custom_gradient
def gelu_product(x, kernel):
    """Multiplies GELU of a matrix with a kernel, and keeps neither GELU nor its parts in memory.

    The backward pass needs Phi(x) for the slope, and GELU, x Phi(x), for the kernel's gradient: so
    it costs one more product of numbers to compute the latter again.

    Args:
        x: float tensor (T, I).
        kernel: float tensor (I, H).

    Returns:
        float tensor (T, H).
    """

    def gradient(upstream):
        late = later(x, upstream)
        share, slope = _share_and_slope(late)
        to_x = ops.matmul(upstream, ops.transpose(kernel)) * slope
        return to_x, ops.matmul(ops.transpose(late * share), upstream)

    return ops.matmul(gelu(x), kernel), gradient


def _share_and_slope(x):
    """Gives Phi(x), and GELU's derivative Phi(x) + x phi(x)."""
    density = ops.exp(-0.5 * ops.square(x)) * (1.0 / math.sqrt(2.0 * math.pi))
    share = 0.5 * (1.0 + ops.erf(x * math.sqrt(0.5)))
    return share, share + x * density


def gelu_tanh(x):
    """The tanh approximation of GELU, as in google-research/bert."""
    return ops.gelu(x, approximate=True)


_BY_NAME: dict[str, Callable] = {
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": keras.activations.relu,
    "silu": keras.activations.silu,
    "swish": keras.activations.silu,
    "tanh": keras.activations.tanh,
}


_IN_TRAINING: dict[str, Callable] = {"gelu": gelu_in_training}


def activation(name: str, training: bool | None = False) -> Callable:
    """Gives the function that a config file's `hidden_act` names.

    Args:
        name: The name.
        training: Whether to give the form that is best where gradients are wanted, if there is one.

    Raises:
        ValueError: The name is not known.
    """
    if name not in _BY_NAME:
        raise ValueError(f"hidden_act must be one of {', '.join(_BY_NAME)}. Received: {name!r}")
    return (training and _IN_TRAINING.get(name)) or _BY_NAME[name]
