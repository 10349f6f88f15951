"""Activation functions under the names that BERT config files use."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
from keras import ops


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
        density = ops.exp(-0.5 * ops.square(x)) * (1.0 / math.sqrt(2.0 * math.pi))
        share = 0.5 * (1.0 + ops.erf(x * math.sqrt(0.5)))
        return upstream * (share + x * density)

    return gelu(x), gradient


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
