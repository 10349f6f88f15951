import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.export import saved_model, serving_functions

TEXTS = ["the food was good", "bad", "", "the room was very very very awful " * 9, "Nice, cheap!"]


@pytest.fixture(scope="module")
def model(trained_folder):
    return BertForSequenceClassification.from_pretrained(trained_folder)


@pytest.fixture(scope="module")
def artefact(model, tmp_path_factory):
    return saved_model(model, tmp_path_factory.mktemp("served") / "reviews" / "1")


@pytest.fixture(scope="module")
def signatures(artefact):
    loaded = tf.saved_model.load(str(artefact))
    signatures = dict(loaded.signatures)
    signatures["keep alive"] = loaded
    return signatures


def expected_probabilities(model, texts, text_pairs=None, max_length=24):
    logits = model(model.tokenizer(texts, text_pairs, max_length=max_length))["logits"]
    return tf.nn.softmax(logits).numpy()


def graph_nodes(artefact):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    graph = SavedModel.FromString((artefact / "saved_model.pb").read_bytes()).meta_graphs[0]
    library = graph.graph_def.library.function
    return list(graph.graph_def.node) + [node for one in library for node in one.node_def], library


def test_signatures(signatures):
    for name, inputs in (("serving_default", ["text"]), ("pair", ["text", "text_pair"])):
        signature = signatures[name]
        specs = signature.structured_input_signature[1]
        assert sorted(specs) == inputs
        assert all(spec.shape.as_list() == [None] for spec in specs.values())
        assert all(spec.dtype == tf.string for spec in specs.values())
        outputs = signature.structured_outputs
        assert {key: spec.dtype.name for key, spec in outputs.items()} == {
            "label": "string",
            "score": "float32",
            "labels": "string",
            "probabilities": "float32",
        }
        assert {key: len(spec.shape) for key, spec in outputs.items()} == {
            "label": 1,
            "score": 1,
            "labels": 2,
            "probabilities": 2,
        }


def test_outputs_belong_together(signatures):
    outputs = {
        key: value.numpy()
        for key, value in signatures["serving_default"](text=tf.constant(TEXTS)).items()
    }
    assert outputs["labels"].tolist() == [[b"bad", b"good"]] * len(TEXTS)
    best = outputs["probabilities"].argmax(axis=-1)
    assert outputs["label"].tolist() == [[b"bad", b"good"][index] for index in best]
    assert outputs["label"].tolist()[:2] == [b"good", b"bad"]
    np.testing.assert_array_equal(outputs["score"], outputs["probabilities"].max(axis=-1))
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=-1), 1, rtol=1e-6)


def test_probabilities_are_those_of_the_model(signatures, model):
    found = signatures["serving_default"](text=tf.constant(TEXTS))["probabilities"]
    np.testing.assert_allclose(found, expected_probabilities(model, TEXTS), rtol=0, atol=1e-5)
    pairs = TEXTS[::-1]
    found = signatures["pair"](text=tf.constant(TEXTS), text_pair=tf.constant(pairs))
    expected = expected_probabilities(model, TEXTS, pairs)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)


def test_a_text_has_the_same_probabilities_in_every_batch(signatures):
    classify = signatures["serving_default"]
    together = classify(text=tf.constant(TEXTS))["probabilities"]
    for text, probabilities in zip(TEXTS, together, strict=True):
        alone = classify(text=tf.constant([text]))["probabilities"][0]
        np.testing.assert_allclose(alone, probabilities, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [b"", b" \t\n", b"\xff\xfe good \x80", b"good\x00bad", b"very " * 5000, b"a" * 100_000],
    ids=["empty", "spaces", "invalid UTF-8", "NUL", "5000 words", "one long word"],
)
def test_any_bytes_get_an_answer(signatures, text):
    for name, inputs in (
        ("serving_default", {"text": tf.constant([text])}),
        ("pair", {"text": tf.constant([text]), "text_pair": tf.constant([text])}),
    ):
        outputs = signatures[name](**inputs)
        assert outputs["label"].numpy()[0] in (b"bad", b"good")
        assert np.isfinite(outputs["probabilities"]).all()


def test_an_empty_batch_gets_an_empty_answer(signatures):
    outputs = signatures["serving_default"](text=tf.constant([], tf.string))
    assert outputs["probabilities"].shape == (0, 2)
    assert outputs["label"].shape == (0,)


def test_the_graph_holds_two_ops_of_tensorflow_text(artefact):
    nodes, functions = graph_nodes(artefact)
    ops = {node.op for node in nodes}
    text_ops = {op for op in ops if "Fast" in op}
    assert text_ops == {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"}
    foreign = (
        "TFText>",
        "CaseFold",
        "Normalize",
        "RegexSplit",
        "Ragged",
        "PyFunc",
        "XlaLaunch",
    )
    assert not {op for op in ops - text_ops if any(part in op for part in foreign)}
    attributes = {name for function in functions for name in function.attr}
    attributes |= {name for node in nodes for name in node.attr}
    assert not {name for name in attributes if "xla" in name.lower() and "XlaHas" not in name}


def test_max_length_can_be_chosen(model, tmp_path):
    path = saved_model(model, tmp_path / "1", max_length=7)
    found = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(TEXTS))
    expected = expected_probabilities(model, TEXTS, max_length=7)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)


def test_a_model_in_half_precision_answers_in_float32(trained_folder, model, tmp_path):
    half = BertForSequenceClassification.from_pretrained(trained_folder, dtype="mixed_bfloat16")
    path = saved_model(half, tmp_path / "1")
    found = tf.saved_model.load(str(path)).signatures["serving_default"](text=tf.constant(TEXTS))
    assert found["probabilities"].dtype == tf.float32
    expected = expected_probabilities(model, TEXTS)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=0.05)


def test_a_folder_that_exists_is_replaced_only_on_request(model, tmp_path):
    path = tmp_path / "1"
    path.mkdir()
    (path / "notes").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        saved_model(model, path)
    assert [entry.name for entry in path.iterdir()] == ["notes"]
    assert saved_model(model, path, overwrite=True) == path
    assert (path / "saved_model.pb").is_file()
    assert not (path / "notes").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize(
    "error",
    [tf.errors.ResourceExhaustedError(None, None, "no space left"), OSError("no space left")],
    ids=["TensorFlow", "Python"],
)
def test_a_write_that_fails_leaves_what_was_there(model, tmp_path, monkeypatch, error):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "notes").write_text("mine")

    def fail(exported, path, *args, **kwargs):
        with open(f"{path}/saved_model.pb", "wb") as file:
            file.write(b"half")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        saved_model(model, tmp_path / "1", overwrite=True)
    with pytest.raises(OSError, match="no space left"):
        saved_model(model, tmp_path / "2")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["1", "1/notes"]


def test_a_file_is_not_replaced(model, tmp_path):
    (tmp_path / "1").write_text("mine")
    with pytest.raises(NotADirectoryError, match="must be a folder, and is a file"):
        saved_model(model, tmp_path / "1", overwrite=True)
    assert (tmp_path / "1").read_text() == "mine"


def test_a_model_without_tokenizer_is_refused(model, tmp_path):
    bare = BertForSequenceClassification(model.config)
    with pytest.raises(ValueError, match="must have a tokenizer"):
        saved_model(bare, tmp_path / "1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_other_problems_are_refused(trained_folder, problem):
    model = BertForSequenceClassification.from_pretrained(trained_folder, problem_type=problem)
    with pytest.raises(ValueError, match=f"Received: problem_type='{problem}'"):
        serving_functions(model)


@pytest.mark.parametrize("max_length", [51, 2, 0, -1])
def test_a_length_that_the_model_cannot_take_is_refused(model, max_length):
    with pytest.raises(ValueError, match=f"max_length={max_length}"):
        serving_functions(model, max_length)


def test_the_original_is_not_needed(trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "model")
    path = saved_model(BertForSequenceClassification.from_pretrained(folder), tmp_path / "1")
    shutil.rmtree(folder)
    moved = path.rename(tmp_path / "moved")
    outputs = tf.saved_model.load(str(moved)).signatures["serving_default"](text=tf.constant(["x"]))
    assert outputs["label"].shape == (1,)
