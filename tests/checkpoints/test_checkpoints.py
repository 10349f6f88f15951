import json
import subprocess
import sys

import keras
import ml_dtypes
import numpy as np
import pytest
from checks import check_same, check_same_weights
from safetensors.numpy import load_file

from keras_bert_kit import BertForSequenceClassification, BertModel

# As PyTorch's state_dict has them: [out, in] for linear layers.
SHAPES = {
    "embeddings.word_embeddings.weight": (61, 20),
    "embeddings.position_embeddings.weight": (11, 20),
    "embeddings.token_type_embeddings.weight": (3, 20),
    "embeddings.LayerNorm.weight": (20,),
    "embeddings.LayerNorm.bias": (20,),
    "encoder.layer.0.attention.self.query.weight": (20, 20),
    "encoder.layer.0.attention.self.query.bias": (20,),
    "encoder.layer.0.attention.self.key.weight": (20, 20),
    "encoder.layer.0.attention.self.key.bias": (20,),
    "encoder.layer.0.attention.self.value.weight": (20, 20),
    "encoder.layer.0.attention.self.value.bias": (20,),
    "encoder.layer.0.attention.output.dense.weight": (20, 20),
    "encoder.layer.0.attention.output.dense.bias": (20,),
    "encoder.layer.0.attention.output.LayerNorm.weight": (20,),
    "encoder.layer.0.attention.output.LayerNorm.bias": (20,),
    "encoder.layer.0.intermediate.dense.weight": (37, 20),
    "encoder.layer.0.intermediate.dense.bias": (37,),
    "encoder.layer.0.output.dense.weight": (20, 37),
    "encoder.layer.0.output.dense.bias": (20,),
    "encoder.layer.0.output.LayerNorm.weight": (20,),
    "encoder.layer.0.output.LayerNorm.bias": (20,),
    "pooler.dense.weight": (20, 20),
    "pooler.dense.bias": (20,),
}
CLASSIFIER = {"classifier.weight": (3, 20), "classifier.bias": (3,)}


@pytest.mark.parametrize("model_class", [BertModel, BertForSequenceClassification])
def test_a_saved_model_is_loaded_to_the_bit(model_class, tmp_path, inputs, make):
    model = make(model_class)
    model.save_pretrained(tmp_path / "model")
    loaded = model_class.from_pretrained(tmp_path / "model")
    check_same_weights(loaded, model)
    check_same(loaded(inputs), model(inputs), atol=0)
    assert loaded.config == model.config
    assert loaded.tokenizer.get_config() == model.tokenizer.get_config()
    assert (loaded.loading_report.new, loaded.loading_report.unused) == ((), ())
    assert str(loaded.loading_report) == "every weight was loaded"


def test_names_shapes_and_config_are_those_of_hugging_face(encoder_folder, classifier_folder):
    expected = {
        encoder_folder: SHAPES,
        classifier_folder: {**{f"bert.{name}": s for name, s in SHAPES.items()}, **CLASSIFIER},
    }
    for folder, shapes in expected.items():
        tensors = load_file(folder / "model.safetensors")
        assert {name: tensor.shape for name, tensor in tensors.items()} == shapes
        assert {tensor.dtype for tensor in tensors.values()} == {np.dtype("float32")}
    values = json.loads((classifier_folder / "config.json").read_text())
    assert values["architectures"] == ["BertForSequenceClassification"]
    assert values["model_type"] == "bert"
    assert values["id2label"] == {"0": "bad", "1": "so-so", "2": "good"}
    assert {entry.name for entry in classifier_folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }


def test_kernels_are_stored_transposed(encoder, encoder_folder):
    tensors = load_file(encoder_folder / "model.safetensors")
    kernel = encoder.encoder.blocks[0].intermediate_dense.kernel.numpy()
    np.testing.assert_array_equal(tensors["encoder.layer.0.intermediate.dense.weight"], kernel.T)
    query = encoder.encoder.blocks[0].attention.query.kernel.numpy()
    np.testing.assert_array_equal(tensors["encoder.layer.0.attention.self.query.weight"], query.T)


@pytest.mark.parametrize("change", ["as saved", "prefixed", "old names", "float16", "bfloat16"])
def test_other_spellings_of_the_same_weights_load(encoder, encoder_folder, change, change_tensors):
    def old(name):
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return name.replace("LayerNorm.bias", "LayerNorm.beta")

    changes = {
        "as saved": lambda tensors: tensors,
        "prefixed": lambda tensors: {f"bert.{name}": t for name, t in tensors.items()},
        "old names": lambda tensors: {f"bert.{old(name)}": t for name, t in tensors.items()},
        "float16": lambda tensors: {name: t.astype("float16") for name, t in tensors.items()},
        "bfloat16": lambda t: {name: a.astype(ml_dtypes.bfloat16) for name, a in t.items()},
    }
    change_tensors(encoder_folder, changes[change])
    loaded = BertModel.from_pretrained(encoder_folder)
    if "float16" not in change:
        check_same_weights(loaded, encoder)
    for path, weight in loaded.weights_by_path().items():
        np.testing.assert_allclose(weight, encoder.weights_by_path()[path], rtol=1e-2)
        assert weight.dtype == "float32"


WITHOUT_TENSORFLOW = """
import sys
from keras_bert_kit import load_checkpoint
arrays = load_checkpoint(sys.argv[1]).weights.values()
print(len(arrays), "tensorflow" in sys.modules, {str(array.dtype) for array in arrays})
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_checkpoint_is_read_without_tensorflow(encoder_folder, change_tensors, dtype):
    change_tensors(encoder_folder, lambda t: {name: a.astype(dtype) for name, a in t.items()})
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(encoder_folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout.strip().startswith(f"{len(SHAPES)} False"), result.stderr


def test_buffers_and_other_heads_are_left_out_and_reported(encoder, encoder_folder, change_tensors):
    heads = {
        "cls.predictions.bias": np.zeros(61, "float32"),
        "cls.predictions.transform.dense.weight": np.zeros((20, 20), "float32"),
        "cls.seq_relationship.weight": np.zeros((2, 20), "float32"),
        "qa_outputs.weight": np.zeros((2, 20), "float32"),
    }
    buffers = {
        "bert.embeddings.position_ids": np.arange(11)[None],
        "cls.predictions.decoder.weight": np.zeros((61, 20), "float32"),
    }
    change_tensors(encoder_folder, lambda tensors: tensors.update(heads | buffers))
    loaded = BertModel.from_pretrained(encoder_folder)
    check_same_weights(loaded, encoder)
    assert set(loaded.loading_report.unused) == {
        "masked_lm/bias",
        "masked_lm/dense/kernel",
        "next_sentence/dense/kernel",
        "span/dense/kernel",
    }
    assert "next_sentence/dense/kernel" in str(loaded.loading_report)


def test_a_classifier_is_read_as_an_encoder(classifier, classifier_folder):
    loaded = BertModel.from_pretrained(classifier_folder)
    check_same_weights(loaded, classifier.bert)
    assert set(loaded.loading_report.unused) == {
        "classifier/dense/kernel",
        "classifier/dense/bias",
    }


def test_an_existing_folder_is_replaced_only_when_allowed(encoder, encoder_folder, tmp_path):
    with pytest.raises(FileExistsError, match="overwrite=True"):
        encoder.save_pretrained(encoder_folder)
    (encoder_folder / "old.txt").write_text("old")
    encoder.save_pretrained(encoder_folder, overwrite=True)
    assert not (encoder_folder / "old.txt").exists()
    check_same_weights(BertModel.from_pretrained(encoder_folder), encoder)
    assert [entry.name for entry in tmp_path.iterdir()] == ["encoder"]


def test_a_model_made_in_a_name_scope_is_saved_whole(tmp_path, make):
    with keras.name_scope("mine"):
        model = make(BertForSequenceClassification)
    model.save_pretrained(tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    assert len(tensors) == len(model.weights)
