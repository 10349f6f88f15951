"""ONNX files beside the Keras model that they were made of, in ONNX Runtime."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    __version__,
)
from keras_bert_kit.export import onnx as exporter
from keras_bert_kit.export.onnx import onnx_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

TEXTS = ["the food was good", "bad", "", "the room was very very very awful " * 9, "Nice, cheap!"]
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
LABELS = ("bad", "good", "weder noch: größer")


def make_model(vocab, labels=LABELS, **config):
    tf.keras.utils.set_random_seed(5)
    config = {
        "vocab_size": len(vocab),
        "hidden_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 5,
        "intermediate_size": 37,
        "max_position_embeddings": 50,
        "initializer_range": 0.3,
        "id2label": dict(enumerate(labels)),
        **config,
    }
    return BertForSequenceClassification(BertConfig(**config), tokenizer=BertTokenizer(vocab))


@pytest.fixture(scope="module")
def model(tiny_vocab):
    return make_model(tiny_vocab)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return onnx_model(model, tmp_path_factory.mktemp("onnx") / "new" / "model.onnx")


@pytest.fixture(scope="module")
def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def answer(session, tokens):
    return session.run(None, {name: tokens[name] for name in INPUTS})[0]


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_names_types_and_shapes(session):
    inputs = {one.name: (one.type, len(one.shape)) for one in session.get_inputs()}
    assert inputs == dict.fromkeys(INPUTS, ("tensor(int32)", 2))
    assert not any(isinstance(size, int) for one in session.get_inputs() for size in one.shape)
    (output,) = session.get_outputs()
    assert (output.name, output.type, output.shape[1:]) == ("probabilities", "tensor(float)", [3])
    assert not isinstance(output.shape[0], int)


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], TEXTS[2:3], TEXTS[3:4], TEXTS[:2] * 20])
@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_it_answers_as_keras_for_every_shape(session, model, texts, pairs):
    tokens = model.tokenizer(texts, texts[::-1] if pairs else None, max_length=50)
    found = answer(session, tokens)
    expected = tf.nn.softmax(model(tokens)["logits"]).numpy()
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_tokens_may_be_padded_by_a_server(session, model):
    """Each tensor with its own first element, as TensorFlow Serving pads."""
    tokens = model.tokenizer(TEXTS[:2])
    padded = {
        name: np.pad(one, [(0, 0), (0, 9)], constant_values=one.flat[0])
        for name, one in tokens.items()
    }
    np.testing.assert_allclose(answer(session, padded), answer(session, tokens), rtol=0, atol=1e-6)


def test_what_the_file_holds(path):
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    assert [(one.domain, one.version) for one in proto.opset_import if not one.domain] == [("", 17)]
    ops = {node.op_type for node in proto.graph.node}
    assert "Erf" in ops
    assert "Erfc" not in ops
    assert {node.domain for node in proto.graph.node} == {""}
    metadata = {one.key: one.value for one in proto.metadata_props}
    assert json.loads(metadata["labels"]) == list(LABELS)
    assert metadata["keras_bert_kit"] == __version__
    assert (metadata["problem_type"], metadata["max_length"]) == (
        "single_label_classification",
        "50",
    )
    assert everything(path.parent) == ["model.onnx"]


@pytest.mark.parametrize(
    ("problem", "labels", "output", "numbers"),
    [
        ("multi_label_classification", LABELS, "probabilities", lambda x: 1 / (1 + np.exp(-x))),
        ("regression", LABELS[:1], "score", lambda x: x[:, 0]),
        ("regression", LABELS, "scores", lambda x: x),
    ],
    ids=["several labels", "one number", "several numbers"],
)
def test_other_problems(tiny_vocab, tmp_path, problem, labels, output, numbers):
    """With the other GELU, and another opset."""
    model = make_model(
        tiny_vocab, labels, problem_type=problem, hidden_act="gelu_new", num_hidden_layers=1
    )
    path = onnx_model(model, tmp_path / "model.onnx", max_length=9, opset=15)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == [output]
    metadata = session.get_modelmeta().custom_metadata_map
    assert (metadata["problem_type"], metadata["max_length"]) == (problem, "9")
    tokens = model.tokenizer(TEXTS, max_length=50)
    expected = numbers(model(tokens)["logits"].numpy())
    np.testing.assert_allclose(answer(session, tokens), expected, rtol=0, atol=1e-5)


@pytest.fixture
def quick(monkeypatch):
    """Puts a short content in the place of the model's, which nothing is compared with."""
    monkeypatch.setattr(exporter, "_converted", lambda served, opset: b"content")
    monkeypatch.setattr(exporter, "_check_answers", lambda path, served: None)
    return monkeypatch


def test_a_file_is_replaced_only_on_request(model, tmp_path, quick):
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        onnx_model(model, path)
    assert path.read_text() == "mine"
    assert onnx_model(model, str(path), overwrite=True) == path
    assert path.read_bytes() == b"content"
    assert everything(tmp_path) == ["model.onnx"]


def test_a_write_that_fails_leaves_what_was_there(model, tmp_path, quick):
    def fail(path, content):
        with open(path, "wb") as file:
            file.write(content[:3])
        raise OSError("no space left")

    (tmp_path / "model.onnx").write_text("mine")
    quick.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space left"):
        onnx_model(model, tmp_path / "model.onnx", overwrite=True)
    with pytest.raises(OSError, match="no space left"):
        onnx_model(model, tmp_path / "other.onnx")
    assert everything(tmp_path) == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_a_file_that_answers_otherwise_does_not_appear(model, path, tmp_path, quick):
    """The file of a model whose head was another."""
    quick.undo()
    quick.setattr(exporter, "_converted", lambda served, opset: path.read_bytes())
    other = make_model(model.tokenizer.get_config()["vocab"])
    other.classifier.dense.bias.assign([0.01, 0, 0])
    with pytest.raises(
        RuntimeError, match=r"must answer as the model does\..* probabilities differs"
    ):
        onnx_model(other, tmp_path / "model.onnx")
    assert everything(tmp_path) == []
    assert onnx_model(model, tmp_path / "model.onnx").is_file()


def test_nothing_is_printed(model, tmp_path, capfd):
    onnx_model(model, tmp_path / "model.onnx")
    assert capfd.readouterr().out == ""


def test_what_cannot_be_written_is_refused(model, tiny_vocab, tmp_path):
    config, tokenizer = model.config, model.tokenizer
    half = BertForSequenceClassification(config, tokenizer=tokenizer, dtype="mixed_bfloat16")
    for refused, error, message in (
        (BertForSequenceClassification(config), ValueError, "must have a tokenizer"),
        (BertModel(config, tokenizer=tokenizer), TypeError, "Received: BertModel"),
        (half, ValueError, "Received: compute_dtype=bfloat16"),
    ):
        with pytest.raises(error, match=message):
            onnx_model(refused, tmp_path / "model.onnx")
    for name in ("model", "model.ONNX.zip", "model.tflite"):
        with pytest.raises(ValueError, match=rf"must end in \.onnx. Received: .*{name}"):
            onnx_model(model, tmp_path / name)
    with pytest.raises(ValueError, match="max_length=51"):
        onnx_model(model, tmp_path / "model.onnx", max_length=51)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("library", ["tf2onnx", "onnx", "onnxruntime"])
def test_a_library_that_is_missing(model, tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'keras-bert-kit\[onnx\]'"):
        onnx_model(model, tmp_path / "model.onnx")
    assert everything(tmp_path) == []
