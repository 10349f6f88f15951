"""The conditional random field, against sums and maxima over every sequence of tags."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_config, check_copy, check_eager_graph_and_symbolic

from keras_bert_kit import ConditionalRandomField
from keras_bert_kit.layers.crf import allowed_transitions

MASKS = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
B, S = MASKS.shape
BIO = ["O", "B-X", "I-X"]
RULES = {"all": (4, {}), "bio": (3, allowed_transitions(BIO))}


def field(tags, rules=None, seed=4, scale=1.0, **options):
    layer = ConditionalRandomField(tags, **(rules or {}), **options)
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape) * scale)
    return layer


def logits_of(tags, scale=1.0):
    return (np.random.default_rng(8).normal(size=(B, S, tags)) * scale).astype("float32")


def sequences(layer, logits, mask):
    """Every sequence of tags of a row's places, and its score, in float64."""
    transitions, starts, ends = (np.asarray(w, "float64") for w in layer.weights)
    if layer.allowed is not None:
        transitions = transitions - 1e4 * ~np.array(layer.allowed)
        starts = starts - 1e4 * ~np.array(layer.allowed_starts)
        ends = ends - 1e4 * ~np.array(layer.allowed_ends)
    places = np.flatnonzero(mask)
    for tags in itertools.product(range(layer.num_tags), repeat=len(places)):
        score = starts[tags[0]] + ends[tags[-1]] if tags else 0.0
        score += sum(float(logits[place, tag]) for place, tag in zip(places, tags, strict=True))
        score += sum(transitions[pair] for pair in itertools.pairwise(tags))
        yield tags, score


def total(scores):
    return np.logaddexp.reduce(np.array(scores))


@pytest.fixture(params=RULES)
def case(request):
    tags, rules = RULES[request.param]
    return field(tags, rules), logits_of(tags)


def compiled(function):
    return tf.function(function, jit_compile=True)


@pytest.mark.parametrize("run", [lambda f: f, tf.function, compiled], ids=["eager", "graph", "xla"])
def test_all_is_what_counting_every_sequence_gives(case, run):
    layer, logits = case
    tags = np.random.default_rng(2).integers(0, layer.num_tags, (B, S))
    likelihood = run(layer.log_likelihood)(logits, tags, MASKS).numpy()
    decoded, scores = (value.numpy() for value in run(layer.decode)(logits, MASKS))
    marginals = run(layer.marginals)(logits, MASKS).numpy()
    assert decoded.dtype == "int32"
    for row, mask in enumerate(MASKS):
        every = dict(sequences(layer, logits[row], mask))
        places = np.flatnonzero(mask)
        normalizer = total(list(every.values()))
        expected = every[tuple(tags[row, places])] - normalizer
        np.testing.assert_allclose(likelihood[row], expected, rtol=1e-5, atol=1e-5)
        best = max(every, key=every.get)
        np.testing.assert_array_equal(decoded[row, places], best)
        np.testing.assert_allclose(scores[row], every[best], rtol=1e-5, atol=1e-5)
        shares = np.zeros((S, layer.num_tags))
        for found, score in every.items():
            shares[places, list(found)] += np.exp(score - normalizer)
        np.testing.assert_allclose(marginals[row], shares * mask[:, None], atol=1e-5)
    assert not decoded[MASKS == 0].any()


@pytest.mark.parametrize("row", range(B))
def test_the_probabilities_of_all_sequences_sum_to_1(case, row):
    layer, logits = case
    places = np.flatnonzero(MASKS[row])
    every = np.array([tags for tags, _ in sequences(layer, logits[row], MASKS[row])], "int32")
    filled = np.full((len(every), S), -100, "int32")  # a place that does not count may hold this
    filled[:, places] = every
    rows = [np.repeat(array[row : row + 1], len(every), 0) for array in (logits, MASKS)]
    found = layer.log_likelihood(rows[0], filled, rows[1])
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_gradients_are_those_of_finite_differences(case, jit_compile):
    layer, logits = case
    tags = layer.decode(logits[::-1], MASKS)[0]  # allowed, for others score too low to compare
    direction = np.array([1.0, -0.5, 2.0, 0.7, 1.3], "float32")
    tensors = [tf.constant(logits), *[tf.constant(weight) for weight in layer.get_weights()]]

    def loss(logits, *weights):
        state = list(zip(layer.weights, weights, strict=True))
        with keras.StatelessScope(state_mapping=state):
            return tf.reduce_sum(direction * layer.log_likelihood(logits, tags, MASKS))

    @tf.function(jit_compile=jit_compile)
    def gradients(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            found = loss(*tensors)
        return tape.gradient(found, tensors)

    loss_of = tf.function(loss)
    for index, gradient in enumerate(gradients(*tensors)):
        step = np.random.default_rng(index).normal(size=gradient.shape).astype("float32")
        ends = [
            float(
                loss_of(
                    *tensors[:index], tensors[index] + sign * 0.01 * step, *tensors[index + 1 :]
                )
            )
            for sign in (1, -1)
        ]
        along = (ends[0] - ends[1]) / 0.02
        assert float(tf.reduce_sum(gradient * step)) == pytest.approx(along, rel=5e-3, abs=5e-3)


def test_places_that_do_not_count_have_no_influence(case):
    layer, logits = case
    tags = np.random.default_rng(2).integers(0, layer.num_tags, (B, S))
    other = np.where(MASKS[..., None], logits, 77.0)
    for one, two in (
        (layer.log_likelihood(logits, tags, MASKS), layer.log_likelihood(other, tags, MASKS)),
        (layer.decode(logits, MASKS)[1], layer.decode(other, MASKS)[1]),
        (layer.marginals(logits, MASKS), layer.marginals(other, MASKS)),
    ):
        np.testing.assert_array_equal(one, two)


def test_a_gap_is_passed_over(case):
    layer, logits = case
    mask, places = np.array([[1, 0, 1, 1]]), [0, 2, 3]
    gap, without = layer.decode(logits[:1], mask), layer.decode(logits[:1, places])
    np.testing.assert_array_equal(gap[0].numpy()[:, places], without[0])
    np.testing.assert_array_equal(gap[1], without[1])


@pytest.mark.parametrize("length", [1, S])
@pytest.mark.parametrize("scale", [0.0, 1e4, 1e30])
def test_extreme_logits_give_finite_values_and_gradients(scale, length):
    layer = field(3, RULES["bio"][1])
    logits = tf.constant(logits_of(3, scale)[:, :length])
    tags = np.full((B, length), 2, "int32")  # a sequence that is not allowed
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = layer.log_likelihood(logits, tags, MASKS[:, :length])
        loss = tf.reduce_sum(found)
    weights = [weight.value for weight in layer.weights]
    for values in (found, *tape.gradient(loss, [logits, *weights])):
        assert np.isfinite(tf.convert_to_tensor(values)).all()
    marginals = layer.marginals(logits, MASKS[:, :length]).numpy()
    np.testing.assert_allclose(marginals.sum(-1), MASKS[:, :length], atol=1e-5)


def test_of_equal_tags_the_lowest_is_chosen():
    tags, scores = ConditionalRandomField(3).decode(np.zeros((2, 4, 3), "float32"))
    np.testing.assert_array_equal(tags, np.zeros((2, 4)))
    np.testing.assert_array_equal(scores, [0, 0])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float16"])
def test_all_is_computed_in_float32(policy):
    half, full = field(4, dtype=policy), field(4)
    logits = logits_of(4)
    assert {weight.dtype for weight in half.weights} == {"float32"}
    with keras.src.backend.AutocastScope("float16"):  # as in the call of a model
        found = half.log_likelihood(logits, np.ones((B, S), "int32"), MASKS)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(
        found, full.log_likelihood(logits, np.ones((B, S), "int32"), MASKS)
    )
    np.testing.assert_array_equal(half(logits), full(logits))
    in_half = half.log_likelihood(logits.astype("float16"), np.ones((B, S), "int32"), MASKS)
    assert in_half.dtype == "float32"


def test_it_is_a_layer_as_keras_asks():
    rules = {name: np.array(value) for name, value in RULES["bio"][1].items()}
    layer = field(3, rules)
    check_config(ConditionalRandomField, num_tags=3, **RULES["bio"][1])
    inputs = {"logits": logits_of(3), "mask": MASKS.astype("int32")}
    assert layer(**inputs).dtype == "int32"
    check_copy(layer, inputs)
    check_eager_graph_and_symbolic(layer, inputs, (B, S))


def test_a_keras_file_keeps_it(tmp_path):
    logits = keras.Input((None, 3), name="logits")
    layer = field(3, RULES["bio"][1])
    model = keras.Model(logits, layer(logits))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(loaded.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(loaded(logits_of(3)), layer(logits_of(3)))
    assert loaded.layers[-1].allowed == layer.allowed


FOLLOWERS = {
    ("O", "B-X", "I-X", "B-Y", "I-Y"): {
        "O": "O B-X B-Y",
        "B-X": "O B-X I-X B-Y",
        "I-X": "O B-X I-X B-Y",
        "B-Y": "O B-X B-Y I-Y",
        "I-Y": "O B-X B-Y I-Y",
        "starts": "O B-X B-Y",
        "ends": "O B-X I-X B-Y I-Y",
    },
    ("O", "B-X", "M-X", "E-X", "S-X", "S-Y"): {
        "O": "O B-X S-X S-Y",
        "B-X": "M-X E-X",
        "M-X": "M-X E-X",
        "E-X": "O B-X S-X S-Y",
        "S-X": "O B-X S-X S-Y",
        "S-Y": "O B-X S-X S-Y",
        "starts": "O B-X S-X S-Y",
        "ends": "O E-X S-X S-Y",
    },
}


@pytest.mark.parametrize("labels", FOLLOWERS)
def test_labels_tell_what_may_follow_what(labels):
    rules = allowed_transitions(labels)
    rows = [*rules["allowed"], rules["allowed_starts"], rules["allowed_ends"]]
    found = {
        name: " ".join(itertools.compress(labels, row))
        for name, row in zip([*labels, "starts", "ends"], rows, strict=True)
    }
    assert found == FOLLOWERS[labels]


def test_what_is_not_allowed_is_not_decoded():
    layer = ConditionalRandomField(3, **allowed_transitions(BIO))
    logits = np.random.default_rng(3).normal(size=(40, 9, 3)).astype("float32") * 20
    for tags in layer(logits).numpy():
        assert tags[0] != 2
        assert not [pair for pair in itertools.pairwise(tags) if tuple(pair) == (0, 2)]


@pytest.mark.parametrize("name", ["NOUN", "B", "X-PER"])
def test_a_label_of_no_scheme_is_refused(name):
    with pytest.raises(ValueError, match=f"must be O or begin with B-.*Received: '{name}'"):
        allowed_transitions(["O", name])


@pytest.mark.parametrize("name", ["allowed", "allowed_starts", "allowed_ends"])
def test_what_is_allowed_has_a_place_for_each_tag(name):
    with pytest.raises(ValueError, match=rf"{name} must have .* Received: shape=\(2,\)"):
        ConditionalRandomField(3, **{name: [True, False]})
    with pytest.raises(ValueError, match=r"num_tags must be a whole number above 0\. Received: 0"):
        ConditionalRandomField(0)


ON_JAX = """
import sys
import jax
import keras
import numpy as np
from keras_bert_kit import ConditionalRandomField

assert keras.backend.backend() == "jax"
kept = np.load(sys.argv[1])
layer = ConditionalRandomField(4)
layer.set_weights([kept[f"weight {i}"] for i in range(3)])
logits, tags, mask = (kept[name] for name in ("logits", "tags", "mask"))

def log_likelihood(logits, transitions):
    with keras.StatelessScope(state_mapping=[(layer.transitions, transitions)]):
        return layer.log_likelihood(logits, tags, mask).sum()

found = {
    "likelihood": layer.log_likelihood(logits, tags, mask),
    "decoded": layer(logits, mask),
    "marginals": layer.marginals(logits, mask),
}
of_both = jax.jit(jax.grad(log_likelihood, (0, 1)))(logits, layer.transitions.value)
found["gradient"], found["moved"] = of_both
for name, value in found.items():
    np.testing.assert_allclose(value, kept[name], rtol=1e-5, atol=1e-5, err_msg=name)
"""


@pytest.mark.slow  # another process loads Keras and JAX
def test_jax_gives_what_tensorflow_gives(tmp_path):
    pytest.importorskip("jax")
    layer, logits = field(4), tf.constant(logits_of(4))
    tags = np.random.default_rng(2).integers(0, 4, (B, S)).astype("int32")
    with tf.GradientTape() as tape:
        tape.watch(logits)
        likelihood = layer.log_likelihood(logits, tags, MASKS)
        summed = tf.reduce_sum(likelihood)
    gradient, moved = tape.gradient(summed, [logits, layer.transitions.value])
    np.savez(
        tmp_path / "kept.npz",
        logits=logits,
        tags=tags,
        mask=MASKS,
        likelihood=likelihood,
        gradient=gradient,
        moved=moved,
        decoded=layer(logits, MASKS),
        marginals=layer.marginals(logits, MASKS),
        **{f"weight {i}": weight for i, weight in enumerate(layer.get_weights())},
    )
    ran = subprocess.run(
        [sys.executable, "-c", ON_JAX, tmp_path / "kept.npz"],
        env={"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
