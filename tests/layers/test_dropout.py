import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.layers.dropout import Dropout

SHAPE = (3, 7, 4001)  # an odd count of numbers


def gradient_of(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, "float32"))
    return outputs, tape.gradient(loss, x)


@pytest.mark.parametrize(
    ("rate", "dtype"),
    [
        *[(rate, dtype) for rate in (0.1, 0.5) for dtype in ("float32", "bfloat16", "float16")],
        (0.999999, "float32"),
    ],
)
def test_the_share_that_is_dropped(rate, dtype):
    outputs, _ = gradient_of(Dropout(rate, seed=3, dtype=dtype), tf.ones(SHAPE, dtype))
    share = np.mean(outputs.numpy() == 0)
    count = np.prod(SHAPE)
    assert abs(share - rate) <= 5 * (rate * (1 - rate) / count) ** 0.5 + 2**-16
    kept = outputs.numpy()[outputs.numpy() != 0].astype("float32")
    np.testing.assert_allclose(kept, min(1 / (1 - rate), 2**16), rtol=2**-7)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_what_is_dropped_has_no_gradient(jit_compile):
    layer = Dropout(0.25, seed=1)
    x = tf.random.normal(SHAPE, seed=2)
    run = tf.function(lambda x: gradient_of(layer, x), jit_compile=jit_compile)
    outputs, gradient = run(x)
    np.testing.assert_allclose(outputs, x * gradient, rtol=1e-6)
    assert set(np.unique(gradient.numpy().round(5))) == {0.0, np.float32(4 / 3).round(5)}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_product_is_that_of_what_is_left(jit_compile):
    x, other = tf.random.normal((2, 3, 7, 11), seed=2), tf.random.normal((2, 3, 11, 5), seed=3)
    direction = tf.random.normal((2, 3, 7, 5), seed=4)

    @tf.function(jit_compile=jit_compile)
    def derivatives(product):
        with tf.GradientTape() as tape:
            tape.watch((x, other))
            y = product(x, other)
        return y, *tape.gradient(y, (x, other), direction)

    one, same = Dropout(0.25, seed=1), Dropout(0.25, seed=1)
    found = derivatives(lambda x, other: one.matmul(x, other, training=True))
    expected = derivatives(lambda x, other: tf.matmul(same(x, training=True), other))
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-6)
    np.testing.assert_allclose(one.matmul(x, other), tf.matmul(x, other), atol=2e-6)


def test_each_call_drops_others_and_a_seed_decides_which():
    x = tf.ones((4, 50))
    first, again = (
        [layer(x, training=True).numpy() for _ in range(2)]
        for layer in (Dropout(0.5, seed=7), Dropout(0.5, seed=7))
    )
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).mean() > 0.3


def test_neighbours_are_dropped_independently():
    dropped = Dropout(0.5, seed=5)(tf.ones((2000, 64)), training=True).numpy() == 0
    correlations = np.corrcoef(dropped, rowvar=False)[~np.eye(64, dtype=bool)]
    assert np.abs(correlations).max() < 5 / 2000**0.5
    assert np.abs(dropped.mean(0) - 0.5).max() < 5 * 0.5 / 2000**0.5


def test_nothing_is_dropped_outside_of_training_or_at_rate_0():
    x = tf.ones((2, 3))
    assert Dropout(0.5)(x) is x
    np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)


def test_a_shape_that_the_graph_does_not_know():
    layer = Dropout(0.5, seed=1)
    run = tf.function(
        lambda x: layer(x, training=True), input_signature=[tf.TensorSpec([None, None, 5])]
    )
    assert run.get_concrete_function().output_shapes.as_list() == [None, None, 5]
    assert run(tf.ones((2, 3, 5))).shape == (2, 3, 5)


def test_it_is_saved_with_a_model(tmp_path):
    model = keras.Sequential([keras.Input((4,)), Dropout(0.5, seed=1)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (type(loaded.layers[0]), loaded.layers[0].rate) == (Dropout, 0.5)
