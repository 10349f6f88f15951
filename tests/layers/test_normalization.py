import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import randomise

from keras_bert_kit.layers.normalization import LayerNormalization

random = np.random.default_rng(3)
STATES = (5 + 3 * random.normal(size=(4, 7, 20))).astype("float32")


def both(**arguments):
    """Our layer and Keras', with the same weights."""
    kinds = (LayerNormalization, keras.layers.LayerNormalization)
    layers = [made(epsilon=1e-5, **arguments) for made in kinds]
    for layer in layers:
        layer.build(STATES.shape)
    randomise(layers[0])
    layers[1].set_weights(layers[0].get_weights())
    return layers


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed_bfloat16", "mixed_float16"])
def test_normalisation_gives_what_keras_layer_gives(dtype, training):
    ours, theirs = both(dtype=dtype)
    states = STATES.astype("float64" if dtype == "float64" else "float32")
    outputs, expected = ours(states, training=training), theirs(states)
    assert outputs.dtype == expected.dtype
    limit = {"float32": 2e-6, "float64": 1e-12}.get(dtype, 4e-2)
    np.testing.assert_allclose(
        tf.cast(outputs, "float64"), tf.cast(expected, "float64"), atol=limit, rtol=limit
    )


@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_keras_layer(training):
    direction = tf.constant(random.normal(size=STATES.shape), "float32")
    found = []
    ours, theirs = both()
    for layer, call in ((ours, lambda x: ours(x, training=training)), (theirs, theirs)):
        states = tf.constant(STATES)
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss = tf.reduce_sum(call(states) * direction)
        found.append(tape.gradient(loss, [states, layer.gamma.value, layer.beta.value]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5, rtol=1e-5)


def test_it_computes_a_row_of_equal_numbers_as_beta():
    layer = both()[0]
    np.testing.assert_allclose(layer(np.full((2, 20), 1e4, "float32")), [layer.beta] * 2, atol=1e-3)
