"""Against what transformers' TFBert classes computed, kept by make_tf_transformers.py."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from checks import check_same_weights

import keras_bert_kit
from keras_bert_kit import BertForSequenceClassification, BertModel, load_checkpoint
from keras_bert_kit.checkpoints import tf_transformers

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "tf_transformers"
NAMES = (
    "TFBertModel",
    "TFBertForPreTraining",
    "TFBertForMaskedLM",
    "TFBertForNextSentencePrediction",
    "TFBertForSequenceClassification",
    "TFBertForTokenClassification",
    "TFBertForQuestionAnswering",
    "TFBertForMultipleChoice",
)


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(FIXTURES / "outputs.npz"))


@pytest.fixture
def copy_of(tmp_path):
    return lambda name: shutil.copytree(FIXTURES / name, tmp_path / name)


def seen_of(array, reference):
    """Leaves out the tokens that the mask hides, where an output has one value a token."""
    mask = reference["attention_mask"]
    return array[mask == 1] if array.shape[:2] == mask.shape else array


def outputs_of(model, reference):
    shape = (2, 2, 7) if type(model).__name__ == "BertForMultipleChoice" else (4, 7)
    names = ("input_ids", "token_type_ids", "attention_mask")
    outputs = model({name: reference[name].reshape(shape) for name in names})
    return {key: seen_of(value.numpy(), reference) for key, value in outputs.items()}


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_tf_class(name, reference):
    checkpoint = load_checkpoint(FIXTURES / name)
    assert checkpoint.architecture == name.removeprefix("TF")
    assert checkpoint.tokenizer.tokens[:3] == ["[PAD]", "[UNK]", "[CLS]"]
    model = getattr(keras_bert_kit, checkpoint.architecture).from_pretrained(FIXTURES / name)
    assert str(model.loading_report) == "every weight was loaded"
    expected = {k.partition("/")[2]: v for k, v in reference.items() if k.startswith(f"{name}/")}
    actual = outputs_of(model, reference)
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], seen_of(value, reference), atol=1e-5, err_msg=key)


def test_every_fixture_is_tested():
    assert {path.name for path in FIXTURES.iterdir() if path.is_dir()} == set(NAMES)


@pytest.mark.parametrize("change", [{"hidden_act": "gelu_new"}, {"layer_norm_eps": 1e-3}])
def test_another_activation_or_epsilon_is_seen(change, reference):
    model = BertModel.from_pretrained(FIXTURES / "TFBertModel", **change)
    key = "last_hidden_state"
    expected = seen_of(reference[f"TFBertModel/{key}"], reference)
    assert np.abs(outputs_of(model, reference)[key] - expected).max() > 1e-4


def rewrite(folder, change):
    """Writes `tf_model.h5` again, each array under the name and with the value that is given."""
    arrays = {}

    def look(key, item):
        if isinstance(item, h5py.Dataset):
            arrays[key] = item[()]

    with h5py.File(folder / "tf_model.h5") as file:
        file.visititems(look)
    with h5py.File(folder / "tf_model.h5", "w") as file:
        for key, array in arrays.items():
            new_key, new_array = change(key, array)
            file[new_key] = new_array


def with_heads_apart(key, array):
    """The shapes of transformers 4.2, whose attention had layers of three axes."""
    if "/attention/self/" in key:
        return key, array.reshape((20, 5, 4) if key.endswith("kernel:0") else (5, 4))
    if "/attention/output/dense/kernel" in key:
        return key, array.reshape(5, 4, 20)
    return key, array


@pytest.mark.parametrize(
    "change",
    [
        with_heads_apart,
        # Models that were not the first of their process, and models of a user's own name.
        lambda key, array: (key.replace("tf_bert_for_pre_training", "tf_bert_3/mine"), array),
    ],
    ids=["heads_apart", "another_name"],
)
def test_other_forms_of_the_same_file_are_known(change, copy_of):
    folder = copy_of("TFBertForPreTraining")
    rewrite(folder, change)
    loaded = keras_bert_kit.BertForPreTraining.from_pretrained(folder)
    assert str(loaded.loading_report) == "every weight was loaded"
    original = keras_bert_kit.BertForPreTraining.from_pretrained(FIXTURES / "TFBertForPreTraining")
    check_same_weights(loaded, original)


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_class_is_named_by_the_config_or_by_the_heads(copy_of):
    folder = copy_of("TFBertForQuestionAnswering")
    for names in (["TFBertForQuestionAnswering"], [], None, "BertModel", [3]):
        change_config(folder, architectures=names)
        assert load_checkpoint(folder).architecture == "BertForQuestionAnswering"


def test_an_unknown_weight_is_refused(copy_of):
    folder = copy_of("TFBertModel")
    with h5py.File(folder / "tf_model.h5", "a") as file:
        file["bert/tf_bert_model/bert/rotary/table:0"] = np.ones(3, "float32")
    with pytest.raises(ValueError, match=r"unexpected: bert/rotary/table\."):
        BertModel.from_pretrained(folder)


def test_a_file_without_a_bert_is_refused(copy_of):
    folder = copy_of("TFBertModel")
    rewrite(folder, lambda key, array: (key.replace("bert/", "albert/"), array))
    with pytest.raises(ValueError, match=r"tf_model.h5 must hold one BERT.*Found: none"):
        load_checkpoint(folder)


def test_a_file_with_two_models_is_refused(copy_of):
    folder = copy_of("TFBertModel")
    with h5py.File(folder / "tf_model.h5", "a") as file:
        file["bert/mine/bert/embeddings/word_embeddings/weight:0"] = np.ones((21, 20), "float32")
    with pytest.raises(ValueError, match=r"must hold one BERT.*Found: mine/, tf_bert_model/"):
        load_checkpoint(folder)


@pytest.mark.parametrize("size", [0, 100, 3000, 50_000])
def test_a_file_cut_off_is_named(size, copy_of):
    folder = copy_of("TFBertModel")
    path = folder / "tf_model.h5"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"tf_model.h5 must be a whole HDF5 file.*Copy it again"):
        load_checkpoint(folder)


def test_a_file_that_went_after_it_was_opened_is_missing(copy_of):
    folder = copy_of("TFBertModel")
    weights = load_checkpoint(folder).weights
    (folder / "tf_model.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"tf_model.h5"):
        weights["pooler/dense/bias"]


def test_damaged_nodes_of_the_files_tree_are_told(copy_of):
    folder = copy_of("TFBertModel")
    path = folder / "tf_model.h5"
    whole = path.read_bytes()
    errors = []
    for place in range(0, 20_000, 331):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            dict(load_checkpoint(folder).weights)
        except ValueError as error:
            errors.append(str(error))
    assert errors
    assert all("tf_model.h5 must" in text for text in errors)


def test_a_config_of_another_size_is_found(copy_of):
    folder = copy_of("TFBertModel")
    change_config(folder, intermediate_size=36)
    with pytest.raises(ValueError, match=r"intermediate_dense/bias is \(37,\) and must be \(36,\)"):
        BertModel.from_pretrained(folder)


def test_numbers_that_are_none_are_found(copy_of):
    folder = copy_of("TFBertModel")
    rewrite(folder, lambda key, array: (key, array * np.nan if "pooler" in key else array))
    with pytest.raises(ValueError, match=r"not finite \(NaN or infinite\): pooler/dense/"):
        BertModel.from_pretrained(folder)


def test_a_folder_without_vocabulary_has_no_tokenizer(copy_of):
    folder = copy_of("TFBertModel")
    (folder / "vocab.txt").unlink()
    assert load_checkpoint(folder).tokenizer is None


def test_newer_files_of_the_same_folder_come_first(copy_of):
    folder = copy_of("TFBertForSequenceClassification")
    model = BertForSequenceClassification.from_pretrained(folder)
    bias = model.weights_by_path()["classifier/dense/bias"]
    bias.assign(bias + 1)
    model.save_pretrained(folder.parent / "newer")
    shutil.copy(folder / "tf_model.h5", folder.parent / "newer")
    loaded = BertForSequenceClassification.from_pretrained(folder.parent / "newer")
    check_same_weights(loaded, model)
    assert tf_transformers.matches(folder.parent / "newer")
