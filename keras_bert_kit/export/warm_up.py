"""Requests that a server answers before it serves, with the model's own answers."""

from __future__ import annotations

import functools
import inspect
import itertools
import statistics
import timeit
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_kit.messages import Request, as_array, difference, text_example
from keras_bert_kit.tasks.served import Served
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

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


def warm_up_requests(served: Served, texts: Sequence[str] | None = None) -> list[Request]:
    """Makes requests over batch sizes and lengths, for every signature.

    Args:
        served: The model.
        texts: Texts to make them of; `None` takes some in several languages.

    Returns:
        The requests, with the answers that the model gives for what the Python tokenizer makes of
        the texts.

    Raises:
        ValueError: `texts` holds no text.
    """
    keras_model = _KerasModel(served)
    source = _Texts(served, TEXTS if texts is None else texts)
    requests = [
        keras_model.request_for("serving_default", source, batch, length)
        for length in _lengths(served)
        for batch in BATCH_SIZES
        if batch * length <= _MOST_TOKENS
    ]
    names = [name for name in served.functions() if name != "serving_default"]
    for batch, length in ((1, 8), (8, 32)):
        requests += [keras_model.request_for(name, source, batch, length) for name in names]
    return requests


def check_answers(folder: Path, requests: Sequence[Request], served: Served) -> list[dict]:
    """Compares a SavedModel's answers with those that are expected, and takes the time.

    Args:
        folder: The SavedModel.
        requests: The requests.
        served: The model.

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
        _, problem = difference(answer, request.outputs, served.tolerance)
        if problem:
            raise RuntimeError(
                "The SavedModel must answer as the model does. Received: for the signature "
                f"{request.signature} {problem}. Please report this."
            )
        if request.signature == "serving_default":
            milliseconds = 1e3 * statistics.median(timeit.repeat(call, number=1, repeat=_ROUNDS))
            columns = list(tensors.values())
            tokens = served.tokenize(*columns)["input_ids"].shape[-1]
            row = {"batch": len(columns[0]), "tokens": tokens}
            measured.append({**row, "milliseconds": round(milliseconds, 2)})
    del loaded
    return measured


class _PythonTokenizer(InGraphTokenizer):
    """The tokenizer of a served model with the ids of the Python tokenizer, to compare with."""

    @classmethod
    def like(cls, tokenizer: InGraphTokenizer) -> _PythonTokenizer:
        """Gives the Python counterpart of a tokenizer."""
        config = tokenizer.get_config()
        python = cls.from_config(config)
        names = inspect.signature(BertTokenizer).parameters
        python.reference = BertTokenizer(**{n: config[n] for n in names if n in config})
        return python

    def tokenize(self, texts):
        """Gives ids without special tokens, ragged int32 (B, None)."""
        return self._rows(texts)["input_ids"]

    def tokenize_with_offsets(self, texts):
        """Gives ids, starts and ends, ragged int32 (B, None); offsets are in bytes."""
        rows = self._rows(texts, return_offsets_mapping=True)
        strings = [text.decode(errors="replace") for text in texts.numpy()]
        offsets = [
            [[len(text[:place].encode()) for place in token] for token in tokens]
            for text, tokens in zip(strings, rows["offset_mapping"], strict=True)
        ]
        flat = np.array(list(itertools.chain.from_iterable(offsets)), "int32").reshape(-1, 2)
        return rows["input_ids"], *map(rows["input_ids"].with_values, tf.unstack(flat, axis=1))

    def call(self, inputs):
        """Gives the three inputs of a model, int32 (B, S)."""
        texts, pairs = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        columns = (None if column is None else _decoded(column) for column in (texts, pairs))
        return self.reference(
            *columns, max_length=self.max_length, truncation=self.truncation, return_tensors="tf"
        )

    def _rows(self, texts, **options) -> dict[str, Any]:
        rows = self.reference(
            _decoded(texts),
            add_special_tokens=False,
            padding=False,
            return_tensors=None,
            **options,
        )
        ids = tf.ragged.constant(rows["input_ids"], tf.int32, ragged_rank=1)
        return {**rows, "input_ids": ids}


def _decoded(texts: tf.Tensor) -> list[str]:
    return [text.decode() for text in texts.numpy()]


class _KerasModel:
    """A served model behind the Python tokenizer, with which its artefact is compared."""

    def __init__(self, served: Served):
        python = _PythonTokenizer.like(served.tokenizer)
        self._served = type(served)(served.model, python, scope=served.scope)

    def request(self, signature: str, **columns) -> Request:
        """Makes a request with its answer."""
        function, specs = self._served.functions()[signature]
        inputs = {spec.name: as_array(columns[spec.name]) for spec in specs}
        outputs = function(*map(tf.constant, inputs.values()))
        answer = {name: as_array(tensor.numpy()) for name, tensor in outputs.items()}
        return Request(signature, inputs, answer)

    def request_for(self, signature: str, source: _Texts, batch: int, length: int) -> Request:
        """Makes a request to any signature, from texts of some length."""
        specs = self._served.functions()[signature][1]
        columns = {spec.name: source.column(spec, batch, length) for spec in specs}
        if "input_ids" in columns:
            tokens = self._served.tokenize(tf.constant(source.take(batch, length)))
            columns = {name: tensor.numpy() for name, tensor in tokens.items()}
        elif "inputs" in columns:
            names = ("text", "text_pair") if signature.endswith("_pair") else ("text",)
            rows = zip(*(source.take(batch, length) for _ in names), strict=True)
            columns = {"inputs": [text_example(dict(zip(names, row, strict=True))) for row in rows]}
        return self.request(signature, **columns)


class _Texts:
    """Texts of a number of tokens, cut out of those that are there."""

    def __init__(self, served: Served, texts: Sequence[str]):
        texts = [text for text in texts if text.strip()]
        if not texts:
            raise ValueError("texts must hold a text to warm up with. Received: none")
        self._served = served
        self._texts = itertools.cycle(texts)

    def column(self, spec: tf.TensorSpec, batch: int, length: int) -> Any:
        """Gives an input of a signature: texts (B,), or texts (B, 2) where it takes several."""
        rank = spec.shape.rank
        texts = self.take(batch * rank, length)
        return texts if rank == 1 else np.array(texts, object).reshape(batch, rank)

    def take(self, batch: int, length: int) -> list[str]:
        """Gives texts of `length` tokens, specials included, or a little less."""
        texts = [" ".join(itertools.islice(self._texts, length)) for _ in range(batch)]
        tokenizer = self._served.model.tokenizer
        tokens = tokenizer(texts, max_length=length, return_offsets_mapping=True)
        ends = tokens["offset_mapping"][..., 1].max(axis=1)
        return [self._served.sample(text[:end]) for text, end in zip(texts, ends, strict=True)]


def _lengths(served: Served) -> list[int]:
    longest = served.tokenizer.max_length
    return sorted({min(length, longest) for length in served.compiled_lengths or LENGTHS})
