"""Training with `gradient_checkpointing` computes what training without it does."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same

from keras_bert_kit.layers import TransformerEncoder

B, S, H = 13, 7, 20
SIZES = {
    "num_hidden_layers": 3,
    "hidden_size": H,
    "num_attention_heads": 5,
    "intermediate_size": 37,
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.3,
    "initializer_range": 0.3,
}
random = np.random.default_rng(11)
STATES = tf.constant(random.normal(size=(B, S, H)), "float32")
MASK = tf.constant(np.arange(S) < random.integers(1, S, (B, 1)), "int32")
DIRECTION = tf.constant(random.normal(size=(B, S, H)), "float32")
# In a graph, the second forward pass runs in fused operations, which round in another order: by
# some millionths of the gradients, which reach 50.
ROUNDING = 2e-4
MODES = {
    "eager": lambda step: step,
    "graph": tf.function,
    "xla": lambda step: tf.function(step, jit_compile=True),
}


def encoder(recomputed, **changes):
    keras.utils.set_random_seed(7)
    layer = TransformerEncoder(**{**SIZES, **changes}, gradient_checkpointing=recomputed)
    layer.build((None, None, H))
    return layer


def train(layer, mode, **arguments):
    """Outputs and gradients of two steps, which draw different dropout masks."""

    def step(states):
        with tf.GradientTape() as tape:
            tape.watch(states)
            outputs = layer(states, attention_mask=MASK, training=True, **arguments)
            last = outputs["last_hidden_state"] if arguments else outputs
            loss = tf.reduce_sum(tf.cast(last, "float32") * DIRECTION)
        weights = [weight.value for weight in layer.trainable_weights]
        return outputs, tape.gradient(loss, [states, *weights])

    run = MODES[mode](step)
    return [run(STATES), run(STATES)]


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_recomputation_gives_the_same_outputs_and_gradients(mode, norm_first):
    kept, recomputed = (train(encoder(on, norm_first=norm_first), mode) for on in (False, True))
    check_same(recomputed, kept, ROUNDING)
    [(first, _), (second, gradients)] = recomputed
    assert np.abs(first - second).max() > 0.01  # other masks
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_recomputation_of_the_first_position_alone():
    arguments = {"output_length": 1, "output_hidden_states": True}
    check_same(*(train(encoder(on), "graph", **arguments) for on in (True, False)), ROUNDING)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_recomputation_keeps_mixed_precision(policy):
    # Not in a graph, whose fused operations round less often than the policy says.
    check_same(*(train(encoder(on, dtype=policy), "eager") for on in (True, False)))


@pytest.mark.parametrize(
    "changes",
    [{"hidden_dropout_prob": 0.0}, {"attention_probs_dropout_prob": 0.0}, {"trainable": False}],
)
def test_recomputation_goes_without_dropout_and_through_frozen_blocks(changes):
    check_same(*(train(encoder(on, **changes), "eager") for on in (True, False)))


@pytest.mark.parametrize("option", ["output_hidden_states", "output_attentions"])
def test_recomputation_returns_what_is_asked_for(option):
    arguments = {option: True}
    check_same(*(train(encoder(on), "eager", **arguments) for on in (True, False)))


def test_blocks_run_twice_in_training_alone(monkeypatch):
    layer, calls = encoder(True), []
    for block in layer.blocks:
        inner = block.call
        monkeypatch.setattr(
            block, "call", lambda *args, inner=inner, **kw: (calls.append(0), inner(*args, **kw))[1]
        )
    layer(STATES, training=False)
    assert len(calls) == 3
    calls.clear()
    train(layer, "eager")
    assert len(calls) == 2 * 2 * 3
    calls.clear()
    train(layer, "eager", output_attentions=True)
    assert len(calls) == 2 * 3


def test_a_functional_model_takes_a_recomputing_encoder():
    states = keras.Input((None, H))
    model = keras.Model(states, encoder(True)(states))
    usual = keras.Model(states, encoder(False)(states))
    histories = []
    for one in (model, usual):
        one.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
        histories.append(one.fit(STATES, DIRECTION, epochs=2, shuffle=False, verbose=0).history)
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    check_same(model.get_weights(), usual.get_weights())


REPLICAS = """
import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
import test_recomputation as it

def train(recomputed):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = it.encoder(recomputed)

    def step():
        with tf.GradientTape() as tape:
            outputs = layer(it.STATES, attention_mask=it.MASK, training=True)
            loss = tf.reduce_sum(outputs * it.DIRECTION)
        return tape.gradient(loss, [weight.value for weight in layer.trainable_weights])

    run = tf.function(lambda: strategy.run(step))
    return [strategy.experimental_local_results(g) for g in run() + run()]

for kept, recomputed in zip(train(False), train(True), strict=True):
    for one, other in zip(kept, recomputed, strict=True):
        np.testing.assert_allclose(one, other, atol=it.ROUNDING)
    assert len(kept) == 2 and np.abs(kept[0]).max() > 0
"""


@pytest.mark.slow
def test_recomputation_gives_the_same_gradients_in_each_replica():
    folder = __file__.rpartition("/")[0]
    script = f"import sys; sys.path[:0] = [{folder!r}, {folder.rpartition('/')[0]!r}]\n{REPLICAS}"
    command = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
