"""The requests that a server sends to itself, and the check of the answers to them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.export.signatures import served_model
from keras_bert_kit.export.warm_up import BATCH_SIZES, TEXTS, check_answers, warm_up_requests
from keras_bert_kit.messages import (
    PredictionLog,
    as_array,
    difference,
    read_records,
    read_request,
)

MOST_THAT_A_SERVER_TAKES = 1000


@pytest.fixture(scope="module")
def records(artefact):
    return list(read_records(artefact / "assets.extra" / "tf_serving_warmup_requests"))


@pytest.fixture(scope="module")
def requests(records):
    return [read_request(record) for record in records]


def test_records_are_such_as_a_server_reads(records, signatures):
    assert 0 < len(records) <= MOST_THAT_A_SERVER_TAKES
    for record in records:
        log = PredictionLog.FromString(record)
        assert log.HasField("predict_log")
        spec = log.predict_log.request.model_spec
        assert spec.signature_name in signatures
        assert spec.name == ""  # the server has its own name for the model


def test_every_signature_is_warmed_up(requests, signatures):
    assert {request.signature for request in requests} == set(signatures)
    for request in requests:
        specs = signatures[request.signature].structured_input_signature[1]
        assert set(request.inputs) == set(specs)
        assert set(request.outputs) == set(signatures[request.signature].structured_outputs)
        assert len({len(array) for array in request.inputs.values()}) == 1  # one size of batch


def test_batch_sizes_and_lengths_are_covered(requests, signatures):
    """The model is for 24 tokens, so there are two lengths."""
    seen = set()
    for request in requests:
        if request.signature == "serving_default":
            tokens = signatures["tokenize"](text=tf.constant(request.inputs["text"]))
            seen.add((len(request.inputs["text"]), tokens["input_ids"].shape[1]))
    assert seen == {(batch, length) for batch in BATCH_SIZES for length in (8, 24)}
    sizes = {(one.signature, len(next(iter(one.inputs.values())))) for one in requests}
    others = set(signatures) - {"serving_default"}
    assert {(name, batch) for name in others for batch in (1, 8)} <= sizes


def test_replayed_they_get_the_answers_that_are_stored(requests, signatures):
    for request in requests:
        assert request.outputs
        inputs = {name: tf.constant(values) for name, values in request.inputs.items()}
        answer = signatures[request.signature](**inputs)
        answer = {name: as_array(tensor.numpy()) for name, tensor in answer.items()}
        assert answer.keys() == request.outputs.keys()
        _, problem = difference(answer, request.outputs, 1e-5)
        assert problem == ""


def test_the_answers_are_those_of_the_keras_model(requests, classifier):
    for request in requests:
        if request.signature in ("serving_default", "pair"):
            texts = [text.decode() for text in request.inputs["text"]]
            pairs = [text.decode() for text in request.inputs.get("text_pair", ())] or None
            logits = classifier(classifier.tokenizer(texts, pairs, max_length=24))["logits"]
            expected = tf.nn.softmax(logits)
            found = request.outputs["probabilities"]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_rows_of_a_batch_are_different_texts(requests):
    batches = [one.inputs["text"] for one in requests if len(one.inputs.get("text", ())) == 8]
    assert batches
    for texts in batches:
        assert len(set(texts)) > 1
    assert {text.isascii() for batch in batches for text in batch} == {True, False}


def test_the_user_can_give_the_texts(classifier, requests):
    mine = ["good food", "a slow phone, again", "\n"]
    served = served_model(classifier)
    asked = warm_up_requests(served, mine)
    words = {word for text in mine for word in text.split()}
    for request in asked:
        for text in request.inputs.get("text", ()):
            assert text.strip()
            assert {word.rstrip(",") for word in text.decode().split()} <= words | {"phone"}
    own = [text for one in requests for text in one.inputs.get("text", ())]
    assert all(text.decode() in " ".join(TEXTS * 9) for text in own)
    with pytest.raises(ValueError, match="texts must hold a text"):
        warm_up_requests(served, ["", " "])


@pytest.mark.parametrize("max_length", [5, 50])
def test_the_longest_request_is_as_long_as_the_model_takes(classifier, max_length):
    served = served_model(classifier, max_length)
    asked = warm_up_requests(served, ["good"])
    texts = [one.inputs["text"] for one in asked if one.signature == "serving_default"]
    assert max(len(text.split()) for batch in texts for text in batch) == max_length - 2
    tokens = [one.inputs["input_ids"] for one in asked if one.signature == "tokens"]
    assert max(ids.shape[1] for ids in tokens) == min(max_length, 32)


@pytest.fixture
def check(classifier, artefact, loaded, monkeypatch):
    """`check_answers` of the artefact, which is not loaded anew."""
    monkeypatch.setattr(tf.saved_model, "load", {str(artefact): loaded}.get)

    def check(requests, tolerance):
        served = served_model(classifier)
        monkeypatch.setattr(type(served), "tolerance", tolerance)
        return check_answers(artefact, requests, served)

    return check


def changed(request, change):
    return dataclasses.replace(request, outputs={k: change(v) for k, v in request.outputs.items()})


def test_another_answer_is_found(check, requests):
    request = next(one for one in requests if one.signature == "embed")
    assert check([request], 1e-5) == []
    other = changed(request, lambda array: array + np.float32(2e-5))
    with pytest.raises(
        RuntimeError, match=r"signature embed .* differs by .*e-05, more than 1e-05"
    ):
        check([other], 1e-5)
    assert check([other], 1e-4) == []
    shorter = changed(request, lambda array: array[:-1])
    with pytest.raises(RuntimeError, match=r"must be float32 \[\d+, 20\], and is"):
        check([shorter], 1e-5)


def test_the_time_is_taken(check, requests):
    asked = [one for one in requests if one.signature == "serving_default"]
    measured = check(asked, 1e-5)
    sizes = [(one["batch"], one["tokens"]) for one in measured]
    assert sizes == [(batch, length) for length in (8, 24) for batch in BATCH_SIZES]
    assert all(one["milliseconds"] > 0 for one in measured)
