import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same, randomise

from keras_bert_kit import (
    BertConfig,
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
)

B, S = 13, 7
CONFIG = BertConfig(
    vocab_size=61,
    hidden_size=20,
    num_hidden_layers=2,
    num_attention_heads=5,
    intermediate_size=37,
    max_position_embeddings=11,
    type_vocab_size=3,
    hidden_act="gelu_new",
    layer_norm_eps=1e-5,
    classifier_dropout=0.3,
    id2label={0: "bad", 1: "so-so", 2: "good"},
)
random = np.random.default_rng(5)
INPUTS = {
    "input_ids": random.integers(1, 61, (B, S)).astype("int32"),
    "token_type_ids": random.integers(0, 3, (B, S)).astype("int32"),
    "attention_mask": (np.arange(S) < random.integers(1, S, (B, 1))).astype("int32"),
}
LABELS = random.integers(0, 3, B)
MODELS = [
    BertModel,
    BertForSequenceClassification,
    BertForMaskedLM,
    BertForNextSentencePrediction,
    BertForPreTraining,
]


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "B", "##b"], False)


@pytest.fixture(scope="module", params=MODELS)
def model(request, tokenizer):
    return randomise(request.param(CONFIG, tokenizer=tokenizer))


@pytest.fixture
def classifier():
    keras.utils.set_random_seed(3)
    return BertForSequenceClassification(CONFIG)


def compile_classifier(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    return model


def test_masked_tokens_are_predicted_where_they_are_asked_for():
    positions = random.integers(0, S, (B, 3)).astype("int32")
    chosen = np.arange(B)[:, None], positions
    for model_class, name in (
        (BertForMaskedLM, "logits"),
        (BertForPreTraining, "prediction_logits"),
    ):
        model = randomise(model_class(CONFIG))
        everywhere = model(INPUTS)[name].numpy()
        assert everywhere.shape == (B, S, 61)
        outputs = model({**INPUTS, "masked_positions": positions})
        np.testing.assert_allclose(outputs[name], everywhere[chosen], atol=1e-5)
        outputs = model(INPUTS["input_ids"], masked_positions=positions)
        assert outputs[name].shape == (B, 3, 61)


def test_pretraining_trains_both_heads_with_fit():
    keras.utils.set_random_seed(3)
    model = BertForPreTraining(CONFIG)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    names = ("prediction_logits", "seq_relationship_logits")
    model.compile(keras.optimizers.Adam(0.01), dict.fromkeys(names, loss))
    positions = np.tile(np.array([[1, 3]], "int32"), (B, 1))
    targets = (INPUTS["input_ids"][:, [1, 3]], LABELS % 2)
    inputs = {**INPUTS, "masked_positions": positions}
    history = model.fit(
        inputs, dict(zip(names, targets, strict=True)), batch_size=B, epochs=25, verbose=0
    ).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    total = history["prediction_logits_loss"][-1] + history["seq_relationship_logits_loss"][-1]
    assert total == pytest.approx(history["loss"][-1], rel=1e-5)


def test_outputs_have_their_names_and_shapes():
    outputs = BertModel(CONFIG)(INPUTS)
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {"last_hidden_state": (B, S, 20), "pooler_output": (B, 20)}
    logits = BertForSequenceClassification(CONFIG)(INPUTS)
    assert {name: tuple(value.shape) for name, value in logits.items()} == {"logits": (B, 3)}


def test_a_dict_and_keywords_give_the_same(model):
    expected = model(INPUTS)
    check_same(model(**INPUTS), expected, atol=0)
    rest = {name: INPUTS[name] for name in ("token_type_ids", "attention_mask")}
    check_same(model(INPUTS["input_ids"], **rest), expected, atol=0)
    check_same(model.predict(INPUTS, batch_size=5, verbose=0), expected)


def test_input_ids_alone_are_enough(model):
    ids = {"input_ids": INPUTS["input_ids"]}
    zeros, ones = np.zeros((B, S), "int32"), np.ones((B, S), "int32")
    usual = {"token_type_ids": zeros, "attention_mask": ones}
    check_same(model(ids), model({**ids, **usual}), atol=0)
    check_same(model(INPUTS["input_ids"]), model(ids), atol=0)


def test_every_input_counts(model):
    for name, other in [("input_ids", 7), ("token_type_ids", 1), ("attention_mask", 1)]:
        changed = model({**INPUTS, name: np.full((B, S), other, "int32")})
        for key, expected in model(INPUTS).items():
            assert np.abs(changed[key] - expected).max() > 1e-3, (name, key)


def test_padding_has_no_influence(model):
    padded = {name: np.pad(value, [(0, 0), (0, 4)]) for name, value in INPUTS.items()}
    outputs, expected = model(padded), model(INPUTS)
    for key, value in outputs.items():
        if len(value.shape) == 3:  # one a token
            outputs[key] = value[:, :S]
    check_same(outputs, expected)


@pytest.mark.parametrize(
    "inputs", [{**INPUTS, "labels": LABELS}, {"token_type_ids": INPUTS["token_type_ids"]}]
)
def test_unknown_and_missing_inputs_are_named(model, inputs):
    with pytest.raises(ValueError, match="inputs must be input_ids and, if wanted") as caught:
        model(inputs)
    assert f"Received: {', '.join(inputs)}" in str(caught.value)


def test_hidden_states_and_attentions_are_returned_when_asked():
    model = randomise(BertModel(CONFIG))
    outputs = model(INPUTS, output_hidden_states=True, output_attentions=True)
    assert [tuple(a.shape) for a in outputs["attentions"]] == [(B, 5, S, S)] * 2
    states = outputs["hidden_states"]
    check_same(states[-1], outputs["last_hidden_state"], atol=0)
    embedded = model.embeddings(INPUTS["input_ids"], INPUTS["token_type_ids"])
    check_same(states[0], embedded, atol=0)
    assert {*model(INPUTS, output_attentions=True)} == {*outputs} - {"hidden_states"}


def test_the_first_token_alone_has_the_same_pooled_output_and_gradients():
    model = randomise(BertModel(dataclasses.replace(CONFIG, hidden_dropout_prob=0.0,
                                                    attention_probs_dropout_prob=0.0)))  # fmt: skip

    @tf.function
    def run(pooled_only):
        with tf.GradientTape() as tape:
            outputs = model(INPUTS, pooled_only=pooled_only, training=True)
            loss = tf.reduce_sum(outputs["pooler_output"] ** 3)
        weights = [weight.value for weight in model.trainable_weights]
        gradients = tape.gradient(loss, weights)
        return outputs, [tf.convert_to_tensor(gradient) for gradient in gradients]

    (whole, expected), (first, gradients) = run(False), run(True)
    assert first["last_hidden_state"].shape == (B, 1, 20)
    check_same(first["pooler_output"], whole["pooler_output"])
    check_same(gradients, expected, atol=1e-4)


@pytest.mark.parametrize(
    "model_class", [BertForSequenceClassification, BertForNextSentencePrediction]
)
def test_models_of_the_pooled_output_ask_for_nothing_else(model_class, monkeypatch):
    model, shapes = model_class(CONFIG), []
    dense = model.bert.encoder.blocks[-1].output_dense
    inner = dense.call
    monkeypatch.setattr(dense, "call", lambda x: (shapes.append(tuple(x.shape)), inner(x))[1])
    model(INPUTS)
    assert shapes == [(B, 37)]


def test_the_pooling_layer_can_be_left_out(tmp_path):
    model = BertModel(CONFIG, add_pooling_layer=False)
    assert model(INPUTS).keys() == {"last_hidden_state"}
    assert not [path for path in model.weights_by_path() if path.startswith("pooler")]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    check_same(loaded(INPUTS), model(INPUTS), atol=0)


def test_a_summary_counts_all_weights(model):
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    assert f"{model.count_params():,}" in "\n".join(lines)
    assert model.count_params() > 8_000


FRESH = """
import sys
import keras, keras_bert_kit
import numpy as np
model = keras.models.load_model(sys.argv[1])
inputs = dict(np.load(sys.argv[2]))
outputs = {name: np.asarray(value) for name, value in model(inputs).items()}
np.savez(sys.argv[3], tokens=model.tokenizer.tokens, **outputs)
"""


def test_a_keras_file_keeps_outputs_and_tokenizer(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.config == CONFIG
    assert loaded.tokenizer.get_config() == model.tokenizer.get_config()
    check_same(loaded(INPUTS), model(INPUTS), atol=0)
    np.savez(tmp_path / "inputs.npz", **INPUTS)
    names = [str(tmp_path / name) for name in ("model.keras", "inputs.npz", "outputs.npz")]
    command = [sys.executable, "-W", "ignore", "-c", FRESH, *names]
    fresh = subprocess.run(command, capture_output=True, text=True, check=False)
    assert fresh.returncode == 0, fresh.stderr
    outputs = dict(np.load(tmp_path / "outputs.npz"))
    assert outputs.pop("tokens").tolist() == model.tokenizer.tokens
    check_same(outputs, {k: np.asarray(v) for k, v in model(INPUTS).items()})


def test_a_keras_file_without_a_tokenizer_loads(classifier, tmp_path):
    classifier.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").tokenizer is None


def test_every_model_takes_position_ids(model):
    counted = np.tile(np.arange(S, dtype="int32"), (B, 1))
    check_same(model({**INPUTS, "position_ids": counted}), model(INPUTS))
    check_same(model(**INPUTS, position_ids=counted), model(INPUTS))
    other = keras.tree.flatten(model(**INPUTS, position_ids=counted[:, ::-1]))
    usual = keras.tree.flatten(model(INPUTS))
    assert max(np.abs(a - b).max() for a, b in zip(other, usual, strict=True)) > 1e-3


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_weights_and_logits(policy, tmp_path):
    model = BertForSequenceClassification(CONFIG, dtype=policy)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    logits = model(INPUTS)["logits"]
    assert logits.dtype == "float32"
    full = BertForSequenceClassification(CONFIG)
    full.set_weights(model.get_weights())
    np.testing.assert_allclose(logits, full(INPUTS)["logits"], atol=0.02)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").dtype_policy.name == policy


def test_a_model_is_a_part_of_another_functional_model(tmp_path):
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in INPUTS}
    encoder = randomise(BertModel(CONFIG))
    pooled = encoder(inputs)["pooler_output"]
    assert (pooled.shape, pooled.dtype) == ((None, 20), "float32")
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    model.compile("adam", "mse")
    before = encoder.get_weights()
    model.fit(INPUTS, random.normal(size=(B, 2)), verbose=0)
    moved = [np.abs(a - b).max() for a, b in zip(before, encoder.get_weights(), strict=True)]
    assert min(moved) > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    check_same(loaded.predict(INPUTS, verbose=0), model.predict(INPUTS, verbose=0))


def test_one_loss_and_accuracy_train_and_evaluate(classifier):
    history = (
        compile_classifier(classifier)
        .fit(INPUTS, LABELS, epochs=30, batch_size=5, verbose=0)
        .history
    )
    assert history.keys() == {"loss", "accuracy"}
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    results = classifier.evaluate(INPUTS, LABELS, verbose=0, return_dict=True)
    right = np.argmax(classifier.predict(INPUTS, verbose=0)["logits"], -1) == LABELS
    assert results["accuracy"] == pytest.approx(right.mean())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(policy):
    keras.utils.set_random_seed(3)
    model = compile_classifier(BertForSequenceClassification(CONFIG, dtype=policy))
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    losses = model.fit(INPUTS, LABELS, epochs=30, batch_size=5, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert {weight.dtype for weight in model.trainable_variables} == {"float32"}


def test_a_compiled_and_trained_model_is_saved_whole(classifier, tmp_path):
    compile_classifier(classifier).fit(INPUTS, LABELS, verbose=0)
    classifier.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == int(classifier.optimizer.iterations) == 1
    check_same(loaded(INPUTS), classifier(INPUTS), atol=0)
    loaded.fit(INPUTS, LABELS, verbose=0)


def test_an_error_while_weights_are_read_leaves_keras_as_it_was(tiny_folder, monkeypatch):
    from keras_bert_kit.checkpoints.tensors import SafetensorsFile

    def fail(self, name):
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(SafetensorsFile, "__getitem__", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            BertModel.from_pretrained(tiny_folder)
    layer = keras.layers.Dense(2)
    with keras.StatelessScope():
        layer.build((None, 3))
    assert layer(np.ones((1, 3))).shape == (1, 2)
    BertModel.from_pretrained(tiny_folder)
