import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_config, check_eager_graph_and_symbolic, check_layer, check_same, randomise

from keras_bert_kit.layers import WindowPooling

B, W, H = 4, 5, 6
random = np.random.default_rng(9)
WINDOWS = random.normal(size=(B, W, H)).astype("float32")
COUNTS = np.array([5, 3, 1, 0])
MASK = (np.arange(W) < COUNTS[:, None]).astype("int32")  # (B, W)
INPUTS = {"windows": WINDOWS, "window_mask": MASK}
MODES = ("mean", "max", "attention")


def made(mode):
    layer = WindowPooling(mode)
    layer.build((None, None, H))
    return randomise(layer, scale=0.8)


def in_numpy(layer, windows):
    """Vector and weights of the real windows (n, H) of one text."""
    if layer.mode == "mean":
        weights = np.full(len(windows), 1 / len(windows))
    elif layer.mode == "max":
        winners = windows.argmax(axis=0)
        weights = np.bincount(winners, minlength=len(windows)) / H
        return windows.max(axis=0), weights
    else:
        kernel, bias, score = layer.get_weights()
        scores = np.exp((np.tanh(windows @ kernel + bias) @ score)[:, 0])
        weights = scores / scores.sum()
    return weights @ windows, weights


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_pooling_is_the_papers_and_leaves_padding_out(mode, jit_compile):
    layer = made(mode)
    pool = tf.function(lambda *a: layer(*a, return_window_weights=True), jit_compile=jit_compile)
    vectors, weights = (np.asarray(part) for part in pool(WINDOWS, MASK))
    for row, count in enumerate(COUNTS[:3]):
        vector, weight = in_numpy(layer, WINDOWS[row, :count])
        np.testing.assert_allclose(vectors[row], vector, atol=1e-6)
        np.testing.assert_allclose(weights[row, :count], weight, atol=1e-6)
    np.testing.assert_array_equal(weights[MASK == 0], 0)
    np.testing.assert_array_equal(vectors[3], np.zeros(H))


@pytest.mark.parametrize("mode", MODES)
def test_without_a_mask_all_windows_count(mode):
    layer = made(mode)
    for dtype in ("bool", "int32", "float32"):
        expected = layer(WINDOWS, np.ones((B, W), dtype), return_window_weights=True)
        check_same(layer(WINDOWS, return_window_weights=True), expected, atol=0)
    check_same(layer(WINDOWS), expected[0], atol=0)


def test_pooling_by_attention_is_a_keras_layer():
    arguments = {"mode": "attention", "initializer_range": 0.3}
    check_layer(WindowPooling, INPUTS, (B, H), "float32", **arguments)


@pytest.mark.parametrize("mode", ["mean", "max"])
def test_pooling_without_weights_is_a_keras_layer(mode):
    layer = WindowPooling(mode)
    check_eager_graph_and_symbolic(layer, INPUTS, (B, H))
    assert layer.weights == []
    assert layer(WINDOWS.astype("float16"), MASK).dtype == "float32"
    check_config(WindowPooling, mode="max", initializer_range=0.3)


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_reaches_every_real_window_and_no_other(mode):
    layer, windows = made(mode), tf.constant(WINDOWS)
    with tf.GradientTape() as tape:
        tape.watch(windows)
        loss = tf.reduce_sum(layer(windows, MASK) * random.normal(size=H))
    gradient = np.abs(tape.gradient(loss, windows)).sum(axis=-1)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[MASK == 0], 0)
    won = np.asarray(layer(windows, MASK, return_window_weights=True)[1]) > 0
    assert (gradient[won] > 0).all()
    assert won.sum() == COUNTS.sum() or mode == "max"


def test_the_first_of_equal_windows_wins():
    weights = WindowPooling("max")(np.ones((1, 3, H)), return_window_weights=True)[1]
    assert weights.numpy().tolist() == [[1, 0, 0]]


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"mean, max or attention\. Received: mode='cls'"):
        WindowPooling("cls")


ON_JAX = """
import sys
import keras, numpy as np
from keras_bert_kit.layers import WindowPooling

assert keras.backend.backend() == "jax"
kept = np.load(sys.argv[1])
for mode in ("mean", "max", "attention"):
    layer = WindowPooling(mode)
    layer.build((None, None, 6))
    layer.set_weights([kept[name] for name in kept if name.startswith(f"{mode} weight")])
    outputs = layer(kept["windows"], kept["mask"], return_window_weights=True)
    for name, output in zip(("vector", "share"), outputs, strict=True):
        np.testing.assert_allclose(output, kept[f"{mode} {name}"], atol=1e-5)
"""


@pytest.mark.slow  # another process loads Keras and JAX
def test_pooling_on_jax_gives_what_it_gives_on_tensorflow(tmp_path):
    pytest.importorskip("jax")
    arrays = {"windows": WINDOWS, "mask": MASK}
    for layer in map(made, MODES):
        mode, outputs = layer.mode, layer(WINDOWS, MASK, return_window_weights=True)
        arrays |= {f"{mode} weight {i}": array for i, array in enumerate(layer.get_weights())}
        values = map(keras.ops.convert_to_numpy, outputs)
        arrays |= dict(zip((f"{mode} vector", f"{mode} share"), values, strict=True))
    np.savez(tmp_path / "kept.npz", **arrays)
    ran = subprocess.run(
        [sys.executable, "-c", ON_JAX, tmp_path / "kept.npz"],
        env={"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
