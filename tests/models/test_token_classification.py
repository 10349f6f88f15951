"""The tagger with a conditional random field, with an LSTM, and with both."""

import dataclasses
import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same, check_same_weights, randomise

from keras_bert_kit import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTokenizer,
)
from keras_bert_kit.layers import ConditionalRandomField

B, S, C = 6, 7, 3
PLAIN = BertConfig(
    vocab_size=31,
    hidden_size=12,
    num_hidden_layers=1,
    num_attention_heads=3,
    intermediate_size=17,
    max_position_embeddings=9,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    id2label={0: "O", 1: "B-X", 2: "I-X"},
)
TOKENIZER = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"])
KINDS = {
    "crf": {"use_crf": True},
    "lstm": {"lstm_hidden_size": 5},
    "both": {"use_crf": True, "lstm_hidden_size": 5},
}
random = np.random.default_rng(9)
INPUTS = {
    "input_ids": random.integers(1, 31, (B, S)).astype("int32"),
    "attention_mask": (np.arange(S) < np.array([[7], [5], [2], [7], [4], [6]])).astype("int32"),
}
TAGS = (INPUTS["input_ids"] % C).astype("int32")  # a token tells its tag
LABELLED = INPUTS["attention_mask"] * (INPUTS["input_ids"] % 5 > 0)
WEIGHTS = (LABELLED / LABELLED.mean()).astype("float32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def config_of(kind):
    return dataclasses.replace(PLAIN, **KINDS.get(kind, {}))


def tagger(kind, **options):
    keras.utils.set_random_seed(3)
    return BertForTokenClassification(config_of(kind), tokenizer=TOKENIZER, **options)


def brute_force_loss(model, logits):
    """-log p of the labelled places' tags, by counting every sequence, for each such place."""
    transitions, starts, ends = (np.asarray(weight) for weight in model.crf.weights)

    def score(row, places, tags):
        pairs = sum(transitions[pair] for pair in itertools.pairwise(tags))
        return logits[row, places, tags].sum() + starts[tags[0]] + ends[tags[-1]] + pairs

    total = 0.0
    for row in range(B):
        places = np.flatnonzero(LABELLED[row])
        if len(places):
            every = itertools.product(range(C), repeat=len(places))
            scores = [score(row, places, list(tags)) for tags in every]
            total += np.logaddexp.reduce(scores) - score(row, places, list(TAGS[row, places]))
    return total / LABELLED.sum()


@pytest.mark.parametrize("kind", ["crf", "both"])
def test_the_loss_is_that_of_counting_every_sequence(kind):
    model = randomise(tagger(kind))
    outputs = model(INPUTS)
    expected = brute_force_loss(model, outputs.logits.numpy())
    for y, weights in ((TAGS, WEIGHTS), ({"logits": TAGS}, {"logits": WEIGHTS})):
        found = model.compute_loss(INPUTS, y, outputs, weights)
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_without_weights_every_place_has_a_label():
    model = randomise(tagger("crf"))
    outputs = model(INPUTS)
    ones = np.ones((B, S), "float32")
    found, expected = (model.compute_loss(INPUTS, TAGS, outputs, w) for w in (None, ones))
    assert float(found) == float(expected) > 0


def test_weights_of_rows_are_refused():
    model = tagger("crf")
    with pytest.raises(ValueError, match=r"must be those of the places.*shape=\(6,\)"):
        model.compute_loss(INPUTS, TAGS, model(INPUTS), np.ones(B, "float32"))


def test_a_plain_tagger_has_the_compiled_loss():
    model = tagger("plain")
    model.compile("sgd", LOSS)
    outputs = model(INPUTS)
    expected = LOSS(TAGS, outputs.logits, WEIGHTS)
    assert float(model.compute_loss(INPUTS, TAGS, outputs, WEIGHTS)) == pytest.approx(
        float(expected), rel=1e-6
    )
    assert {path.split("/")[0] for path in model.weights_by_path()} == {
        "embeddings",
        "encoder",
        "classifier",
    }


@pytest.mark.slow  # XLA compiles two passes
@pytest.mark.parametrize("kind", KINDS)
def test_xla_trains_as_without_it(kind):
    losses = {}
    for jit_compile in (False, True):
        model = tagger(kind)
        model.compile(keras.optimizers.Adam(0.02), LOSS, jit_compile=jit_compile)
        data = tf.data.Dataset.from_tensors((INPUTS, TAGS, WEIGHTS)).repeat(30)
        losses[jit_compile] = model.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"]
        scored = model.evaluate(INPUTS, TAGS, sample_weight=WEIGHTS, batch_size=B, verbose=0)
        assert scored < 0.5 * losses[jit_compile][0]
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-3)
    decoded = model.decode(model(INPUTS).logits, LABELLED).numpy()
    np.testing.assert_array_equal(decoded, TAGS * (LABELLED > 0))


@pytest.mark.slow  # XLA compiles
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(policy):
    model = tagger("both", dtype=policy)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=True)
    losses = model.fit(
        INPUTS, TAGS, sample_weight=WEIGHTS, batch_size=B, epochs=15, verbose=0
    ).history["loss"]
    assert losses[-1] < losses[0]
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_tags_and_probabilities_with_and_without_a_field():
    logits = random.normal(size=(B, S, C)).astype("float32")
    plain, model = tagger("plain"), randomise(tagger("crf"))
    field = ConditionalRandomField(C)
    field.set_weights(model.crf.get_weights())
    np.testing.assert_array_equal(model.decode(logits, LABELLED), field(logits, LABELLED))
    np.testing.assert_array_equal(
        model.tag_probabilities(logits, LABELLED), field.marginals(logits, LABELLED)
    )
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(plain.tag_probabilities(logits), shares, rtol=1e-5)
    np.testing.assert_allclose(
        plain.tag_probabilities(logits, LABELLED), shares * LABELLED[..., None], rtol=1e-5
    )
    np.testing.assert_array_equal(plain.decode(logits), logits.argmax(-1))
    np.testing.assert_array_equal(plain.decode(logits, LABELLED), logits.argmax(-1) * LABELLED)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_influence(kind):
    model = randomise(tagger(kind))
    padded = {name: np.pad(value, [(0, 0), (0, 2)]) for name, value in INPUTS.items()}
    for given, longer in ((INPUTS, padded), (dict(INPUTS), {**padded})):
        short, long = model(given).logits.numpy(), model(**longer).logits.numpy()[:, :S]
        seen = INPUTS["attention_mask"] == 1
        np.testing.assert_allclose(long[seen], short[seen], atol=1e-5)


def test_the_lstm_wants_a_mask_of_tokens():
    mask = np.ones((B, S, S), "int32")
    with pytest.raises(ValueError, match=r"in a model with an LSTM.*shape=\(6, 7, 7\)"):
        tagger("lstm")({**INPUTS, "attention_mask": mask})
    assert tagger("crf")({**INPUTS, "attention_mask": mask}).logits.shape == (B, S, C)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_and_a_keras_file_keep_the_model(kind, tmp_path):
    model = randomise(tagger(kind))
    model.save_pretrained(tmp_path / "folder")
    model.save(tmp_path / "model.keras")
    from_folder = BertForTokenClassification.from_pretrained(tmp_path / "folder")
    assert from_folder.loading_report.new == from_folder.loading_report.unused == ()
    for loaded in (from_folder, keras.models.load_model(tmp_path / "model.keras")):
        check_same_weights(loaded, model)
        check_same(dict(loaded(INPUTS)), dict(model(INPUTS)), atol=0)
        assert loaded.config == model.config


def test_the_names_in_the_file_are_plain(tmp_path):
    from keras_bert_kit.checkpoints.tensors import SafetensorsFile

    tagger("both").save_pretrained(tmp_path / "folder")
    names = {
        name
        for name in SafetensorsFile(tmp_path / "folder" / "model.safetensors").shapes
        if not name.startswith(("bert.", "classifier."))
    }
    leaves = ("kernel", "recurrent_kernel", "bias")
    assert names == {
        "crf.transitions",
        "crf.start_transitions",
        "crf.end_transitions",
        *(f"lstm.{way}.{leaf}" for way in ("forward", "backward") for leaf in leaves),
    }
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["model_type"] == "keras-bert-kit"


def test_a_plain_bert_gets_new_heads(tiny_folder):
    model = BertForTokenClassification.from_pretrained(
        tiny_folder, num_labels=C, use_crf=True, lstm_hidden_size=5
    )
    assert {path.split("/")[0] for path in model.loading_report.new} == {
        "classifier",
        "crf",
        "lstm",
    }
    assert model(INPUTS).logits.shape == (B, S, C)
    assert set(model.loading_report.unused) == {"pooler/dense/kernel", "pooler/dense/bias"}


@pytest.mark.parametrize("change", [{"use_crf": False}, {"lstm_hidden_size": None}])
def test_weights_that_the_tags_depend_on_are_not_left_out(change, tmp_path):
    tagger("both").save_pretrained(tmp_path / "folder")
    left = "crf/transitions" if "use_crf" in change else "lstm/forward_lstm/lstm_cell/kernel"
    # The classifier of a model without an LSTM has another shape, too.
    with pytest.raises(ValueError, match=f"must fill the model exactly.*unexpected: .*{left}"):
        BertForTokenClassification.from_pretrained(tmp_path / "folder", new_head=True, **change)
    other = BertForSequenceClassification.from_pretrained(tmp_path / "folder", new_head=True)
    assert "crf/transitions" in other.loading_report.unused


ON_TWO = """
import sys
sys.path[:0] = [sys.argv[1]]
import json
import tensorflow as tf

halves = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
import keras
import test_token_classification as here

found = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        model = here.tagger("crf")
        model.compile(keras.optimizers.SGD(0.5), jit_compile=True)
    data = tf.data.Dataset.from_tensor_slices((here.INPUTS, here.TAGS, here.WEIGHTS))
    data = data.batch(here.B).repeat(3)
    losses = model.fit(data, shuffle=False, verbose=0, epochs=2).history["loss"]
    found.append([losses, model.crf.transitions.numpy().tolist()])
print(json.dumps(found))
"""


@pytest.mark.slow  # another process, with two devices
def test_two_devices_train_as_one():
    tests = [str(path) for path in (sys.modules["checks"].__file__, __file__)]
    folders = [path.rpartition("/")[0] for path in tests]
    code = ON_TWO.replace("[sys.argv[1]]", repr(folders))
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    one, two = json.loads(ran.stdout.splitlines()[-1])
    for single, double in zip(one, two, strict=True):
        np.testing.assert_allclose(double, single, rtol=1e-4, atol=1e-6)
    assert np.abs(one[1]).max() > 1e-3
