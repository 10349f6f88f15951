"""Checks that hold for every layer; a new layer's test calls them with odd sizes."""

import inspect

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from keras.backend import standardize_dtype

DTYPE_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def check_layer(layer_class, inputs, expected_shape, output_dtype=None, **arguments):
    """Holds a layer to what Keras asks of every layer.

    Args:
        layer_class: The class.
        inputs: Arrays by the names that `call` gives them.
        expected_shape: Shape of the output.
        output_dtype: Dtype of the output under every policy; `None` expects the compute dtype.
        **arguments: All arguments of the constructor, each with another value than its default.
    """
    check_config(layer_class, **arguments)
    layer = layer_class(**arguments)
    check_eager_graph_and_symbolic(layer, inputs, expected_shape)
    check_copy(layer, inputs)
    check_gradients(layer, inputs)
    for policy in DTYPE_POLICIES:
        check_dtype(layer_class(**arguments, dtype=policy), inputs, output_dtype)


def check_config(layer_class, **arguments):
    """Every constructor argument comes back out of `get_config`, under other values than usual."""
    parameters = inspect.signature(layer_class.__init__).parameters.values()
    named = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert named.keys() - {"self"} == arguments.keys()
    usual = [name for name, value in arguments.items() if named[name] == value]
    assert not usual, f"another value than the default must be tested for {usual}"
    config = layer_class(**arguments, name="given", dtype="mixed_bfloat16").get_config()
    assert {name: config.get(name) for name in arguments} == arguments
    copy = layer_class.from_config(config)
    assert (copy.name, copy.compute_dtype) == ("given", "bfloat16")
    assert copy.get_config() == config


def check_eager_graph_and_symbolic(layer, inputs, expected_shape):
    """The layer gives the same in a graph of any batch and length, and its symbolic shape is true.

    The graph runs with one row less, too, so a size that tracing froze is found.
    """
    eager = call(layer, inputs)
    assert eager.shape == expected_shape
    graph = tf.function(lambda given: layer(**given))
    concrete = graph.get_concrete_function({k: _open_spec(v) for k, v in inputs.items()})
    for rows in (expected_shape[0], expected_shape[0] - 1):
        part = {name: tf.constant(value[:rows]) for name, value in inputs.items()}
        np.testing.assert_allclose(concrete(part), eager[:rows], rtol=1e-5, atol=1e-5)
    symbolic = layer(
        **{k: keras.KerasTensor((None, *v.shape[1:]), v.dtype.name) for k, v in inputs.items()}
    )
    assert symbolic.shape == (None, *expected_shape[1:])
    assert symbolic.dtype == standardize_dtype(eager.dtype)


def check_copy(layer, inputs):
    """A layer that went through serialisation gives the same with the same weights."""
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    call(copy, inputs)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(call(copy, inputs), call(layer, inputs))


def check_gradients(layer, inputs):
    """Every trainable weight gets a gradient that is somewhere not 0."""
    with tf.GradientTape() as tape:
        output = layer(**inputs)
        direction = np.random.default_rng(3).normal(size=output.shape)
        loss = tf.reduce_sum(output * tf.cast(direction, output.dtype))
    weights = layer.trainable_weights
    assert weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path


def check_dtype(layer, inputs, output_dtype=None):
    """Outputs are finite and have the policy's compute dtype, and the weights are float32."""
    for training in (False, True) if layer._call_has_training_arg else (None,):
        output = layer(**inputs) if training is None else layer(**inputs, training=training)
        assert standardize_dtype(output.dtype) == (output_dtype or layer.compute_dtype)
        assert np.isfinite(keras.ops.convert_to_numpy(output).astype("float32")).all()
    assert {standardize_dtype(weight.dtype) for weight in layer.weights} == {"float32"}


def check_same(actual, expected, atol=1e-5):
    """Two nests of arrays have the same names, shapes and values."""
    tree.assert_same_structure(actual, expected)
    for one, other in zip(tree.flatten(actual), tree.flatten(expected), strict=True):
        assert tuple(one.shape) == tuple(other.shape)
        np.testing.assert_allclose(one, other, atol=atol, rtol=1e-5)


def check_same_weights(model, other):
    """Two models have the same weights to the bit, by the paths that checkpoints use."""
    mine, theirs = model.weights_by_path(), other.weights_by_path()
    assert mine.keys() == theirs.keys()
    for path, weight in mine.items():
        np.testing.assert_array_equal(weight, theirs[path], err_msg=path)


def randomise(model, seed=7, scale=0.3):
    """Gives every weight a random value, so that none can be swapped or left out unseen."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        middle = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(generator.normal(middle, scale, weight.shape))
    return model


def call(layer, inputs):
    return keras.ops.convert_to_numpy(layer(**inputs))


def _open_spec(array):
    """Leaves batch and length open; a float array keeps its last axis, the hidden one."""
    last = array.shape[-1:] if array.dtype.kind == "f" else ()
    open_axes = [None] * (array.ndim - len(last))
    return tf.TensorSpec([*open_axes, *last], array.dtype)
