"""Against what PyTorch transformers computed, kept by tests/fixtures/make_tiny_reference.py."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same_weights

from keras_bert_kit import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    BertTokenizer,
)
from keras_bert_kit.checkpoints.names import ENCODER, HEADS, HUGGINGFACE, rows

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
VARIANTS = {
    "erf": {"hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "tanh": {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
}
MODELS = {
    "encoder": BertModel,
    "classifier": BertForSequenceClassification,
    "masked_lm": BertForMaskedLM,
    "pretraining": BertForPreTraining,
    "next_sentence": BertForNextSentencePrediction,
    "tokens": BertForTokenClassification,
    "question": BertForQuestionAnswering,
    "choice": BertForMultipleChoice,
}
INPUT_NAMES = ("input_ids", "token_type_ids", "attention_mask")


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(FIXTURES / "tiny_reference.npz"))


@pytest.fixture
def folder_of(tmp_path):
    """A reference folder whose config says one of the two variants."""

    def folder_of(name, variant):
        folder = shutil.copytree(FIXTURES / "tiny_reference" / name, tmp_path / name)
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **VARIANTS[variant]}))
        return folder

    return folder_of


def outputs_of(model, reference, name):
    outputs = model({key: reference[f"{name}/{key}"] for key in INPUT_NAMES})
    seen = reference[f"{name}/attention_mask"] == 1
    return {
        key: value.numpy()[seen] if key == "last_hidden_state" else value.numpy()
        for key, value in outputs.items()
    }


def expected_of(reference, name, variant):
    prefix = f"{name}/{variant}/"
    seen = reference[f"{name}/attention_mask"] == 1
    found = {k.removeprefix(prefix): v for k, v in reference.items() if k.startswith(prefix)}
    return {k: v[seen] if k == "last_hidden_state" else v for k, v in found.items()}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_the_reference(reference, folder_of, name, variant):
    model = MODELS[name].from_pretrained(folder_of(name, variant))
    assert str(model.loading_report) == "every weight was loaded"
    actual, expected = outputs_of(model, reference, name), expected_of(reference, name, variant)
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, atol=1e-5, err_msg=key)


def test_gradients_of_the_pretraining_loss_equal_the_reference(reference, folder_of):
    model = BertForPreTraining.from_pretrained(folder_of("pretraining", "erf"))
    chosen = np.nonzero(reference["pretraining/labels"] != -100)
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        outputs = model({key: reference[f"pretraining/{key}"] for key in INPUT_NAMES})
        logits = tf.gather_nd(outputs["prediction_logits"], np.stack(chosen, -1))
        loss = crossentropy(reference["pretraining/labels"][chosen], logits) + crossentropy(
            reference["pretraining/next_sentence_label"], outputs["seq_relationship_logits"]
        )
    np.testing.assert_allclose(loss, reference["pretraining/loss"], rtol=1e-6)
    variables = model.weights_by_path()
    gradients = tape.gradient(loss, [variable.value for variable in variables.values()])
    table = {row.path: row for row in rows(ENCODER + HEADS, 2)}
    prefix = "pretraining/gradient/"
    expected = {
        name.removeprefix(prefix).removeprefix("bert."): value
        for name, value in reference.items()
        if name.startswith(prefix)
    }
    assert len(expected) == len(variables)
    for path, gradient in zip(variables, gradients, strict=True):
        row = table[path]
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient),
            HUGGINGFACE.to_ours(expected[row.huggingface], row, model.config),
            atol=1e-5,
            err_msg=path,
        )


@pytest.mark.parametrize("name", MODELS)
def test_the_variants_differ_by_more_than_the_tolerance(reference, name):
    one, other = (expected_of(reference, name, variant) for variant in VARIANTS)
    for key, value in one.items():
        assert np.abs(value - other[key]).max() > 1e-3, key


@pytest.mark.parametrize("change", [{"hidden_act": "gelu_new"}, {"layer_norm_eps": 1e-3}])
def test_each_half_of_a_variant_is_seen_by_itself(reference, folder_of, change):
    model = BertModel.from_pretrained(folder_of("encoder", "erf"), **change)
    expected = expected_of(reference, "encoder", "erf")
    actual = outputs_of(model, reference, "encoder")
    assert np.abs(actual["last_hidden_state"] - expected["last_hidden_state"]).max() > 1e-4


def test_the_classifier_keeps_labels_and_all_segments(folder_of):
    config = BertForSequenceClassification.from_pretrained(folder_of("classifier", "erf")).config
    assert config.label_names == ["bad", "so-so", "good"]
    assert config.type_vocab_size == 3


@pytest.mark.parametrize("name", MODELS)
def test_a_reference_model_is_written_back_to_the_bit(folder_of, tmp_path, name):
    model = MODELS[name].from_pretrained(folder_of(name, "tanh"))
    model.save_pretrained(tmp_path / "back")
    check_same_weights(MODELS[name].from_pretrained(tmp_path / "back"), model)
    from safetensors.numpy import load_file

    original = load_file(FIXTURES / "tiny_reference" / name / "model.safetensors")
    written = load_file(tmp_path / "back" / "model.safetensors")
    assert written.keys() == original.keys()
    for name, tensor in original.items():
        np.testing.assert_array_equal(written[name], tensor, err_msg=name)


@pytest.mark.parametrize("inputs", ["texts", "pairs"])
def test_ids_equal_the_reference(reference, inputs):
    tokenizer = BertTokenizer.from_pretrained(FIXTURES / "tiny_reference" / "encoder")
    texts, pairs = reference["texts"].tolist(), reference["pairs"].tolist()
    given = (texts,) if inputs == "texts" else (texts, pairs)
    tensors = tuple(tf.constant(part) for part in given)
    in_graph = tokenizer.in_graph()(tensors[0] if len(tensors) == 1 else tensors)
    for name in INPUT_NAMES:
        expected = reference[f"tokenizer/{inputs}/{name}"]
        np.testing.assert_array_equal(tokenizer(*given)[name], expected)
        np.testing.assert_array_equal(in_graph[name], expected)
