"""Against what TF Model Garden computed, kept by tests/fixtures/make_model_garden.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from checks import check_same_weights

import keras_bert_kit
from keras_bert_kit import BertModel, load_checkpoint
from keras_bert_kit.checkpoints import model_garden, tf1

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "model_garden"
INPUT_NAMES = ("input_ids", "token_type_ids", "attention_mask")
PRETRAINER = "BertForPreTraining"
ARCHITECTURES = {
    "encoder_v2": "BertModel",
    "encoder_v1": "BertModel",
    "encoder_alone": "BertModel",
    "pretrainer_v2": PRETRAINER,
    "pretrainer_v2_items": "BertForMaskedLM",
    "pretrainer_v2_training": PRETRAINER,
    "pretrainer_v1": PRETRAINER,
    "classifier_v1": "BertForSequenceClassification",
    "classifier_own_pooler": "BertForSequenceClassification",
    "classifier_network": "BertForSequenceClassification",
    "span_v1": "BertForQuestionAnswering",
    "span_v2": "BertForQuestionAnswering",
    "token_v2_relu": "BertForTokenClassification",
}
# Models of these heads have no pooler, Model Garden's have one all the same.
WITHOUT_POOLER = ("BertForMaskedLM", "BertForQuestionAnswering", "BertForTokenClassification")


def check_variant(folder, reference):
    """A folder is read as the right class, entirely, and the outputs are Model Garden's.

    Args:
        folder: The folder of one of `ARCHITECTURES`.
        reference: The arrays of `outputs.npz`.
    """
    name = folder.name
    checkpoint = load_checkpoint(folder)
    assert checkpoint.architecture == ARCHITECTURES[name]
    model = getattr(keras_bert_kit, checkpoint.architecture).from_pretrained(folder)
    unused = ("pooler/dense/bias", "pooler/dense/kernel")
    left = unused if checkpoint.architecture in WITHOUT_POOLER else ()
    assert model.loading_report.new == ()
    assert tuple(sorted(model.loading_report.unused)) == left
    expected = expected_of(reference, name)
    actual = outputs_of(model, reference)
    if "pooler_output" in expected and "pooler_output" not in actual:
        actual |= outputs_of(BertModel.from_pretrained(folder), reference)
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, atol=1e-5, err_msg=key)


def expected_of(reference, name):
    found = {
        k.removeprefix(f"{name}/"): v for k, v in reference.items() if k.startswith(f"{name}/")
    }
    return {key: seen_of(value, reference) for key, value in found.items()}


def outputs_of(model, reference):
    inputs = {key: reference[key] for key in INPUT_NAMES}
    if "masked_lm/bias" in model.weights_by_path():
        inputs["masked_positions"] = reference["masked_positions"]
    outputs = {key: seen_of(value.numpy(), reference) for key, value in model(inputs).items()}
    if type(model).__name__ == "BertForMaskedLM":
        outputs["prediction_logits"] = outputs.pop("logits")
    return outputs


def seen_of(array, reference):
    """Leaves out the tokens that the mask hides, where an output has one value a token."""
    mask = reference["attention_mask"]
    return array[mask == 1] if array.shape[:2] == mask.shape else array


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(FIXTURES / "outputs.npz"))


@pytest.fixture
def copy_of(tmp_path):
    return lambda name: shutil.copytree(FIXTURES / name, tmp_path / name)


def test_every_fixture_is_tested(reference):
    folders = {path.name for path in FIXTURES.iterdir() if path.is_dir()}
    assert folders == ARCHITECTURES.keys()
    assert folders == {key.partition("/")[0] for key in reference if "/" in key}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_equal_model_gardens(name, reference):
    check_variant(FIXTURES / name, reference)


@pytest.mark.parametrize("change", [{"hidden_act": "gelu"}, {"layer_norm_eps": 1e-3}])
def test_another_activation_or_epsilon_is_seen(change, reference):
    model = BertModel.from_pretrained(FIXTURES / "encoder_v1", **change)
    key = "last_hidden_state"
    expected = expected_of(reference, "encoder_v1")[key]
    assert np.abs(outputs_of(model, reference)[key] - expected).max() > 1e-4


def test_the_labels_are_as_many_as_the_head_has():
    for name in ("classifier_v1", "classifier_own_pooler", "token_v2_relu"):
        config = load_checkpoint(FIXTURES / name).config
        assert config.label_names == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert load_checkpoint(FIXTURES / "classifier_network").config.num_labels == 2


def test_the_pooler_of_a_head_comes_before_the_encoders():
    file = tf1.CheckpointFile(FIXTURES / "pretrainer_v2")
    weights = load_checkpoint(FIXTURES / "pretrainer_v2").weights
    kernels = {
        name: file[f"model/{name}/kernel/.ATTRIBUTES/VARIABLE_VALUE"]
        for name in ("classification_heads/0/dense", "encoder_network/_pooler_layer")
    }
    head, encoder = kernels.values()
    assert np.abs(head - encoder).max() > 0.1
    np.testing.assert_array_equal(weights["pooler/dense/kernel"], head)


def rewrite(folder, change):
    """Writes a checkpoint again, its tensors by a function of names and arrays."""
    file = tf1.CheckpointFile(folder)
    tensors = change(dict(file))
    for path in folder.glob("bert_model*"):
        path.unlink()
    with tf.device("CPU:0"):
        tf.raw_ops.SaveV2(
            prefix=str(folder / "bert_model.ckpt"),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=[tf.constant(array) for array in tensors.values()],
        )


def renamed(*changes):
    def change(tensors):
        for old, new in changes:
            tensors = {name.replace(old, new): array for name, array in tensors.items()}
        return tensors

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        # The attention's last layer stood outside of it, as in the first releases.
        ("encoder_v1", ("_attention_layer/_output_dense", "_attention_output_dense")),
        # The second name of the masked-LM head's bias.
        ("pretrainer_v2", ("output_bias.Sbias", "bias")),
        # Some saved table: the encoder's own, which the masked-LM head shares.
        (
            "pretrainer_v2",
            ("masked_lm/embedding_table", "encoder_network/_embedding_layer/embeddings"),
        ),
        ("pretrainer_v1", ("-2/embedding_table", "-0/layer_with_weights-0/embeddings")),
        # Another place for the whole model.
        ("pretrainer_v2", ("model/", "trainer/model/")),
        ("classifier_own_pooler", ("model/", "")),
    ],
)
def test_other_names_of_the_same_are_known(name, change, copy_of):
    folder = copy_of(name)
    rewrite(folder, renamed(change))
    model_class = getattr(keras_bert_kit, ARCHITECTURES[name])
    loaded = model_class.from_pretrained(folder)
    assert str(loaded.loading_report) == "every weight was loaded"
    check_same_weights(loaded, model_class.from_pretrained(FIXTURES / name))


def test_a_weight_that_stands_twice_is_refused(copy_of):
    folder = copy_of("pretrainer_v2")
    own = "model/encoder_network/_embedding_layer/embeddings/.ATTRIBUTES/VARIABLE_VALUE"
    rewrite(folder, lambda tensors: {**tensors, own: np.zeros((21, 20), "float32")})
    with pytest.raises(ValueError, match=r"each weight once.*_embedding_layer.*embedding_table"):
        load_checkpoint(folder)


def test_an_unknown_variable_is_refused(copy_of):
    folder = copy_of("encoder_v2")
    key = "model/_rotary_layer/table/.ATTRIBUTES/VARIABLE_VALUE"
    rewrite(folder, lambda tensors: {**tensors, key: np.zeros(3, "float32")})
    with pytest.raises(ValueError, match=r"unexpected: _rotary_layer/table\."):
        BertModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("_type_embedding_layer", "_types"), "none"),
        (("model/_position_embedding_layer", "other/_type_embedding_layer"), "'model/', 'other/'"),
    ],
)
def test_a_checkpoint_must_hold_one_encoder(change, found, copy_of):
    folder = copy_of("encoder_v2")
    rewrite(folder, renamed(change))
    with pytest.raises(ValueError, match=f"must hold one encoder of TF Model.*Found: {found}"):
        load_checkpoint(folder)


def test_a_config_is_wanted_and_params_are_no_config(copy_of):
    folder = copy_of("encoder_v1")
    (folder / "bert_config.json").rename(folder / "params.yaml")
    assert model_garden.matches(folder)
    with pytest.raises(FileNotFoundError, match=r"hold bert_config.json.*Write one.*params.yaml"):
        load_checkpoint(folder)


def test_the_config_may_have_the_other_name(copy_of):
    folder = copy_of("encoder_v1")
    (folder / "bert_config.json").rename(folder / "config.json")
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config == load_checkpoint(FIXTURES / "encoder_v1").config
    assert checkpoint.config.hidden_act == "gelu_new"


def test_a_config_of_another_size_is_found(copy_of):
    folder = copy_of("encoder_v1")
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 3}))
    with pytest.raises(ValueError, match=r"missing: .*block_2.*unexpected: layer_with_weights-6"):
        BertModel.from_pretrained(folder)


def test_a_tf1_checkpoint_is_not_model_gardens(tmp_path):
    tf1.write(tmp_path, BertModel.from_pretrained(FIXTURES / "encoder_v1").to_checkpoint())
    assert tf1.matches(tmp_path)
    assert not model_garden.matches(tmp_path)
    assert not tf1.matches(FIXTURES / "encoder_v1")


def test_two_checkpoints_are_listed(copy_of):
    folder = copy_of("encoder_v1")
    for path in list(folder.glob("bert_model*")):
        shutil.copy(path, folder / path.name.replace("bert_model.ckpt", "best.ckpt"))
    with pytest.raises(ValueError, match=r"one TensorFlow checkpoint.*bert_model.ckpt, best.ckpt"):
        load_checkpoint(folder)


def test_a_damaged_checkpoint_is_named(copy_of):
    folder = copy_of("classifier_v1")
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"classifier_v1/bert_model.ckpt must be a whole"):
        keras_bert_kit.BertForSequenceClassification.from_pretrained(folder)
    data.unlink()
    with pytest.raises(FileNotFoundError, match=r"must have all its data files.*Found: none"):
        load_checkpoint(folder)
