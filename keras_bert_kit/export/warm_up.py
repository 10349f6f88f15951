"""Requests that a server answers before it serves, with the model's own answers."""

from __future__ import annotations

import functools
import itertools
import statistics
import timeit
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from keras_bert_kit.export.signatures import ServedClassifier
from keras_bert_kit.messages import Request, as_array, difference, text_example

#: Batch sizes of the requests; a compiled model is compiled for these alone.
BATCH_SIZES = (1, 8, 32)
LENGTHS = (8, 32, 128, 512)
_MOST_TOKENS = 4096  # of a request
_ROUNDS = 5

#: Texts in several languages, where there are none of the user's.
TEXTS = (
    "The room was quiet, the bed was good, and breakfast came on time.",
    "We waited two hours for a table and left without a word of apology.",
    "It costs 1,250.50 in shops; online it's a third less (if it arrives).",
    "Das Gerät läuft seit drei Wochen ohne Störung.",
    "Le café était très bon, mais l'accueil n'était pas à la hauteur.",
    "房间很干净，服务也很好，下次还会再来。",
    "手机电池不到一天就没电了……",
    "この店のラーメンはとてもおいしかったです。",
    "Очень хорошая книга, советую прочитать.",
)


def warm_up_requests(served: ServedClassifier, texts: Sequence[str] | None = None) -> list[Request]:
    """Makes requests over batch sizes and lengths, for every signature.

    Args:
        served: The classifier.
        texts: Texts to make them of; `None` takes some in several languages.

    Returns:
        The requests, with the answers that the model gives for what the Python tokenizer makes of
        the texts.

    Raises:
        ValueError: `texts` holds no text.
    """
    longest = served.tokenizer.max_length
    keras_model = _KerasClassifier(served.model, longest, scope=served.scope)
    source = _Texts(served, TEXTS if texts is None else texts)
    requests = [
        keras_model.request("serving_default", text=source.take(batch, length))
        for length in _lengths(served)
        for batch in BATCH_SIZES
        if batch * length <= _MOST_TOKENS
    ]
    names = [name for name in served.functions() if name != "serving_default"]
    for batch, length in ((1, 8), (8, 32)):
        texts, pairs = source.take(batch, length), source.take(batch, length)
        requests += [keras_model.request_for(name, texts, pairs) for name in names]
    return requests


def check_answers(folder: Path, requests: Sequence[Request], tolerance: float) -> list[dict]:
    """Compares a SavedModel's answers with those that are expected, and takes the time.

    Args:
        folder: The SavedModel.
        requests: The requests.
        tolerance: Largest difference of floats.

    Returns:
        For each request to `serving_default` a dict of `batch`, `tokens` (of the longest row) and
        `milliseconds` (the median of some rounds).

    Raises:
        RuntimeError: An answer differs.
    """
    signatures = (loaded := tf.saved_model.load(str(folder))).signatures
    measured = []
    for request in requests:
        tensors = {name: tf.constant(values) for name, values in request.inputs.items()}
        call = functools.partial(signatures[request.signature], **tensors)
        answer = {name: as_array(tensor.numpy()) for name, tensor in call().items()}
        _, problem = difference(answer, request.outputs, tolerance)
        if problem:
            raise RuntimeError(
                "The SavedModel must answer as the model does. Received: for the signature "
                f"{request.signature} {problem}. Please report this."
            )
        if request.signature == "serving_default":
            milliseconds = 1e3 * statistics.median(timeit.repeat(call, number=1, repeat=_ROUNDS))
            tokens = signatures["tokenize"](**tensors)["input_ids"].shape[1]
            row = {"batch": len(request.inputs["text"]), "tokens": tokens}
            measured.append({**row, "milliseconds": round(milliseconds, 2)})
    del loaded
    return measured


class _KerasClassifier(ServedClassifier):
    """The classifier behind the Python tokenizer, to compare with."""

    def tokenize(self, text, text_pair=None):
        """Gives the three inputs of the model, int32 (B, S)."""
        texts, pairs = (
            None if column is None else [one.decode() for one in column.numpy()]
            for column in (text, text_pair)
        )
        length = self.tokenizer.max_length
        return self.model.tokenizer(texts, pairs, max_length=length, return_tensors="tf")

    def request(self, signature: str, **columns) -> Request:
        """Makes a request with its answer."""
        function, specs = self.functions()[signature]
        inputs = {spec.name: as_array(columns[spec.name]) for spec in specs}
        outputs = function(*map(tf.constant, inputs.values()))
        answer = {name: as_array(tensor.numpy()) for name, tensor in outputs.items()}
        return Request(signature, inputs, answer)

    def request_for(self, signature: str, texts: Sequence[str], pairs: Sequence[str]) -> Request:
        """Makes a request to any signature, from texts and what they may be paired with."""
        columns = {"text": texts, "text_pair": pairs}
        if signature == "tokens":
            tokens = self.tokenize(tf.constant(texts))
            columns = {name: tensor.numpy() for name, tensor in tokens.items()}
        elif "text" not in (spec.name for spec in self.functions()[signature][1]):
            names = ("text", "text_pair") if signature.endswith("_pair") else ("text",)
            rows = zip(*(columns[name] for name in names), strict=True)
            columns = {"inputs": [text_example(dict(zip(names, row, strict=True))) for row in rows]}
        return self.request(signature, **columns)


class _Texts:
    """Texts of a number of tokens, cut out of those that are there."""

    def __init__(self, served: ServedClassifier, texts: Sequence[str]):
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise ValueError("texts must hold a text to warm up with. Received: none")
        self._tokenizer = served.model.tokenizer
        self._texts = itertools.cycle(texts)

    def take(self, batch: int, length: int) -> list[str]:
        """Gives texts of `length` tokens, specials included, or a little less."""
        texts = [" ".join(itertools.islice(self._texts, length)) for _ in range(batch)]
        tokens = self._tokenizer(texts, max_length=length, return_offsets_mapping=True)
        ends = tokens["offset_mapping"][..., 1].max(axis=1)
        return [text[:end] for text, end in zip(texts, ends, strict=True)]


def _lengths(served: ServedClassifier) -> list[int]:
    longest = served.tokenizer.max_length
    return sorted({min(length, longest) for length in served.compiled_lengths or LENGTHS})
