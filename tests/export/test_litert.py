"""LiteRT models beside the Keras model that they were made of, on LiteRT's own runtime."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification, BertModel, BertTokenizer, pipeline
from keras_bert_kit.data import Examples, read_examples
from keras_bert_kit.export import LiteModel, litert, serving_functions

pytest.importorskip("ai_edge_litert")
pytest.importorskip("ai_edge_quantizer")

from keras_bert_kit.export.lite import exporter, gate, graphs
from keras_bert_kit.export.lite.comparison import Scores
from keras_bert_kit.export.lite.graphs import LiteClassifier
from keras_bert_kit.export.lite.operations import check_operations, operations

TEXTS = ["the food was good", "bad", "", "the room was very very very awful " * 9, "Nice, cheap!"]
LENGTH = 24


@pytest.fixture(scope="module")
def examples(reviews):
    return read_examples(reviews["validation"])


@pytest.fixture(scope="module")
def exported(classifier, examples, tmp_path_factory):
    return litert(classifier, tmp_path_factory.mktemp("litert") / "reviews", examples=examples)


@pytest.fixture(scope="module")
def quantized(classifier, examples, tmp_path_factory):
    path = tmp_path_factory.mktemp("litert") / "reviews"
    steps = []
    done = litert(classifier, path, "dynamic-int8", examples=examples, on_step=steps.append)
    return done, steps


@pytest.fixture(scope="module")
def text_model(exported):
    return LiteModel(exported.path / "model.text.tflite")


@pytest.fixture(scope="module")
def ids_model(exported):
    return LiteModel(exported.path / "model.ids.tflite")


def as_bytes(texts):
    return np.array([text if isinstance(text, bytes) else text.encode() for text in texts], object)


def as_ids(tokenizer, texts, length=LENGTH):
    tokens = tokenizer(texts, max_length=length, padding="max_length")
    names = {"ids": "input_ids", "mask": "attention_mask", "segment_ids": "token_type_ids"}
    return [
        {name: tokens[ours][[row]] for name, ours in names.items()} for row in range(len(texts))
    ]


def check_close(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_folder_holds_what_its_users_need(exported, classifier):
    assert sorted(path.name for path in exported.path.iterdir()) == [
        "README.md",
        "config.json",
        "labels.txt",
        "model.ids.tflite",
        "model.text.tflite",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert (exported.path / "labels.txt").read_text() == "bad\ngood\n"
    tokenizer = BertTokenizer.from_pretrained(exported.path)
    assert tokenizer(TEXTS, return_tensors=None) == classifier.tokenizer(TEXTS, return_tensors=None)


def test_the_card_and_the_result_tell_of_the_files(exported):
    card = (exported.path / "README.md").read_text()
    for name, one in exported.models.items():
        assert f"| `{name}` | float32 | {one.bytes / 1e6:.2f} |" in card
        assert (exported.path / name).stat().st_size == one.bytes
        assert one.scores.texts == 32
        assert one.scores.accuracy == one.scores.keras_accuracy > 0.9
        assert one.scores.mean_difference <= one.scores.largest_difference < 1e-5
        assert one.milliseconds > 0
    assert exported.labelled
    assert exported.notes == []
    json.dumps(dataclasses.asdict(exported), default=str)


def test_the_model_of_texts_has_the_signatures(text_model):
    outputs = {name: sorted(names["outputs"]) for name, names in text_model.signatures.items()}
    tokens = ["attention_mask", "input_ids", "token_type_ids"]
    assert outputs == {
        "serving_default": ["probabilities"],
        "pair": ["probabilities"],
        "tokens": ["probabilities"],
        "embed": ["embedding", "pooler_output"],
        "tokenize": tokens,
    }
    assert sorted(text_model.signatures["tokens"]["inputs"]) == tokens
    assert sorted(text_model.signatures["pair"]["inputs"]) == ["text", "text_pair"]


@pytest.mark.parametrize("name", ["", "model.text.tflite"])
def test_the_pipeline_answers_as_keras(exported, classifier, name):
    found, expected = pipeline(exported.path / name), pipeline(classifier)
    for columns in ((TEXTS,), (TEXTS, TEXTS[::-1])):
        for one, other in zip(found(*columns), expected(*columns), strict=True):
            assert one["label"] == other["label"]
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
    with pytest.raises(ValueError, match=r"serving_default\(text\) or pair\(text, text_pair\)"):
        found(TEXTS, TEXTS, TEXTS)


def test_what_the_pipeline_cannot_read(exported, tmp_path):
    with pytest.raises(ValueError, match=r"must be the model of texts.*serving_default"):
        pipeline(exported.path / "model.ids.tflite")
    with pytest.raises(ValueError, match="An artefact has the length"):
        pipeline(exported.path, max_length=12)
    alone = shutil.copy(exported.path / "model.text.tflite", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config.json must lie beside the model"):
        pipeline(alone)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(2, 3), slice(0, 5), slice(1, 4)])
def test_the_model_of_texts_answers_as_keras(text_model, classifier, rows):
    texts, pairs = TEXTS[rows], TEXTS[::-1][rows]
    keras_model = serving_functions(classifier)
    for name, columns in {
        "serving_default": {"text": texts},
        "pair": {"text": texts, "text_pair": pairs},
        "embed": {"text": texts},
    }.items():
        inputs = {column: as_bytes(values) for column, values in columns.items()}
        found = text_model.run(name, **inputs)
        expected = keras_model[name](**{key: tf.constant(v) for key, v in columns.items()})
        for output, array in found.items():
            check_close(array, expected[output])


def test_the_model_of_texts_tokenizes_as_python(text_model, classifier):
    found = text_model.run("tokenize", text=as_bytes(TEXTS))
    expected = classifier.tokenizer(TEXTS, max_length=LENGTH)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    answered = text_model.run("tokens", **found)["probabilities"]
    check_close(answered, text_model.run("serving_default", text=as_bytes(TEXTS))["probabilities"])


@pytest.mark.data
def test_the_model_of_texts_tokenizes_real_text_exactly(real_lines, uncased_classifier):
    converted = LiteModel(graphs.text_model(LiteClassifier(uncased_classifier, 128)))
    plain = {**uncased_classifier.tokenizer.get_config(), "split_special_tokens": True}
    tokenizer = BertTokenizer(**plain)
    for some in real_lines:
        found = converted.run("tokenize", text=as_bytes(some))
        for name, array in tokenizer(some, max_length=128).items():
            assert found[name].tolist() == array.tolist()


def test_an_empty_batch_gets_an_empty_answer(text_model):
    answer = text_model.run("serving_default", text=as_bytes([]))
    assert answer["probabilities"].shape == (0, 2)


@pytest.mark.parametrize(
    "text",
    [b" \t\n", b"\xff\xfe good \x80", b"good\x00bad", b"very " * 5000, b"a" * 100_000],
    ids=["spaces", "invalid UTF-8", "NUL", "5000 words", "one long word"],
)
def test_any_bytes_get_the_answer_that_tensorflow_gives(text_model, classifier, text):
    found = text_model.run("serving_default", text=as_bytes([text]))["probabilities"]
    expected = serving_functions(classifier)["serving_default"](text=tf.constant([text]))
    check_close(found, expected["probabilities"])


def test_a_special_token_in_a_text_is_read_as_text(text_model, classifier):
    plain = BertTokenizer(**{**classifier.tokenizer.get_config(), "split_special_tokens": True})
    texts = ["good [SEP] bad", "[MASK]"]
    found = text_model.run("tokenize", text=as_bytes(texts))["input_ids"]
    np.testing.assert_array_equal(found, plain(texts)["input_ids"])


def test_the_model_of_tokens_answers_as_keras(ids_model, classifier):
    assert list(ids_model.signatures) == ["serving_default"]
    expected = serving_functions(classifier)["serving_default"](text=tf.constant(TEXTS))
    for row, inputs in enumerate(as_ids(classifier.tokenizer, TEXTS)):
        found = ids_model.run("serving_default", **inputs)["probabilities"]
        check_close(found, expected["probabilities"][row : row + 1])


def test_which_operations_a_runtime_must_have(exported):
    of_texts = operations((exported.path / "model.text.tflite").read_bytes())
    of_tokens = operations((exported.path / "model.ids.tflite").read_bytes())
    assert of_texts[1] == {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"}
    assert of_tokens[1] == set()
    assert {"FULLY_CONNECTED", "GATHER", "GELU", "SOFTMAX"} <= of_tokens[0]


def test_an_operation_that_no_runtime_has_is_found():
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)], autograph=False)
    def sliced(x):
        return x[:, None, None, :]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([sliced.get_concrete_function()])
    converter.allow_custom_ops = True
    content = converter.convert()
    check_operations(content, ["StridedSlice"])
    with pytest.raises(RuntimeError, match=r"FastBertNormalize alone\..* StridedSlice"):
        check_operations(content, ["FastBertNormalize"])


@pytest.mark.slow
def test_float16_is_half_the_size(exported, classifier, examples, tmp_path):
    done = litert(classifier, tmp_path / "half", "float16", examples=examples)
    for name, one in done.models.items():
        assert one.format == "float16"
        assert 1e-7 < one.scores.largest_difference < 2e-3
        assert one.bytes < exported.models[name].bytes


def test_dynamic_int8(exported, quantized):
    done, steps = quantized
    for name, one in done.models.items():
        assert one.format == "dynamic-int8"
        assert 1e-6 < one.scores.mean_difference < 2e-2
        assert one.bytes < exported.models[name].bytes
    assert steps[0] == "Answering the texts with Keras"
    assert "Comparing dynamic-int8 with Keras" in steps


@pytest.mark.slow
def test_regressions_and_several_labels(trained_folder, tmp_path):
    for problem, output in (
        ("regression", "scores"),
        ("multi_label_classification", "probabilities"),
    ):
        classifier = BertForSequenceClassification.from_pretrained(
            trained_folder, problem_type=problem
        )
        done = litert(classifier, tmp_path / problem, examples=TEXTS)
        running = LiteModel(done.path / "model.text.tflite")
        found = running.run("serving_default", text=as_bytes(TEXTS))[output]
        expected = serving_functions(classifier)["serving_default"](text=tf.constant(TEXTS))[output]
        check_close(found, expected)
        assert all(one.scores.accuracy is None for one in done.models.values())


@pytest.mark.slow
def test_a_model_in_half_precision_is_converted_in_float32(trained_folder, classifier, tmp_path):
    half = BertForSequenceClassification.from_pretrained(trained_folder, dtype="mixed_bfloat16")
    done = litert(half, tmp_path / "half", max_length=9, examples=TEXTS)
    (inputs,) = as_ids(classifier.tokenizer, TEXTS[:1], 9)
    found = LiteModel(done.path / "model.ids.tflite").run("serving_default", **inputs)
    expected = serving_functions(classifier)["serving_default"](text=tf.constant(TEXTS[:1]))
    check_close(found["probabilities"], expected["probabilities"])


class TestTheGate:
    """Which of several models is taken, by what they lose."""

    def choose(self, monkeypatch, drops, max_drop=1.0, allow_drop=False):
        monkeypatch.setattr(gate, "LiteModel", lambda content: content)
        checked = gate.Gate(max_drop, allow_drop, 1e-5, lambda step: None)
        candidates = ((f"format {drop}", drop) for drop in drops)
        words, _, _ = checked.first_to_pass(
            candidates, lambda drop: Scores(100, 0.01, 0.1, 0.9 - drop / 100, 0.9)
        )
        return words, checked.notes

    def test_the_first_that_loses_little_is_taken(self, monkeypatch):
        assert self.choose(monkeypatch, [0.5, 0.1]) == ("format 0.5", [])
        words, (note,) = self.choose(monkeypatch, [9, 3, 0.5, 0.1])
        assert words == "format 0.5"
        assert "is format 0.5: format 9 loses 9.00; format 3 loses 3.00" in note

    def test_none_is_taken_that_loses_much(self, monkeypatch):
        with pytest.raises(ValueError, match=r"1\.0 points.*format 9 loses 9\.00; format 3"):
            self.choose(monkeypatch, [9, 3])

    def test_a_loss_can_be_allowed(self, monkeypatch):
        words, (note,) = self.choose(monkeypatch, [9, 3], allow_drop=True)
        assert words == "format 9"
        assert note == "format 9 loses 9.00 points of accuracy, more than 1.0; it was allowed."

    def test_a_float32_model_that_differs_is_an_error(self, monkeypatch):
        monkeypatch.setattr(gate, "LiteModel", lambda content: content)
        checked = gate.Gate(1.0, False, 1e-5, lambda step: None)
        scores = Scores(100, 1e-5, 1.2e-5, 0.9, 0.9)
        with pytest.raises(RuntimeError, match=r"1e-05\. Received: .* of 1\.2e-05"):
            checked.first_to_pass([("float32", b"")], lambda model: scores)


def test_a_model_that_loses_too_much_is_not_written(classifier, examples, tmp_path):
    with pytest.raises(ValueError, match=r"by more than -1 points.*--allow-drop"):
        litert(classifier, tmp_path / "out", examples=examples, max_drop=-1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [{}, {"examples": TEXTS}, {"calibration": TEXTS * 6}])
def test_whole_numbers_need_texts(classifier, tmp_path, given):
    count = len(next(iter(given.values()), [None] * 9))
    with pytest.raises(ValueError, match=f"int8 needs at least 32 texts.*Received: {count}"):
        litert(classifier, tmp_path / "out", "int8", **given)


def test_what_cannot_be_exported_is_refused(classifier, trained_folder, tmp_path):
    def refuse(error, match, refused=classifier, **options):
        with pytest.raises(error, match=match):
            litert(refused, tmp_path / "out", **options)

    refuse(ValueError, "quantize must be one of none, float16.*Received: 'int4'", quantize="int4")
    refuse(ValueError, "at most 50", max_length=51)
    refuse(TypeError, "BertForSequenceClassification", BertModel.from_pretrained(trained_folder))
    refuse(TypeError, "Received: str", "a folder")
    refuse(ValueError, "must hold a text", examples=[])
    bare = BertForSequenceClassification(classifier.config)
    refuse(ValueError, "must have a tokenizer", bare)
    bare.tokenizer = BertTokenizer(**{**classifier.tokenizer.get_config(), "never_split": ["very"]})
    refuse(ValueError, "never_split=\\['very'\\]", bare)
    labels = Examples("data.tsv", ["a text"], None, ["dreadful"])
    refuse(ValueError, "data.tsv: each label must be one of.*'dreadful'", examples=labels)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_replaced_only_on_request(classifier, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        litert(classifier, tmp_path / "out")

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(exporter, "write_card", fail)
    with pytest.raises(OSError, match="no space left"):
        litert(classifier, tmp_path / "out", max_length=8, overwrite=True)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/notes"]


def test_what_is_missing_is_named(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match="ai-edge-litert: pip install 'keras-bert-kit\\[litert\\]'"
    ):
        litert(classifier, tmp_path / "out")


def test_no_litert_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be a LiteRT model"):
        LiteModel(b"no model at all")
    with pytest.raises(FileNotFoundError):
        LiteModel(tmp_path / "model.tflite")
