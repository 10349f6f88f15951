import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same, check_same_weights, randomise

import keras_bert_kit as kbk
from keras_bert_kit.config import BertConfig
from keras_bert_kit.data import Examples, bucketed_batches
from keras_bert_kit.data.documents import encode_documents
from keras_bert_kit.models import BertForDocumentClassification

B, W, S, H = 4, 3, 7, 12
CONFIG = BertConfig(
    vocab_size=31,
    hidden_size=H,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=17,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    max_position_embeddings=11,
    id2label={0: "bad", 1: "so-so", 2: "good"},
)
MODES = ("mean", "max", "attention")
random = np.random.default_rng(8)
COUNTS = np.array([3, 2, 1, 0])
LENGTHS = random.integers(2, S, (B, W, 1)) * (np.arange(W)[:, None] < COUNTS[:, None, None])
MASK = (np.arange(S) < LENGTHS).astype("int32")
INPUTS = {
    "input_ids": random.integers(1, 31, (B, W, S)).astype("int32") * MASK,
    "token_type_ids": random.integers(0, 2, (B, W, S)).astype("int32"),
    "attention_mask": MASK,
}
LABELS = np.array([0, 2, 1, 1])
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


TOKENIZER = kbk.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef"])


def made(mode, **changes):
    config = dataclasses.replace(CONFIG, window_pooling=mode, **changes)
    return randomise(BertForDocumentClassification(config, TOKENIZER))


@pytest.fixture(params=MODES)
def model(request):
    return made(request.param)


def arrays(outputs):
    return {name: np.asarray(value) for name, value in outputs.items()}


def test_windows_are_encoded_one_by_one_and_pooled(model):
    outputs = arrays(model(INPUTS))
    assert {name: a.shape for name, a in outputs.items()} == {
        "logits": (B, 3),
        "window_weights": (B, W),
    }
    for row, count in enumerate(COUNTS[:3]):
        alone = {name: a[row, :count] for name, a in INPUTS.items()}
        windows = model.bert(alone)["pooler_output"][None]
        vector, weights = model.window_pooling(windows, return_window_weights=True)
        np.testing.assert_allclose(model.classifier(vector)[0], outputs["logits"][row], atol=1e-5)
        expected = np.pad(weights[0], (0, W - count))
        np.testing.assert_allclose(expected, outputs["window_weights"][row], atol=1e-5)
    np.testing.assert_allclose(outputs["window_weights"].sum(axis=1), [1, 1, 1, 0], atol=1e-6)


def test_a_text_of_padding_alone_has_the_bias_as_logits(model):
    outputs = arrays(model(INPUTS))
    np.testing.assert_allclose(outputs["logits"][3], model.classifier.dense.bias, atol=1e-6)
    assert (outputs["window_weights"][3] == 0).all()


@pytest.mark.parametrize("mode", ["mean", "max"])
def test_a_text_of_one_window_is_classified_as_a_short_text(mode):
    model = made(mode)
    short = kbk.BertForSequenceClassification(CONFIG)
    weights = {path: np.asarray(v) for path, v in model.weights_by_path().items()}
    short.assign_weights(weights, new_head=False)
    flat = {name: a.reshape(-1, S) for name, a in INPUTS.items()}
    flat = {name: a[flat["attention_mask"].any(-1)] for name, a in flat.items()}
    alone = model({name: a[:, None] for name, a in flat.items()})
    check_same(alone["logits"], short(flat)["logits"])
    assert (alone["window_weights"].numpy() == 1).all()


def test_more_padding_changes_nothing(model):
    outputs = arrays(model(INPUTS))
    padded = {name: np.pad(a, [(0, 0), (0, 2), (0, 3)]) for name, a in INPUTS.items()}
    more = arrays(model(padded))
    np.testing.assert_allclose(more["logits"], outputs["logits"], atol=1e-5)
    expected = np.pad(outputs["window_weights"], [(0, 0), (0, 2)])
    np.testing.assert_allclose(more["window_weights"], expected, atol=1e-5)


def test_xla_gives_the_same_for_any_number_of_windows(model):
    spec = {name: tf.TensorSpec((None, None, None), "int32") for name in INPUTS}
    graph, xla = (
        tf.function(lambda x: dict(model(x)), [spec], jit_compile=jit) for jit in (False, True)
    )
    for windows in (W, 1):
        part = {name: a[:, :windows] for name, a in INPUTS.items()}
        for run in (graph, xla):
            check_same(arrays(run(part)), arrays(model(part)))


def test_input_ids_alone_are_enough(model):
    ids = INPUTS["input_ids"]
    every = {"attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    check_same(arrays(model(ids)), arrays(model({"input_ids": ids, **every})))
    counted = np.tile(np.arange(S, dtype="int32"), (B, W, 1))
    check_same(arrays(model(ids, position_ids=counted)), arrays(model(ids)))


def test_inputs_without_windows_are_refused(model):
    with pytest.raises(ValueError, match=r"Received: shape=\(4, 7\)\. Make windows with") as caught:
        model({name: a[:, 0] for name, a in INPUTS.items()})
    assert "(texts, windows, tokens)" in str(caught.value)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_weight_learns_from_every_window(model, jit_compile):
    one = np.where(np.arange(W) == 2, 1, 0)[None, :, None]  # tokens 7 and 8 in the last window
    ids = np.full((1, W, S), 5, "int32") + 2 * one

    @tf.function(jit_compile=jit_compile)
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(ids)["logits"] * np.array([1.0, -2.0, 3.0], "float32"))
        values = [weight.value for weight in model.trainable_variables]
        return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, values)]

    paths = [variable.path for variable in model.trainable_variables]
    found = {path: np.abs(one) for path, one in zip(paths, gradients(), strict=True)}
    [table] = [one for path, one in found.items() if "word_embeddings" in path]
    assert (table[[5, 7]].max(axis=1) > 0).all()
    assert all(one.max() > 0 for one in found.values())


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_recomputation_trains_the_same(jit_compile):
    """Dropout is on, so that the masks must be drawn alike as well."""
    losses, models = [], []
    for recomputed in (False, True):
        keras.utils.set_random_seed(4)
        changes = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.1}
        model = made("attention", **changes, gradient_checkpointing=recomputed)
        model.compile(keras.optimizers.SGD(0.01), LOSS, jit_compile=jit_compile)
        losses.append(model.fit(INPUTS, LABELS, epochs=2, shuffle=False, verbose=0).history["loss"])
        models.append(model)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    check_same(models[1].get_weights(), models[0].get_weights())


def test_fit_and_evaluate_look_at_the_logits_alone(model):
    model.compile(keras.optimizers.Adam(3e-3), LOSS, metrics=["accuracy"], jit_compile=False)
    weights = np.array([1, 2, 1, 0], "float32")
    before = model.evaluate(INPUTS, LABELS, sample_weight=weights, verbose=0, return_dict=True)
    logits = np.asarray(model(INPUTS)["logits"], "float64")
    errors = np.log(np.exp(logits).sum(-1)) - logits[np.arange(B), LABELS]
    assert before["loss"] == pytest.approx((weights * errors).sum() / B, rel=1e-4)
    history = model.fit(INPUTS, LABELS, sample_weight=weights, epochs=25, verbose=0).history
    assert history["loss"][-1] < 0.7 * before["loss"]
    predicted = model.predict(INPUTS, verbose=0)
    check_same(dict(predicted), arrays(model(INPUTS)))


@pytest.mark.parametrize("stride", [None, 5])
def test_a_folder_and_a_keras_file_keep_the_model(model, stride, tmp_path):
    model = made(model.config.window_pooling, window_stride=stride)
    model.save_pretrained(tmp_path / "folder")
    model.save(tmp_path / "model.keras")
    from_folder = BertForDocumentClassification.from_pretrained(tmp_path / "folder", new_head=False)
    assert from_folder.loading_report.unused == ()
    for loaded in (from_folder, keras.models.load_model(tmp_path / "model.keras")):
        assert loaded.config == model.config
        check_same_weights(loaded, model)
        check_same(arrays(loaded(INPUTS)), arrays(model(INPUTS)))


@pytest.mark.parametrize("mode", [None, *MODES])
def test_a_plain_bert_gets_new_heads(tiny_folder, mode):
    model = kbk.BertForDocumentClassification.from_pretrained(
        tiny_folder, num_labels=3, window_pooling=mode
    )
    new = {path.partition("/")[0] for path in model.loading_report.new}
    assert new == {"classifier"} | ({"window_pooling"} if mode == "attention" else set())
    assert model.window_pooling.mode == (mode or "mean")
    assert model.config.window_pooling == mode
    assert model(INPUTS)["logits"].shape == (B, 3)


def test_a_classifier_of_short_texts_leaves_the_attention_out(tmp_path):
    made("attention").save_pretrained(tmp_path / "model")
    short = kbk.BertForSequenceClassification.from_pretrained(tmp_path / "model")
    assert len(short.loading_report.unused) == 3
    assert all("window_pooling" in name for name in short.loading_report.unused)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_outputs_in_float32(policy):
    for mode in MODES:
        full = made(mode)
        model = BertForDocumentClassification(full.config, dtype=policy)
        model.set_weights(full.get_weights())
        outputs = model(INPUTS)
        assert {value.dtype.name for value in outputs.values()} == {"float32"}
        np.testing.assert_allclose(outputs["logits"], full(INPUTS)["logits"], atol=0.2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("window_pooling", "cls", "window_pooling must be one of mean, max, attention, None"),
        ("window_stride", -1, "window_stride must be a whole number from 0 on, or None.*-1"),
        ("window_stride", 2.0, "window_stride must be a whole number from 0 on, or None.*2.0"),
    ],
)
def test_a_config_that_cannot_be_is_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **{name: value})


@pytest.mark.parametrize("mode", MODES)
def test_a_word_of_the_last_window_is_learnt_and_not_without_it(mode, tiny_vocab):
    """Texts are alike two by two up to their last word, which stands in the third window."""
    keras.utils.set_random_seed(5)
    filler = np.random.default_rng(5).choice(["food", "room", "the", "was"], (4, 15))
    texts = [" ".join([*row, word]) for row in filler for word in ("bad", "good")]
    labels = np.arange(8) % 2
    changes = {"vocab_size": len(tiny_vocab), "num_hidden_layers": 1, "initializer_range": 0.3}
    config = dataclasses.replace(CONFIG, window_pooling=mode, **changes)
    accuracies = {}
    for max_windows in (None, 1):
        model = BertForDocumentClassification(config, kbk.BertTokenizer(tiny_vocab))
        examples = Examples("texts", texts)
        documents = encode_documents(examples, model.tokenizer, 8, 1, max_windows=max_windows)
        assert (documents.lengths == (max_windows or 3)).all()
        [batch] = bucketed_batches(documents, labels, batch_size=8)
        model.compile(keras.optimizers.Adam(0.02), LOSS, metrics=["accuracy"], jit_compile=False)
        accuracies[max_windows] = model.fit(*batch, epochs=40, verbose=0).history["accuracy"]
    assert accuracies[None][-1] == 1
    assert max(accuracies[1]) == 0.5
