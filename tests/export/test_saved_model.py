"""The writing of a SavedModel: whole or not at all, and only where it answers as the model does."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer
from keras_bert_kit.export import saved_model, serving_functions
from keras_bert_kit.messages import MetaGraphDef, SavedModel
from keras_bert_kit.tasks.served import Served

# The fourth says another thing within 7 tokens than within 24.
LONG = "the room and the food " + "was good " * 9
TEXTS = ["the food was good", "bad", "", LONG, "Nice, cheap!"]

exporter = importlib.import_module("keras_bert_kit.export.saved_model")  # the package's is shadowed


@pytest.fixture(scope="module")
def small(tiny_vocab):
    """A model that is written faster than the trained one."""
    tf.keras.utils.set_random_seed(5)
    config = BertConfig(
        vocab_size=len(tiny_vocab),
        hidden_size=6,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=7,
        max_position_embeddings=16,
        initializer_range=0.5,
        id2label={0: "bad", 1: "good", 2: "neither"},
    )
    return BertForSequenceClassification(config, tokenizer=BertTokenizer(tiny_vocab))


def probabilities(model, max_length=24, pairs=None):
    logits = model(model.tokenizer(TEXTS, pairs, max_length=max_length))["logits"]
    return tf.nn.softmax(logits).numpy()


def answer(path, texts=TEXTS):
    loaded = tf.saved_model.load(str(path))
    return loaded.signatures["serving_default"](text=tf.constant(texts))


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def bytes_of_variables(path):
    return sum(file.stat().st_size for file in path.glob("variables/*.data-*"))


def compiled_functions(path):
    content = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = MetaGraphDef.FromString(content.meta_graphs[0].SerializeToString()).graph_def
    return [one for one in graph.library.function if one.attr["_XlaMustCompile"].b]


def test_what_lies_in_the_folder(artefact):
    assert sorted(path.name for path in artefact.iterdir()) == [
        "assets",
        "assets.extra",
        "batching_params.pbtxt",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    assert [path.name for path in artefact.parent.iterdir() if path.name.startswith(".")] == []
    assert compiled_functions(artefact) == []


@pytest.fixture(scope="module")
def replaced(trained_folder, tmp_path_factory):
    """A SavedModel in the place of a folder of notes, of a model that is gone, and then moved."""
    base = tmp_path_factory.mktemp("replaced")
    folder = shutil.copytree(trained_folder, base / "model")
    path = base / "saved" / "1"
    path.mkdir(parents=True)
    (path / "notes").write_text("mine")
    steps = []
    given = saved_model(
        BertForSequenceClassification.from_pretrained(folder),
        path,
        max_length=7,
        overwrite=True,
        on_step=steps.append,
    )
    assert given == path
    shutil.rmtree(folder)
    return path.rename(base / "moved"), steps


def test_each_step_is_told(replaced):
    assert replaced[1] == [
        "Answering the warm-up requests with Keras",
        "Writing the SavedModel",
        "Comparing its answers",
    ]


def test_what_was_there_is_replaced_on_request(replaced):
    path, _ = replaced
    assert (path / "saved_model.pb").is_file()
    assert not (path / "notes").exists()
    beside = [one for one in (path.parent / "saved").iterdir() if one.is_dir()]
    assert [one.name for one in beside] == ["requests"]  # neither the old folder nor a half one


def test_what_is_there_is_not_replaced_unasked(small, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "notes").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        saved_model(small, tmp_path / "1")
    assert everything(tmp_path) == ["1", "1/notes"]


def test_it_needs_neither_the_model_nor_its_place(replaced, classifier):
    found = answer(replaced[0])
    assert found["label"].shape == (5,)
    expected = probabilities(classifier, max_length=7)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)
    assert np.abs(expected - probabilities(classifier)).max() > 0.1  # the length tells


def test_weights_in_bfloat16_are_half_the_size(artefact, classifier, tmp_path):
    before = [variable.numpy() for variable in classifier.variables]
    path = saved_model(classifier, tmp_path / "half" / "1", weights="bfloat16")
    for variable, values in zip(classifier.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), values)
    floats, names = 4 * classifier.count_params(), 5000
    assert floats <= bytes_of_variables(artefact) < floats + names
    assert floats / 2 <= bytes_of_variables(path) < floats / 2 + names
    found = answer(path)["probabilities"]
    assert found.dtype == tf.float32
    differences = np.abs(found - probabilities(classifier))
    assert 1e-5 < differences.max() < 5e-3
    assert "bfloat16" in (tmp_path / "half" / "README.md").read_text()


def test_a_model_in_half_precision_answers_in_float32(trained_folder, classifier, tmp_path):
    half = BertForSequenceClassification.from_pretrained(trained_folder, dtype="mixed_bfloat16")
    path = saved_model(half, tmp_path / "half" / "1")
    found = answer(path)["probabilities"]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, probabilities(classifier), rtol=0, atol=0.05)


def test_a_compiled_network_is_marked(small):
    signatures = serving_functions(small, xla=True)
    graph = signatures["serving_default"].get_concrete_function().graph.as_graph_def()
    compiled = [one for one in graph.library.function if one.attr["_XlaMustCompile"].b]
    assert len(compiled) == 1
    ops = {node.op for node in compiled[0].node_def}
    assert not {op for op in ops if "Fast" in op or "String" in op}  # the tokenizer stays outside


@pytest.mark.slow
def test_a_compiled_artefact_answers_as_the_model(classifier, tmp_path):
    path = saved_model(classifier, tmp_path / "compiled" / "1", xla=True)
    assert compiled_functions(path)
    found = answer(path)["probabilities"]
    np.testing.assert_allclose(found, probabilities(classifier), rtol=0, atol=1e-5)
    assert "allowed_batch_sizes: 8\nallowed_batch_sizes: 32" in (
        (path / "batching_params.pbtxt").read_text()
    )
    flag = "--xla_cpu_compilation_enabled=true"
    for name in ("README.md", "docker-compose.yaml", "kubernetes.yaml"):
        assert flag in (path.parent / name).read_text()


@pytest.mark.parametrize(
    "name",
    ["reviews", "v1", "1.0", "-1", "²", "\N{ARABIC-INDIC DIGIT ONE}", ""],
)
def test_a_folder_that_is_no_version_is_refused(small, tmp_path, name):
    with pytest.raises(ValueError, match=r"a whole number.*saved.*1\. Received: "):
        saved_model(small, tmp_path / "saved" / name, weights="none")
    assert everything(tmp_path) == []


def fail_with(error):
    def fail(exported, path, *args, **kwargs):
        Path(path, "saved_model.pb").write_bytes(b"half")
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [tf.errors.ResourceExhaustedError(None, None, "no space left"), OSError("no space left")],
    ids=["TensorFlow", "Python"],
)
def test_a_write_that_fails_leaves_what_was_there(small, tmp_path, monkeypatch, error):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "notes").write_text("mine")
    monkeypatch.setattr(exporter, "warm_up_requests", lambda served, texts: [])
    monkeypatch.setattr(Served, "signatures", lambda served: {})
    monkeypatch.setattr(tf.saved_model, "save", fail_with(error))
    with pytest.raises(OSError, match="no space left"):
        saved_model(small, tmp_path / "1", overwrite=True)
    with pytest.raises(OSError, match="no space left"):
        saved_model(small, tmp_path / "2")
    assert everything(tmp_path) == ["1", "1/notes"]


LIMITED = """
import resource, signal, sys

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.export import saved_model

model = BertForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    saved_model(model, sys.argv[2])
except OSError as error:
    print("OSError:", error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("most", [1000, 20_000], ids=["the weights", "the graph"])
def test_a_limit_of_the_system_leaves_nothing(tiny_folder, tmp_path, most):
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tiny_folder), str(tmp_path / "1"), str(most)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("OSError:")
    assert "File too large" in ran.stdout
    assert everything(tmp_path) == []


def test_a_file_is_not_replaced(small, tmp_path):
    (tmp_path / "1").write_text("mine")
    with pytest.raises(NotADirectoryError, match="must be a folder, and is a file"):
        saved_model(small, tmp_path / "1", overwrite=True)
    assert (tmp_path / "1").read_text() == "mine"
    assert everything(tmp_path) == ["1"]


def test_an_artefact_that_answers_otherwise_does_not_appear(small, tmp_path, monkeypatch):
    save = tf.saved_model.save

    def save_changed(module, *args, **kwargs):
        module.weights[-1].assign_add([0.01, 0, 0])  # the head's bias
        save(module, *args, **kwargs)

    monkeypatch.setattr(tf.saved_model, "save", save_changed)
    with pytest.raises(RuntimeError, match=r"must answer as the model does\..* score differs by"):
        saved_model(small, tmp_path / "saved" / "1", weights="bfloat16")
    assert everything(tmp_path) == ["saved"]


def test_models_that_cannot_be_served_are_refused(small, tmp_path):
    bare = BertForSequenceClassification(small.config)
    with pytest.raises(ValueError, match="must have a tokenizer"):
        saved_model(bare, tmp_path / "1")
    encoder = BertModel(small.config, tokenizer=small.tokenizer)
    with pytest.raises(TypeError, match="Received: BertModel"):
        saved_model(encoder, tmp_path / "1")
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "float16"}, "float32, bfloat16. Received: 'float16'"),
        ({"max_length": 17}, "max_length=17"),
        ({"max_length": 4}, "at least 5 for pairs"),
        ({"texts": []}, "texts must hold a text"),
        ({"texts": [" ", "\n"]}, "texts must hold a text"),
    ],
    ids=["weights", "long", "short", "no texts", "empty texts"],
)
def test_wrong_arguments_are_refused(small, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        saved_model(small, tmp_path / "1", **options)
    assert everything(tmp_path) == []
