"""Runs on two logical CPUs what test_trainer.py asks for, and prints what came out as JSON."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

HALVES = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], HALVES)

import keras  # noqa: E402, the devices come first

from keras_bert_kit.models.trainer import DistributedModel  # noqa: E402
from keras_bert_kit.training import bert_optimizer  # noqa: E402

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(10, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 10).astype("int32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def mirrored():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def build(strategy, model_class, optimizer, **options):
    keras.utils.set_random_seed(3)
    with strategy.scope():
        inputs = keras.Input((4,), name="x")
        hidden = keras.layers.Dense(6, activation="tanh")(inputs)
        model = model_class(inputs, keras.layers.Dense(3, dtype="float32")(hidden))
        model.compile(optimizer(), LOSS, metrics=["accuracy"], **options)
    return model


def batches(x=X, weights=None, batch_size=5):
    parts = (x, Y[: len(x)]) if weights is None else (x, Y[: len(x)], weights)
    return tf.data.Dataset.from_tensor_slices(parts).batch(batch_size)


def train(strategy, model_class=DistributedModel, optimizer=None, batch_size=5, **options):
    optimizer = optimizer or (lambda: keras.optimizers.SGD(0.1))
    model = build(strategy, model_class, optimizer, **options)
    data = batches(batch_size=batch_size)
    history = model.fit(data, epochs=2, verbose=0, shuffle=False).history
    return {"logs": history, "weights": weights_of(model)}


def weights_of(model):
    return [float(v) for weight in model.trainable_variables for v in weight.numpy().ravel()]


def both(**options):
    return {
        "one": train(tf.distribute.get_strategy(), **options),
        "two": train(mirrored(), **options),
    }


def clipping():
    return both(optimizer=lambda: bert_optimizer(learning_rate=0.1, total_steps=9, clip_norm=0.01))


def keras_clipping():
    return both(optimizer=lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.01))


def accumulation():
    return train(
        mirrored(), optimizer=lambda: bert_optimizer(total_steps=4, gradient_accumulation_steps=2)
    )


def steps_per_execution():
    return train(mirrored(), steps_per_execution=2)


def overflow(model_class=DistributedModel):
    """The second replica alone overflows; the update must be left out on both."""
    keras.config.set_dtype_policy("mixed_float16")
    model = build(mirrored(), model_class, lambda: keras.optimizers.SGD(0.1))
    before = weights_of(model)
    weights = np.array([1, 1, 1, 1e30], "float32")
    model.fit(batches(X[:4], weights, batch_size=4), verbose=0)
    return {"before": before, "after": weights_of(model)}


def keras_overflow():
    return overflow(keras.Model)


def keras_jit():
    return train(mirrored(), keras.Model, batch_size=4, jit_compile=True)


def keras_uneven():
    return train(mirrored(), keras.Model)


def keras_bool():
    """A mask of bool, which Keras averages over the replicas to learn its shape."""
    with mirrored().scope():
        x, mask = keras.Input((4,), name="x"), keras.Input((4,), dtype="bool", name="mask")
        model = keras.Model({"x": x, "mask": mask}, keras.layers.Dense(3)(x))
        model.compile("sgd", LOSS)
    data = tf.data.Dataset.from_tensor_slices(({"x": X, "mask": X > 0}, Y)).batch(4)
    return model.fit(data, verbose=0).history


def jit():
    return both(jit_compile=True)


def plain():
    return {"one": train(tf.distribute.get_strategy(), keras.Model), **both()}


if __name__ == "__main__":
    try:
        print(json.dumps(globals()[sys.argv[1]]()))
    except Exception as error:  # what the test looks at
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
