import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertConfig, BertForSequenceClassification, load_model
from keras_bert_kit.training import BertAdamW, BertLamb, LinearWarmupDecay, bert_optimizer

RATE, DECAY = 0.1, 0.25
IDS = np.random.default_rng(1).integers(1, 31, (12, 7)).astype("int32")
LABELS = IDS[:, 0] % 2


def small_network():
    """Layers under the names of a BERT's, the same each time."""
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Embedding(31, 4, "glorot_uniform", name="embeddings"),  # sparse gradient
            keras.layers.LayerNormalization(name="layer_norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="tanh", name="block_0"),
            keras.layers.Dense(2, name="classifier"),
        ]
    )


def compiled(optimizer):
    model = small_network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss)
    return model


def check_same(variables, expected, atol):
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=0, atol=atol, err_msg=variable.path)


def check_moved(variables):
    """Checks that training has changed each variable of the small network well."""
    for variable, start in zip(variables, small_network().trainable_variables, strict=True):
        assert np.abs(np.subtract(variable, start)).max() > 0.005, variable.path


@pytest.fixture
def model(tiny_folder):
    return BertForSequenceClassification.from_pretrained(tiny_folder, num_labels=3)


def decayed(model, optimizer):
    """Names of the weights that one step without gradients shrinks; the others stay as they are."""
    variables = model.trainable_variables
    before = [np.asarray(variable) + 1.0 for variable in variables]
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    optimizer.apply([tf.zeros(variable.shape) for variable in variables], variables)
    names = set()
    for variable, value in zip(variables, before, strict=True):
        if np.array_equal(variable, value):
            continue
        np.testing.assert_allclose(variable, value * (1 - RATE * DECAY), rtol=1e-5, atol=1e-6)
        names.add(variable.path)
    return names


def check_decay(model, optimizer):
    paths = {variable.path for variable in model.trainable_variables}
    kept = {path for path in paths if path.endswith(("/bias", "/gamma", "/beta"))}
    assert decayed(model, optimizer) == paths - kept
    assert any("word_embeddings" in path for path in paths - kept)
    assert any("classifier" in path for path in paths - kept)
    assert len(kept) > 20


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (1, 0.5), (2, 1.0), (4, 2.0), (7, 1.5), (10, 1.0), (15, 1 / 6), (16, 0), (99, 0)],
)
def test_the_rate_rises_and_falls_in_straight_lines(step, rate):
    schedule = LinearWarmupDecay(2.0, total_steps=16, warmup_steps=4)
    np.testing.assert_allclose(schedule(step), rate, rtol=1e-6)


def test_without_warm_up_the_rate_starts_at_the_peak():
    schedule = LinearWarmupDecay(2.0, total_steps=4, warmup_steps=0)
    np.testing.assert_allclose([schedule(step) for step in range(5)], [2, 1.5, 1, 0.5, 0])


def test_the_rate_after_a_warm_up_of_the_whole_run_is_zero():
    schedule = LinearWarmupDecay(2.0, total_steps=4, warmup_steps=4)
    np.testing.assert_allclose([schedule(step) for step in range(6)], [0, 0.5, 1, 1.5, 0, 0])


@pytest.mark.parametrize(("total", "warmup"), [(4, 5), (4, -1), (0, 0)])
def test_the_warm_up_must_fit_into_the_run(total, warmup):
    with pytest.raises(ValueError, match=f"warmup_steps={warmup}, total_steps={total}"):
        LinearWarmupDecay(1.0, total_steps=total, warmup_steps=warmup)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (1, 0.5), (3, 1.5), (4, 1.5), (7, 2 * 9 / 16), (15, 1 / 8), (16, 0), (99, 0)],
)
def test_the_decay_may_count_from_the_start(step, rate):
    schedule = LinearWarmupDecay(2.0, total_steps=16, warmup_steps=4, from_start=True)
    np.testing.assert_allclose(schedule(step), rate, rtol=1e-6)


def test_without_warm_up_it_is_all_one_where_the_decay_counts_from():
    schedule = LinearWarmupDecay(2.0, total_steps=4, warmup_steps=0, from_start=True)
    np.testing.assert_allclose([schedule(step) for step in range(5)], [2, 1.5, 1, 0.5, 0])


def test_the_batches_of_one_step_have_one_rate():
    by_step = LinearWarmupDecay(2.0, total_steps=5, warmup_steps=2)
    by_batch = LinearWarmupDecay(2.0, total_steps=5, warmup_steps=2, batches_per_step=3)
    rates = np.repeat([by_step(step) for step in range(7)], 3)
    np.testing.assert_array_equal([by_batch(batch) for batch in range(21)], rates)


def test_a_step_takes_at_least_one_batch():
    with pytest.raises(ValueError, match=r"batches_per_step must be at least 1\. Received: 0"):
        LinearWarmupDecay(1.0, total_steps=4, warmup_steps=0, batches_per_step=0)


def test_the_schedule_survives_serialisation():
    schedule = LinearWarmupDecay(3e-5, 50, 7, from_start=True, batches_per_step=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is LinearWarmupDecay
    assert again.get_config() == schedule.get_config()
    assert set(again.get_config().values()) == {3e-5, 50, 7, True, 3}


def test_a_schedule_saved_without_the_newer_options_is_the_plain_one():
    again = LinearWarmupDecay.from_config({"peak": 2.0, "total_steps": 4, "warmup_steps": 1})
    np.testing.assert_allclose([again(step) for step in range(5)], [0, 2, 4 / 3, 2 / 3, 0])


def test_biases_and_normalisations_are_not_decayed(model):
    check_decay(model, BertAdamW(RATE, weight_decay=DECAY))


def test_a_serialised_optimizer_decays_the_same_weights(model):
    optimizer = BertAdamW(RATE, weight_decay=DECAY)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is BertAdamW
    check_decay(model, again)


def test_an_optimizer_in_a_saved_model_decays_the_same_weights(model, tmp_path):
    model.compile(optimizer=BertAdamW(RATE, weight_decay=DECAY), loss="mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is BertAdamW
    check_decay(loaded, loaded.optimizer)


def test_not_decayed_can_be_chosen(model):
    chosen = decayed(model, BertAdamW(RATE, weight_decay=DECAY, not_decayed=["kernel"]))
    assert chosen == {v.path for v in model.trainable_variables if v.name != "kernel"}


def test_the_name_decides_and_not_the_path():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="alphabeta")])
    (path,) = decayed(model, BertAdamW(RATE, weight_decay=DECAY))
    assert path.endswith("alphabeta/kernel")


def variables_and_gradients(steps):
    """A kernel and a bias at random, a kernel of zeros, and gradients, of which one is 0."""
    random = np.random.default_rng(2)
    starts = [3 * random.normal(size=(5, 7)), random.normal(size=7), np.zeros((3, 4))]
    names = ["kernel", "bias", "kernel"]
    variables = [
        keras.Variable(start, name=name, dtype="float32")
        for start, name in zip(starts, names, strict=True)
    ]
    gradients = [[random.normal(size=v.shape) for v in variables] for _ in range(steps)]
    gradients[2][0] *= 0
    return variables, gradients


def apply(optimizer, gradients, variables):
    optimizer.apply([tf.constant(gradient, tf.float32) for gradient in gradients], variables)


@pytest.mark.parametrize("original", [False, True])
def test_five_steps_are_those_of_the_formula(original):
    optimizer = bert_optimizer(
        learning_rate=0.02,
        total_steps=6,
        warmup_steps=2,
        weight_decay=0.3,
        clip_norm=None,
        original=original,
    )
    optimizer.epsilon = 0.01  # large enough to see where it is added
    rates = np.array([0, 1 / 2, 4 / 6, 3 / 6, 2 / 6] if original else [0, 1 / 2, 1, 3 / 4, 1 / 2])
    variables, gradients = variables_and_gradients(5)
    expected = [np.asarray(variable, "float64") for variable in variables]
    moments = [(0, 0) for _ in variables]
    for step in range(5):
        apply(optimizer, gradients[step], variables)
        for index, (variable, gradient) in enumerate(zip(variables, gradients[step], strict=True)):
            mean, square = moments[index]
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            moments[index] = mean, square
            if not original:  # Kingma and Ba 2014, algorithm 1: epsilon comes last
                mean, square = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
            change = mean / (np.sqrt(square) + 0.01)
            change += (0.3 if variable.name == "kernel" else 0) * expected[index]
            expected[index] = expected[index] - 0.02 * rates[step] * change
            np.testing.assert_allclose(variable, expected[index], rtol=0, atol=2e-6)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_but_for_the_place_of_epsilon_it_is_the_adamw_of_keras(amsgrad):
    trained = []
    for kind in (BertAdamW, keras.optimizers.AdamW):
        schedule = LinearWarmupDecay(0.05, total_steps=6, warmup_steps=2)
        optimizer = kind(
            schedule, weight_decay=DECAY, amsgrad=amsgrad, global_clipnorm=1.0, epsilon=1e-12
        )
        if kind is keras.optimizers.AdamW:
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        variables, gradients = variables_and_gradients(5)
        for step in range(5):
            apply(optimizer, gradients[step], variables)
        trained.append(variables)
    check_same(*trained, atol=3e-6)  # three roundings of the largest


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_rows_of_one_token_are_added_up_before_they_are_squared(clip_norm):
    random = np.random.default_rng(6)
    rows = random.normal(size=(6, 3)).astype("float32")
    sparse = tf.IndexedSlices(rows, tf.constant([1, 1, 1, 3, 1, 3]), tf.constant([5, 3]))
    tables = []
    for gradient in (sparse, tf.convert_to_tensor(sparse)):
        tables.append(keras.Variable(np.ones((5, 3)), name="embeddings", dtype="float32"))
        optimizer = BertAdamW(RATE, epsilon=0.5, global_clipnorm=clip_norm)
        optimizer.apply([gradient], tables[-1:])
    np.testing.assert_array_equal(*tables)
    total = rows[[0, 1, 2, 4]].sum(0)
    if clip_norm is None:
        expected = RATE * total / (np.abs(total) + 0.5)
        np.testing.assert_allclose(1 - 0.004 * RATE - tables[0][1], expected, rtol=1e-3)


def test_four_steps_are_those_of_lamb():
    # You et al. 2019, algorithm 2, with phi(z) = z
    optimizer = BertLamb(0.02, weight_decay=0.3, epsilon=1e-12)
    variables, gradients = variables_and_gradients(4)
    expected = [np.asarray(variable, "float64") for variable in variables]
    moments = [(0, 0) for _ in variables]
    ratios = []
    for step in range(4):
        apply(optimizer, gradients[step], variables)
        for index, gradient in enumerate(gradients[step]):
            mean, square = moments[index]
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            moments[index] = mean, square
            corrected = mean / (1 - 0.9 ** (step + 1)), square / (1 - 0.999 ** (step + 1))
            change, ratio = corrected[0] / np.sqrt(corrected[1]), 1.0
            if variables[index].name == "kernel":
                change = change + 0.3 * expected[index]
                if expected[index].any():
                    ratio = np.linalg.norm(expected[index]) / np.linalg.norm(change)
            ratios.append(ratio)
            expected[index] = expected[index] - 0.02 * ratio * change
            np.testing.assert_allclose(variables[index], expected[index], rtol=1e-4, atol=1e-6)
    assert ratios[1::3] == [1.0] * 4  # the bias
    assert ratios[2] == 1.0  # the kernel of zeros, until it has moved
    assert all(abs(ratio - 1) > 0.05 for ratio in (*ratios[::3], *ratios[5::3]))


def test_lamb_without_a_direction_stays():
    kernel = keras.Variable(np.ones((2, 3)), name="kernel", dtype="float32")
    apply(BertLamb(0.1, weight_decay=0.0), [np.zeros((2, 3))], [kernel])
    np.testing.assert_array_equal(kernel, np.ones((2, 3)))


SHARES = {"embeddings": 0.125, "block_0": 0.25, "block_1": 0.5, "pooler": 1.0, "classifier": 1.0}


@pytest.fixture
def two_blocks():
    config = BertConfig(
        vocab_size=31,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=9,
        initializer_range=0.3,
    )
    return BertForSequenceClassification(config)


def test_lower_layers_learn_and_decay_at_lower_rates(two_blocks):
    variables = two_blocks.trainable_variables
    before = [np.asarray(variable).copy() for variable in variables]
    optimizer = BertAdamW(RATE, weight_decay=DECAY, layer_decay=0.5)
    apply(optimizer, [np.ones(variable.shape) for variable in variables], variables)
    seen = set()
    for variable, value in zip(variables, before, strict=True):
        (layer,) = set(variable.path.split("/")[:-1]) & set(SHARES)
        seen.add(layer)
        decay = 0 if variable.name in ("bias", "gamma", "beta") else DECAY
        expected = value - RATE * SHARES[layer] * (1 + decay * value)  # Adam's first step is 1
        np.testing.assert_allclose(variable, expected, rtol=0, atol=1e-5, err_msg=variable.path)
    assert seen == set(SHARES)


def test_the_layers_of_lamb_have_rates_too(two_blocks):
    variables = two_blocks.trainable_variables
    before = [np.asarray(variable).copy() for variable in variables]
    changes = []
    for layer_decay in (None, 0.5):
        optimizer = BertLamb(RATE, weight_decay=DECAY, layer_decay=layer_decay)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        apply(optimizer, [np.ones(value.shape) for value in before], variables)
        changes.append([np.subtract(*pair) for pair in zip(variables, before, strict=True)])
    for variable, plain, shared in zip(variables, *changes, strict=True):
        (layer,) = set(variable.path.split("/")[:-1]) & set(SHARES)
        np.testing.assert_allclose(shared, plain * SHARES[layer], rtol=0, atol=1e-5)


def test_frozen_layers_do_not_change_the_rates_of_others(two_blocks):
    two_blocks.bert.embeddings.trainable = False
    for variable in two_blocks.trainable_variables:
        if "block_0" in variable.path:
            variable.trainable = False
    variables = two_blocks.trainable_variables
    before = [np.asarray(variable).copy() for variable in variables]
    optimizer = BertAdamW(RATE, weight_decay=0.0, layer_decay=0.5)
    apply(optimizer, [np.ones(value.shape) for value in before], variables)
    for variable, value in zip(variables, before, strict=True):
        share = 0.5 if "block_1" in variable.path else 1.0
        np.testing.assert_allclose(variable, value - RATE * share, rtol=0, atol=1e-5)


def test_heads_may_learn_at_a_rate_of_their_own(two_blocks):
    variables = two_blocks.trainable_variables
    before = [np.asarray(variable).copy() for variable in variables]
    optimizer = BertAdamW(RATE, weight_decay=0.0, head_share=20)
    apply(optimizer, [np.ones(value.shape) for value in before], variables)
    heads = []
    for variable, value in zip(variables, before, strict=True):
        share = 20 if "classifier" in variable.path else 1
        heads.append(share > 1)
        np.testing.assert_allclose(variable, value - RATE * share, rtol=0, atol=1e-5 * share)
    assert sum(heads) == 2


def test_the_rate_of_heads_becomes_a_share():
    optimizer = bert_optimizer(total_steps=1, learning_rate=2e-5, head_learning_rate=1e-3)
    assert optimizer.head_share == pytest.approx(50)
    assert bert_optimizer(total_steps=1).head_share == 1


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan")])
def test_the_rate_of_heads_must_be_positive(rate):
    with pytest.raises(ValueError, match=r"head_share.* must be above 0"):
        bert_optimizer(total_steps=1, head_learning_rate=rate)


@pytest.mark.parametrize("layer_decay", [0, -0.5, 1.1, float("nan")])
def test_the_layer_decay_must_lie_in_its_range(layer_decay):
    with pytest.raises(ValueError, match=f"above 0 and at most 1.*layer_decay={layer_decay}"):
        bert_optimizer(total_steps=1, layer_decay=layer_decay)


def test_the_layer_decay_needs_blocks():
    variable = keras.Variable(np.ones(3), name="kernel")
    with pytest.raises(ValueError, match=r"need an encoder's blocks.*Received: 1 variables"):
        BertAdamW(layer_decay=0.9).build([variable])


@pytest.mark.parametrize("kind", ["adamw", "lamb"])
def test_batches_of_one_step_make_the_step_of_the_whole(kind):
    def trained(batch_size, **options):
        batches = tf.data.Dataset.from_tensor_slices((IDS, LABELS)).batch(batch_size)
        model = compiled(
            bert_optimizer(
                dataset=batches,
                epochs=4,
                learning_rate=0.05,
                warmup_steps=1,
                clip_norm=0.5,
                optimizer=kind,
                layer_decay=0.8,
                **options,
            )
        )
        model.fit(batches, epochs=4, shuffle=False, verbose=0)
        return model

    whole = trained(6)
    check_moved(whole.trainable_variables)
    for batch_size, steps in ((2, 3), (6, 1)):
        other = trained(batch_size, gradient_accumulation_steps=steps)
        assert float(other.optimizer.learning_rate) == float(whole.optimizer.learning_rate) == 0
        check_same(other.trainable_variables, whole.trainable_variables, atol=2e-5)


OPTIONS = {
    "weight_decay": DECAY,
    "not_decayed": ["kernel"],
    "bias_correction": False,
    "layer_decay": 0.7,
    "head_share": 3.0,
    "beta_1": 0.8,
    "beta_2": 0.99,
    "epsilon": 1e-5,
    "amsgrad": True,
    "global_clipnorm": 2.0,
    "gradient_accumulation_steps": 2,
}


@pytest.mark.parametrize("kind", [BertAdamW, BertLamb])
def test_every_option_survives_serialisation(kind):
    optimizer = kind(LinearWarmupDecay(RATE, 9, 2, True, 2), **OPTIONS)
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()
    assert again.get_config().items() >= OPTIONS.items()


@pytest.mark.parametrize("kind", [BertAdamW, BertLamb])
def test_a_saved_model_goes_on_to_the_same_weights(kind, tmp_path):
    schedule = LinearWarmupDecay(RATE, 9, 2, True, 2)
    model = compiled(kind(schedule, **OPTIONS))
    for _ in range(3):  # in the midst of a step
        model.train_on_batch(IDS, LABELS)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is kind
    for _ in range(3):
        model.train_on_batch(IDS, LABELS)
        loaded.train_on_batch(IDS, LABELS)
    check_moved(loaded.trainable_variables)
    check_same(loaded.trainable_variables, model.trainable_variables, atol=1e-6)


def test_an_optimizer_saved_without_the_newer_options_is_the_plain_one():
    config = BertAdamW(RATE, weight_decay=DECAY).get_config()
    newer = {"bias_correction": True, "layer_decay": None, "head_share": 1.0}
    assert {name: config.pop(name) for name in newer} == newer
    assert BertAdamW.from_config(config).get_config().items() >= newer.items()


REPLICAS = """
import numpy as np
import tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from keras_bert_kit.training import bert_optimizer

random = np.random.default_rng(1)
starts = random.normal(size=(4, 5, 3)).astype("float32")
gradients = random.normal(size=(6, 4, 5, 3)).astype("float32")
rows = tf.constant([1, 3, 1])

def trained(kind, strategy):
    with strategy.scope():
        layers = [keras.Layer(name=name) for name in ("embeddings", "block_0", "block_1", "dense")]
        variables = [
            layer.add_weight(shape=(5, 3), name="bias" if layer.name == "block_1" else "kernel")
            for layer in layers
        ]
        for variable, start in zip(variables, starts, strict=True):
            variable.assign(start)
        optimizer = bert_optimizer(
            learning_rate=0.05, total_steps=6, weight_decay=0.3, clip_norm=0.5, optimizer=kind,
            layer_decay=0.5,
        )
        optimizer.build(variables)

    def step(values):
        share = values / strategy.num_replicas_in_sync
        sparse = tf.IndexedSlices(share[0][:3], rows, tf.constant([5, 3]))
        optimizer.apply([sparse, *tf.unstack(share[1:])], variables)

    run = tf.function(lambda values: strategy.run(step, args=(values,)))
    for values in gradients:
        run(tf.constant(values))
    return [variable.numpy() for variable in variables]

for kind in ("adamw", "lamb"):
    one = trained(kind, tf.distribute.get_strategy())
    two = trained(kind, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for value, other, start in zip(one, two, starts, strict=True):
        np.testing.assert_allclose(other, value, rtol=0, atol=1e-5)
        assert np.abs(value - start).max() > 0.01
"""


@pytest.mark.slow  # another process loads TensorFlow
def test_two_replicas_make_the_steps_of_one():
    command = [sys.executable, "-c", REPLICAS]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


def test_gradients_are_clipped_by_their_global_norm():
    random = np.random.default_rng(3)
    gradients = [random.normal(size=shape).astype("float32") for shape in ((5, 7), (13,))]
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
    moments = {}
    for clip_norm in (None, 1.0, 100.0):
        variables = [keras.Variable(np.zeros(gradient.shape)) for gradient in gradients]
        optimizer = bert_optimizer(total_steps=9, clip_norm=clip_norm)
        optimizer.apply([tf.constant(gradient) for gradient in gradients], variables)
        moments[clip_norm] = [np.asarray(v) for v in optimizer.variables if "momentum" in v.path]
    assert len(moments[None]) == 2
    for plain, clipped, untouched in zip(*moments.values(), strict=True):
        np.testing.assert_allclose(clipped, plain / norm, rtol=1e-5)
        np.testing.assert_array_equal(untouched, plain)


def test_the_recipe_from_dataset_and_epochs(model):
    dataset = tf.data.Dataset.range(10).batch(2)
    optimizer = bert_optimizer(model, learning_rate=1e-3, dataset=dataset, epochs=8)
    schedule = optimizer.get_config()["learning_rate"]["config"]
    assert schedule == {
        "peak": 1e-3,
        "total_steps": 40,
        "warmup_steps": 4,
        "from_start": False,
        "batches_per_step": 1,
    }
    assert type(optimizer) is BertAdamW
    assert optimizer.built
    assert optimizer.weight_decay == 0.01
    assert optimizer.global_clipnorm == 1.0


def test_the_papers_recipe():
    optimizer = bert_optimizer(
        learning_rate=1e-4, total_steps=1000, warmup_steps=10, optimizer="lamb", original=True
    )
    assert type(optimizer) is BertLamb
    config = optimizer.get_config()
    assert config["learning_rate"]["config"]["warmup_steps"] == 10
    assert config["learning_rate"]["config"]["from_start"]
    chosen = {name: config[name] for name in ("bias_correction", "epsilon", "beta_1", "beta_2")}
    assert chosen == {"bias_correction": False, "epsilon": 1e-6, "beta_1": 0.9, "beta_2": 0.999}


def test_steps_are_counted_in_updates():
    dataset = tf.data.Dataset.range(11)
    optimizer = bert_optimizer(dataset=dataset, epochs=3, gradient_accumulation_steps=4)
    schedule = optimizer.get_config()["learning_rate"]["config"]
    assert schedule["total_steps"] == 8
    assert schedule["warmup_steps"] == 1
    assert schedule["batches_per_step"] == optimizer.gradient_accumulation_steps == 4
    plain = bert_optimizer(dataset=dataset, epochs=3, gradient_accumulation_steps=1)
    assert plain.gradient_accumulation_steps is None
    assert plain.get_config()["learning_rate"]["config"]["total_steps"] == 33


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "optimizer must be one of adamw, lamb. Received: 'adam'"),
        ({"warmup_ratio": -0.01}, "warmup_ratio must lie between 0 and 1. Received: -0.01"),
        ({"warmup_ratio": 1.5}, "warmup_ratio must lie between 0 and 1. Received: 1.5"),
        ({"warmup_steps": -1}, "warmup_steps=-1, total_steps=9"),
        ({"warmup_steps": 10}, "warmup_steps=10, total_steps=9"),
        ({"gradient_accumulation_steps": 0}, "a whole number above 0, or None. Received: 0"),
        ({"gradient_accumulation_steps": -2}, "a whole number above 0, or None. Received: -2"),
        ({"gradient_accumulation_steps": 2.5}, "a whole number above 0, or None. Received: 2.5"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        bert_optimizer(total_steps=9, **options)


@pytest.mark.parametrize("options", [{}, {"epochs": 3}, {"dataset": tf.data.Dataset.range(3)}])
def test_the_number_of_steps_must_be_given(options):
    with pytest.raises(ValueError, match="needs total_steps, or both dataset and epochs"):
        bert_optimizer(**options)


def test_a_dataset_must_know_its_number_of_batches():
    dataset = tf.data.Dataset.range(3).filter(lambda value: value > 0)
    with pytest.raises((ValueError, TypeError), match="length"):
        bert_optimizer(dataset=dataset, epochs=1)
