import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification, load_model
from keras_bert_kit.training import BertAdamW, LinearWarmupDecay, bert_optimizer

RATE, DECAY = 0.1, 0.25


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


def test_the_schedule_survives_serialisation():
    schedule = LinearWarmupDecay(3e-5, total_steps=50, warmup_steps=7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert type(again) is LinearWarmupDecay
    assert again.get_config() == schedule.get_config()


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


@pytest.mark.parametrize("name", ["kernel", "bias"])
def test_two_steps_are_those_of_adamw(name):
    random = np.random.default_rng(2)
    start, first, second = random.normal(size=(3, 5, 7))
    variable = keras.Variable(start, name=name)
    optimizer = bert_optimizer(
        learning_rate=0.01, total_steps=2, warmup_ratio=0, weight_decay=0.3, clip_norm=None
    )
    expected, mean, square = start, 0, 0
    for step, (gradient, rate) in enumerate([(first, 0.01), (second, 0.005)], start=1):
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        # Kingma and Ba 2014, end of section 2: epsilon is added before the bias is corrected
        rescale = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        change = rescale * mean / (np.sqrt(square) + 1e-6)
        expected = expected * (1 - rate * (0.3 if name == "kernel" else 0)) - rate * change
        np.testing.assert_allclose(variable, expected, rtol=0, atol=1e-6)


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
    assert schedule == {"peak": 1e-3, "total_steps": 40, "warmup_steps": 4}
    assert optimizer.built
    assert optimizer.weight_decay == 0.01
    assert optimizer.global_clipnorm == 1.0


@pytest.mark.parametrize("options", [{}, {"epochs": 3}, {"dataset": tf.data.Dataset.range(3)}])
def test_the_number_of_steps_must_be_given(options):
    with pytest.raises(ValueError, match="needs total_steps, or both dataset and epochs"):
        bert_optimizer(**options)


def test_a_dataset_must_know_its_number_of_batches():
    dataset = tf.data.Dataset.range(3).filter(lambda value: value > 0)
    with pytest.raises((ValueError, TypeError), match="length"):
        bert_optimizer(dataset=dataset, epochs=1)
