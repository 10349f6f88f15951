import math

import numpy as np
import pytest

from keras_bert_kit.layers import TransformerEncoderBlock
from keras_bert_kit.layers.activations import activation

X = np.linspace(-6, 6, 241, dtype="float32")
ERF = np.array([x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in X.tolist()])
TANH = 0.5 * X * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X.astype("float64") ** 3)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gelu", ERF),
        ("gelu_new", TANH),
        ("gelu_pytorch_tanh", TANH),
        ("relu", np.maximum(X, 0)),
        ("silu", X / (1 + np.exp(-X))),
        ("swish", X / (1 + np.exp(-X))),
        ("tanh", np.tanh(X)),
    ],
)
def test_activations_equal_their_formulas(name, expected):
    np.testing.assert_allclose(activation(name)(X), expected, atol=1e-6)


def test_the_two_forms_of_gelu_are_told_apart():
    assert np.abs(ERF - TANH).max() > 1e-4


@pytest.mark.parametrize("make", [activation, lambda n: TransformerEncoderBlock(8, 2, 8, n)])
def test_an_unknown_activation_is_refused(make):
    with pytest.raises(ValueError, match=r"hidden_act must be one of gelu, .*'gelu_20'"):
        make("gelu_20")
