"""The train step: on one device in this process, on two in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert_kit as kbk
from keras_bert_kit.models import DistributedModel

SCRIPT = Path(__file__).with_name("on_two_devices.py")
X = np.random.default_rng(5).normal(size=(10, 4)).astype("float32")
Y = np.arange(10) % 3
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def on_two_devices(name):
    ran = subprocess.run(
        [sys.executable, SCRIPT, name], capture_output=True, text=True, timeout=300, check=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


def functional(model_class, **options):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(6, activation="tanh")(inputs))
    model = model_class(inputs, keras.layers.Dense(3)(hidden))
    model.compile(keras.optimizers.SGD(0.1), LOSS, metrics=["accuracy"], **options)
    return model


def check_same_training(outcome):
    """Two devices gave the logs and the weights that one gave."""
    one, two = outcome["one"], outcome["two"]
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-5, atol=1e-6)
    for name, values in one["logs"].items():
        np.testing.assert_allclose(two["logs"][name], values, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_one_device_trains_as_keras_does(jit_compile):
    runs = {}
    for model_class in (keras.Model, DistributedModel):
        model = functional(model_class, jit_compile=jit_compile)
        logs = model.fit(X, Y, batch_size=4, epochs=2, validation_data=(X, Y), verbose=0).history
        runs[model_class] = logs, model.predict(X, verbose=0), model.evaluate(X, Y, verbose=0)
    for ours, theirs in zip(runs[DistributedModel], runs[keras.Model], strict=True):
        keras.tree.map_structure(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs
        )


def test_jit_compile_compiles_the_pass_and_not_the_update(monkeypatch):
    compiled = []
    make = tf.function

    def recorded(function=None, **options):
        if options.get("jit_compile"):
            compiled.append(function.__name__)
        return make(function, **options)

    monkeypatch.setattr(tf, "function", recorded)
    model = functional(DistributedModel, jit_compile=True)
    model.fit(X, Y, epochs=1, verbose=0, validation_data=(X, Y))
    model.predict(X, verbose=0)
    assert set(compiled) == {"_forward_and_backward", "_forward", "_predict"}
    assert model.jit_compile is True


def test_a_saved_model_is_still_compiled_with_xla_and_trains_on(tmp_path):
    model = functional(DistributedModel, jit_compile=True)
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kbk.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, DistributedModel)
    assert loaded.jit_compile is True
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5)
    assert np.isfinite(loaded.fit(X, Y, epochs=1, verbose=0).history["loss"][0])


def test_run_eagerly_and_single_batches_work():
    model = functional(DistributedModel, run_eagerly=True)
    assert np.isfinite(model.train_on_batch(X, Y)[0])
    assert np.isfinite(model.test_on_batch(X, Y)[0])
    assert model.predict_on_batch(X).shape == (10, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "jit", "clipping"])
def test_two_devices_train_as_one_does(name):
    """The global batches are of 5 rows, which no two devices can halve."""
    check_same_training(on_two_devices(name))


@pytest.mark.slow
def test_an_overflow_on_one_device_leaves_the_update_out_on_both():
    outcome = on_two_devices("overflow")
    assert outcome["after"] == outcome["before"]


@pytest.mark.slow
def test_steps_per_execution_is_refused_on_several_devices():
    error = on_two_devices("steps_per_execution")["error"]
    assert "steps_per_execution must be 1" in error
    assert "steps_per_execution=2, replicas=2" in error


@pytest.mark.slow
def test_accumulation_is_refused_on_several_devices():
    error = on_two_devices("accumulation")["error"]
    assert "gradient_accumulation_steps must be None where several replicas train" in error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keras_jit", "resource"),
        ("keras_bool", "bool is not in the list of allowed values"),
        ("keras_uneven", "must have the same size and shape"),
    ],
)
def test_keras_still_fails_where_the_trainer_helps(name, message):
    """Once Keras does it by itself, the part of models/trainer.py that helps can go."""
    assert message in on_two_devices(name)["error"]


@pytest.mark.slow
def test_keras_still_clips_and_looks_for_overflow_on_each_device_alone():
    """Once it does not, `apply` of BertAdamW and `_with_shared_overflow` can go."""
    clipped = on_two_devices("keras_clipping")
    assert not np.allclose(clipped["two"]["weights"], clipped["one"]["weights"], rtol=1e-5)
    assert not np.isfinite(on_two_devices("keras_overflow")["after"]).all()
