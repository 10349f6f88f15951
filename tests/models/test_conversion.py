import numpy as np
import pytest
from checks import check_same_weights

import keras_bert_kit as kbk
from keras_bert_kit.checkpoints.checkpoint import Checkpoint
from keras_bert_kit.models import conversion

CLASSES = [
    "BertModel",
    "BertForPreTraining",
    "BertForMaskedLM",
    "BertForNextSentencePrediction",
    "BertForSequenceClassification",
    "BertForQuestionAnswering",
]


@pytest.fixture
def folder_of(tiny_folder, tmp_path):
    def folder_of(name, **changes):
        changes = {"layer_norm_eps": 1e-12, **changes}
        model = getattr(kbk, name).from_pretrained(tiny_folder, **changes)
        model.save_pretrained(tmp_path / name)
        return tmp_path / name

    return folder_of


@pytest.mark.parametrize("name", CLASSES)
def test_to_tf1_and_back_gives_the_same_bytes(folder_of, tmp_path, name):
    source = folder_of(name)
    there = kbk.convert_checkpoint(source, tmp_path / "tf1", to="tf1", verify=True)
    assert there.largest_difference == 0
    assert there.architecture == name
    back = kbk.convert_checkpoint(tmp_path / "tf1", tmp_path / "back", verify=True)
    assert back.parameters == there.parameters > 0
    weights = (source / "model.safetensors").read_bytes()
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == weights


def test_to_keras_hub_and_back_gives_the_same_bytes(folder_of, tmp_path):
    source = folder_of("BertModel", attention_probs_dropout_prob=0.05)
    there = kbk.convert_checkpoint(source, tmp_path / "hub", to="keras-hub", verify=True)
    assert there.largest_difference <= 1e-5
    kbk.convert_checkpoint(tmp_path / "hub", tmp_path / "back", verify=True)
    weights = (source / "model.safetensors").read_bytes()
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("to", ["tf1", "keras-hub"])
def test_erf_gelu_goes_to_a_format_of_tanh_gelu_only_on_purpose(folder_of, tmp_path, to):
    source = folder_of("BertModel", hidden_act="gelu", attention_probs_dropout_prob=0.05)
    with pytest.raises(ValueError, match="gelu_new"):
        kbk.convert_checkpoint(source, tmp_path / "out", to=to)
    assert not (tmp_path / "out").exists()
    kbk.convert_checkpoint(source, tmp_path / "out", to=to, hidden_act="gelu_new", verify=True)
    assert kbk.load_checkpoint(tmp_path / "out").config.hidden_act == "gelu_new"


def test_nothing_is_written_where_the_outputs_differ(folder_of, tmp_path, monkeypatch):
    source = folder_of("BertModel")
    real = conversion.load_checkpoint

    def damaged(given):
        checkpoint = real(given)
        if given == source:
            return checkpoint
        weights = {path: np.array(array) for path, array in checkpoint.weights.items()}
        weights["encoder/block_1/output_dense/bias"][3] += 0.01
        return Checkpoint("damaged", checkpoint.config, weights)

    monkeypatch.setattr(conversion, "load_checkpoint", damaged)
    with pytest.raises(ValueError, match=r"must agree to 1e-05.*largest difference 0\.0"):
        kbk.convert_checkpoint(source, tmp_path / "out", verify=True)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_refused_with_the_known_ones(folder_of, tmp_path):
    with pytest.raises(ValueError, match=r"must be one of huggingface, tf1, keras-hub.*'onnx'"):
        kbk.convert_checkpoint(folder_of("BertModel"), tmp_path / "out", to="onnx")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_stays_unless_allowed(folder_of, tmp_path):
    source = folder_of("BertModel")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        kbk.convert_checkpoint(source, tmp_path / "out")
    kbk.convert_checkpoint(source, tmp_path / "out", overwrite=True)
    check_same_weights(
        kbk.BertModel.from_pretrained(tmp_path / "out"), kbk.BertModel.from_pretrained(source)
    )
