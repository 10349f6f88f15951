import math

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.layers import TransformerEncoderBlock
from keras_bert_kit.layers.activations import activation, gelu_product

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


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gelu_in_training_is_the_same_function_with_the_same_gradients(jit_compile):
    def derivatives(training, x):
        gelu = activation("gelu", training)
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                y = gelu(x)
            slope = first.gradient(y, x)
        return y, slope, second.gradient(slope, x)

    x = tf.constant(X)
    plain, kept = (
        tf.function(derivatives, jit_compile=jit_compile)(training, x) for training in (False, True)
    )
    assert activation("gelu", True) is not activation("gelu")
    for one, other in zip(plain, kept, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_product_that_keeps_no_gelu_has_the_same_gradients(jit_compile):
    random = np.random.default_rng(4)
    x, kernel, direction = (
        tf.constant(random.normal(size=shape), "float32") for shape in ((13, 7), (7, 5), (13, 5))
    )

    @tf.function(jit_compile=jit_compile)
    def derivatives(product):
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = product(x, kernel)
        return y, *tape.gradient(y, (x, kernel), direction)

    plain = derivatives(lambda x, kernel: tf.matmul(activation("gelu")(x), kernel))
    kept = derivatives(lambda x, kernel: gelu_product(x, kernel))
    for one, other in zip(kept, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_the_two_forms_of_gelu_are_told_apart():
    assert np.abs(ERF - TANH).max() > 1e-4


@pytest.mark.parametrize("make", [activation, lambda n: TransformerEncoderBlock(8, 2, 8, n)])
def test_an_unknown_activation_is_refused(make):
    with pytest.raises(ValueError, match=r"hidden_act must be one of gelu, .*'gelu_20'"):
        make("gelu_20")
