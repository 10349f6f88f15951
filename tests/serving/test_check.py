import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_kit import BertForSequenceClassification, messages
from keras_bert_kit.export import saved_model
from keras_bert_kit.messages import difference
from keras_bert_kit.serving import check
from keras_bert_kit.serving.check import CHECKS, batcher, serve_check

CLS, SEP = 2, 3
TEXTS = ["good", "a text that is much longer than the others", "", "é"]
TEXT = tf.TensorSpec([None], tf.string, "text")
IDS = tf.TensorSpec([None, None], tf.int32, "input_ids")
MASK = tf.TensorSpec([None, None], tf.int32, "attention_mask")


def tokenize(text):
    """Gives each character's number between [CLS] and [SEP]."""
    text = tf.ensure_shape(text, [None])
    characters = tf.strings.unicode_decode(text, "UTF-8")
    rows = tf.expand_dims(tf.ones_like(text, tf.int32), 1)
    ids = tf.concat([rows * CLS, characters, rows * SEP], 1)
    return {
        "input_ids": ids.to_tensor(0, shape=[None, None]),
        "attention_mask": tf.sequence_mask(ids.row_lengths(), dtype=tf.int32),
    }


def mean_of_ids(input_ids, attention_mask):
    """Trusts the mask."""
    mask = tf.cast(attention_mask, tf.float32)
    total = tf.reduce_sum(tf.cast(input_ids, tf.float32) * mask, 1)
    return {"score": total / tf.maximum(tf.reduce_sum(mask, 1), 1.0)}


def mean_up_to_sep(input_ids, attention_mask):
    """Takes what comes after the last [SEP] for padding."""
    position = tf.expand_dims(tf.range(tf.shape(input_ids)[1]), 0)
    is_sep = (input_ids == SEP) & (attention_mask > -1)
    last = tf.reduce_max(tf.where(is_sep, position, -1), 1, keepdims=True)
    return mean_of_ids(input_ids, position <= last)


def graph(function, *specs, **options):
    return tf.function(function, input_signature=specs, autograph=False, **options)


def write(path, records=(), **signatures):
    module = tf.Module()
    module.functions = list(signatures.values())
    tf.saved_model.save(module, str(path), signatures=signatures)
    if records:
        (path / "assets.extra").mkdir()
        messages.write_records(path / "assets.extra" / "tf_serving_warmup_requests", records)
    return path


def record(signature, function, **inputs):
    answers = function(*map(tf.constant, inputs.values()))
    outputs = {name: array.numpy() for name, array in answers.items()}
    return messages.predict_record(signature, inputs, outputs)


def text_model(path, tokens=mean_up_to_sep, change=lambda record: record):
    score = graph(lambda text: tokens(**tokenize(text)), TEXT)
    batches = [[text] for text in TEXTS] + [TEXTS]
    return write(
        path,
        [change(record("serving_default", score, text=texts)) for texts in batches],
        serving_default=score,
        tokenize=graph(tokenize, TEXT),
        tokens=graph(tokens, IDS, MASK),
    )


def one_row(path, name, **options):
    row, own = serve_check(path, checks=[name], **options).rows
    assert (own.name, own.passed) == ("stands-alone", True)
    return row


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return text_model(tmp_path_factory.mktemp("served") / "1")


@pytest.mark.slow
def test_a_sound_artefact_passes_every_check(model):
    seen = []
    report = serve_check(model, requests=300, threads=4, fuzz=400, on_row=seen.append)
    assert [row.name for row in report.rows] == [*CHECKS, "stands-alone"]
    assert [row.passed for row in report.rows] == [True] * 9, report
    assert report.passed
    assert seen == report.rows
    kept = json.loads(json.dumps(report.as_dict()))
    rows = {row["name"]: row for row in kept["rows"]}
    signatures = rows["loads"]["numbers"]["signatures"]
    assert signatures["tokens"] == {
        "inputs": {"attention_mask": "int32 [?, ?]", "input_ids": "int32 [?, ?]"},
        "outputs": {"score": "float32 [?]"},
        "method_name": "tensorflow/serving/predict",
    }
    assert rows["warm-up"]["numbers"]["compared"] == 5
    assert set(rows["warm-up"]["numbers"]["p50_ms"]) >= {"serving_default, 4 x 42 bytes"}
    assert rows["load"]["numbers"]["wrong"] == 0
    assert rows["load"]["numbers"]["texts_per_second"] > 0
    outcomes = rows["fuzz"]["numbers"]["outcomes"]
    assert sum(sum(counts.values()) for counts in outcomes.values()) == 400
    assert set(outcomes["wrong dtype"]) == {"INVALID_ARGUMENT"}
    assert set(outcomes["texts"]) == {"answered"}


@pytest.fixture(scope="module")
def exported(trained_folder, tmp_path_factory):
    classifier = BertForSequenceClassification.from_pretrained(trained_folder)
    return saved_model(classifier, tmp_path_factory.mktemp("exported") / "1")


@pytest.mark.slow
def test_an_exported_classifier_passes(exported):
    report = serve_check(exported, checks=["warm-up", "text-ops-2.12", "padding"])
    assert [row.passed for row in report.rows] == [True] * 4, report
    warm_up, text_ops, *_ = report.rows
    assert warm_up.numbers["compared"] == warm_up.numbers["requests"] > 0
    assert text_ops.numbers["ops"] == ["FastBertNormalize", "FastWordpieceTokenizeWithOffsets"]


def wrong_score(record):
    log = messages.PredictionLog.FromString(record)
    outputs = log.predict_log.response.outputs
    score = messages.to_array(outputs["score"])
    outputs["score"].CopyFrom(messages.to_proto(score + np.float32(0.01)))
    return log.SerializeToString()


def test_wrong_stored_answers_fail(tmp_path):
    path = text_model(tmp_path / "1", change=wrong_score)
    report = serve_check(path, requests=50, threads=2, checks=["warm-up", "load"])
    warm_up, load, _ = report.rows
    assert not report.passed
    assert warm_up.passed is load.passed is False
    assert "5 of 5 requests failed; first: serving_default, 1 x 4 bytes: score" in warm_up.detail
    assert warm_up.numbers["largest_difference"] == pytest.approx(0.01, abs=1e-3)
    assert load.numbers["wrong"] > 0
    assert "; first: score differs by 0.01, more than 1e-05" in load.detail
    assert one_row(path, "warm-up", tolerance=0.1).passed


def test_a_compiled_artefact_needs_a_server_with_xla(tmp_path):
    double = graph(lambda x: {"y": 2 * x}, tf.TensorSpec([None, 2], tf.float32), jit_compile=True)
    row = one_row(write(tmp_path / "1", serving_default=double), "xla-off")
    assert row.passed is None
    assert "--xla_cpu_compilation_enabled" in row.detail


def test_a_later_op_of_tensorflow_text_fails(tmp_path):
    trimmer = tf_text.RoundRobinTrimmer(5)

    def trim(text):
        words = tf.strings.split(text)
        return {"length": trimmer.trim([words])[0].row_lengths()}

    row = one_row(write(tmp_path / "1", serving_default=graph(trim, TEXT)), "text-ops-2.12")
    assert row.passed is False
    assert "TensorFlow Serving 2.12 to 2.19 has no TFText>RoundRobinTrim" in row.detail
    assert row.numbers["later_ops"] == ["TFText>RoundRobinTrim"]


def test_a_signature_that_trusts_the_mask_fails_the_padding(tmp_path):
    row = one_row(text_model(tmp_path / "1", tokens=mean_of_ids), "padding")
    assert row.passed is False
    assert "tokens: a request padded to " in row.detail
    assert "score differs by" in row.detail


def test_outputs_without_a_batch_fail(tmp_path):
    def count(text):
        return {"count": tf.size(text), "lengths": tf.strings.length(text)}

    row = one_row(write(tmp_path / "1", serving_default=graph(count, TEXT)), "batch-major")
    assert row.passed is False
    assert row.detail.startswith("serving_default with a batch of 1: count is int32 []")


def test_an_answer_that_is_no_number_fails_the_fuzz(tmp_path):
    def share(text):
        length = tf.cast(tf.strings.length(tf.ensure_shape(text, [None])), tf.float32)
        return {"share": length / length}

    row = one_row(write(tmp_path / "1", serving_default=graph(share, TEXT)), "fuzz", fuzz=200)
    assert row.passed is False
    assert row.detail.startswith("share is not finite; seed 0, input ")


def test_damaged_artefacts(model, tmp_path):
    path = text_model(tmp_path / "1")
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    report = serve_check(path, checks=["loads", "padding"])
    loads, padding, _ = report.rows
    assert loads.passed is False
    assert "saved_model.pb must be a whole SavedModel" in loads.detail
    assert (padding.passed, padding.detail) == (None, "not tried, because it does not load")

    (path / "saved_model.pb").write_bytes(content)
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"garbage")
    warm_up, batch_major, _ = serve_check(path, checks=["warm-up", "batch-major"]).rows
    assert warm_up.passed is False
    assert "must be a whole TFRecord file" in warm_up.detail
    assert batch_major.passed


@pytest.mark.slow
def test_missing_variables(exported, tmp_path):
    path = shutil.copytree(exported, tmp_path / "1")
    next(path.glob("variables/*.data*")).unlink()
    row = one_row(path, "loads")
    assert row.passed is False
    assert "variables" in row.detail


CRASH = """
import json, os, signal, sys
with open(json.load(sys.stdin)["journal"], "w") as journal:
    journal.write("seed 0, input 7")
print("something is wrong\\nI0000 00:00:1.1 1 pass.cc:1] all is well", file=sys.stderr, flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_a_crash_is_a_failed_row_with_the_last_input(model, monkeypatch):
    def crash(task, seconds):
        command = [sys.executable, "-c", CRASH]
        content = json.dumps({"journal": task.journal})
        return subprocess.run(command, input=content, capture_output=True, text=True, check=False)

    monkeypatch.setattr(check, "_run", crash)
    row = one_row(model, "fuzz", fuzz=10)
    assert row.passed is False
    assert row.detail == (
        "the process died of SIGSEGV: something is wrong; the last input was seed 0, input 7"
    )


def test_a_check_that_does_not_end_is_a_failed_row(model, monkeypatch):
    def wait(task, seconds):
        raise subprocess.TimeoutExpired("python", seconds)

    monkeypatch.setattr(check, "_run", wait)
    row = one_row(model, "load", requests=100)
    assert (row.passed, row.detail) == (False, "no end after 1000 s")


def test_no_saved_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a SavedModel"):
        serve_check(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": -1}, "requests=-1"),
        ({"fuzz": -1}, "fuzz=-1"),
        ({"threads": 0}, "threads=0"),
        ({"checks": ["loads", "lods"]}, "Received: lods"),
    ],
)
def test_wrong_arguments(model, options, message):
    with pytest.raises(ValueError, match=message):
        serve_check(model, **options)


def test_the_batcher_pads_with_the_first_element_and_the_last_request():
    tasks = [
        {"ids": np.int32([[2, 7, 3]]), "mask": np.int32([[1, 1, 1]])},
        {"ids": np.int32([[4, 3], [5, 3]]), "mask": np.int32([[1, 1], [1, 0]])},
    ]
    batch = batcher.merged(tasks, [1, 5])
    assert batch["ids"].tolist() == [[2, 7, 3], [4, 3, 4], [5, 3, 4], [4, 3, 4], [4, 3, 4]]
    assert batch["mask"].tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1]]
    first, second = batcher.split(batch, [1, 2])
    assert first["ids"].tolist() == [[2, 7, 3]]
    assert second["ids"].tolist() == [[4, 3, 4], [5, 3, 4]]


def test_allowed_batch_sizes(tmp_path):
    assert batcher.allowed_batch_sizes(tmp_path) == [1, 2, 4, 8, 16, 32, 64]
    text = "max_batch_size { value: 32 }\nallowed_batch_sizes: 1\n  allowed_batch_sizes : 8\n"
    (tmp_path / "batching_params.pbtxt").write_text(text + "allowed_batch_sizes: [16, 32]\n# 5\n")
    assert batcher.allowed_batch_sizes(tmp_path) == [1, 8, 16, 32]


@pytest.mark.parametrize(
    ("found", "largest", "problem"),
    [
        ({"x": np.float32([1.0, np.inf])}, 0.0, ""),
        ({"x": np.float32([1.5, np.inf])}, 0.5, "x differs by 0.5, more than 0.1"),
        ({"x": np.float32([np.nan, np.inf])}, np.inf, "x differs by inf, more than 0.1"),
        ({"x": np.float32([[1.0, np.inf]])}, 0.0, "x must be float32 [2], and is float32 [1, 2]"),
        ({"x": np.int64([1, 2])}, 0.0, "x must be float32 [2], and is int64 [2]"),
        ({"y": np.float32([1.0])}, 0.0, "x must be float32 [2], and is absent"),
    ],
)
def test_difference(found, largest, problem):
    assert difference(found, {"x": np.float32([1.0, np.inf])}, 0.1) == (largest, problem)


def test_texts_must_be_equal():
    one, other = (np.array([text], object) for text in (b"a", b"b"))
    assert difference({"x": one}, {"x": other}, 1.0) == (0.0, "x is not equal")
