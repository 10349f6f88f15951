"""Inputs that a server should survive: random and nasty bytes, ids and requests."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from keras_bert_kit import messages
from keras_bert_kit.messages import Request
from keras_bert_kit.serving.c_api import Session, Signature
from keras_bert_kit.serving.check.samples import takes_examples, takes_texts, takes_tokens

_PIECES = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xc0\x80",  # an overlong form
    b"\xe4\xbd",  # half a character
    b"\xed\xa0\x80\xed\xb0\x80",  # surrogates
    b"\xf4\x90\x80\x80",  # above the last code point
    b"[CLS]",
    b"[SEP] [MASK] [PAD] [UNK]",
    b"[unused1]",
    b"\r\n\t\x0b\x0c\x1b\x7f\xc2\x85",
    "\u00a0\u2003\u3000\u200b\ufeff".encode(),
    "e\u0301\u0323\u0300".encode(),
    "\U000f0000\U0010fffd\ue000".encode(),
    "\U0001f469\u200d\U0001f469\u200d\U0001f466 \U0001f1e9\U0001f1ea".encode(),
    "深度学习と機械学習 한국어".encode(),
    "שָׁלוֹם العَرَبِيَّة".encode(),
    b"Don't! ...???",
    b"the food was good",
)
_IDS = (0, 1, 2, 100, 101, 102, 999, 30_521, 30_522, 10**6, -1, -(2**31), 2**31 - 1)


@dataclasses.dataclass(frozen=True)
class FuzzedRequest:
    """A request that may be wrong.

    Attributes:
        request: The request.
        kind: What is special about it.
        batch: Rows that an answer has, or `None` where any will do.
        refused: Whether only a refusal is right.
    """

    request: Request
    kind: str
    batch: int | None
    refused: bool = False


def fuzzed_request(session: Session, seed: int, index: int) -> FuzzedRequest | None:
    """Makes a request; the same one for the same seed and index.

    Args:
        session: The loaded SavedModel.
        seed: A whole number.
        index: Another.

    Returns:
        The request, or `None` where no signature takes texts or tokens.
    """
    rng = random.Random(f"{seed} {index}")
    kinds = (takes_texts, takes_tokens)
    names = [n for n, one in session.signatures.items() if any(takes(one) for takes in kinds)]
    if not names:
        return None
    name = rng.choice(names)
    signature = session.signatures[name]
    inputs, kind, batch = _inputs(signature, rng)
    sound = FuzzedRequest(Request(name, inputs), kind, batch)
    return _spoilt(sound, rng) if rng.random() < 0.15 else sound


def nasty_text(rng: random.Random) -> bytes:
    """Makes a text of random and nasty bytes.

    Args:
        rng: The source of chance.
    """
    chance = rng.random()
    if chance < 0.002:
        piece = nasty_text(rng) + b" a"
        return (piece * (2**20 // len(piece) + 1))[: 2**20]
    if chance < 0.05:
        return rng.choice((b"a", b"\xcc\x81", b" ", b"\xe4\xbd\xa0", b"\x00")) * rng.randrange(
            20_000
        )
    if chance < 0.3:
        return rng.randbytes(rng.randrange(200))
    if chance < 0.5:
        return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(60))).encode(
            errors="surrogatepass"
        )
    separator = rng.choice((b"", b" "))
    return separator.join(rng.choices(_PIECES, k=rng.randrange(12)))


def _inputs(signature: Signature, rng: random.Random):
    batch = rng.choice((0, 1, 1, 1, 2, 4))
    if takes_tokens(signature):
        return _token_inputs(signature, rng, batch)
    kind, make = ("examples", _example) if takes_examples(signature) else ("texts", nasty_text)
    inputs = {name: _strings([make(rng) for _ in range(batch)]) for name in signature.inputs}
    return inputs, kind if batch else f"{kind}, empty batch", batch


def _example(rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return rng.randbytes(rng.randrange(50))
    names = rng.choice((("text", "text_pair"), ("text", "text_pair"), ("text",), ()))
    return messages.text_example({name: nasty_text(rng) for name in names})


def _token_inputs(signature: Signature, rng: random.Random, batch: int):
    length = rng.choice((0, 1, 2, 7, 16, 64, 513, 600))
    numbers = np.random.default_rng(rng.randrange(2**32))
    inputs = {}
    for name, spec in signature.inputs.items():
        low, high = rng.choice(((0, 2), (1, 2), (0, 1), (0, 100)))
        values = numbers.integers(low, high, (batch, length))
        if "id" in name and "type" not in name and rng.random() < 0.5:
            values = numbers.choice(_IDS, (batch, length))
        inputs[name] = values.astype(spec.dtype)
    return inputs, f"tokens of length {length}" if batch else "tokens, empty batch", batch


def _spoilt(sound: FuzzedRequest, rng: random.Random) -> FuzzedRequest:
    request, inputs = sound.request, dict(sound.request.inputs)
    name = rng.choice(list(inputs))
    array = inputs[name]
    kind = rng.choice(("signature", "dtype", "missing", "extra", "scalar", "rank", "batch"))
    if kind == "signature":
        request = Request(rng.choice(("", "predict", "serving_default ", "\x00")), inputs)
        return FuzzedRequest(request, "wrong signature", None, refused=True)
    if kind == "missing":
        del inputs[name]
    elif kind == "extra":
        inputs[rng.choice(("", "more"))] = array
    elif kind == "dtype":
        strings = array.dtype.kind == "O"
        inputs[name] = np.ones(array.shape, np.float32) if strings else _strings_like(array)
    elif kind == "scalar":
        inputs[name] = (
            _strings([b"a"]).reshape(()) if array.dtype.kind == "O" else array.dtype.type(1)
        )
    elif kind == "rank":
        inputs[name] = array[np.newaxis]
    else:
        inputs[name] = np.concatenate([array, array, array[:0]])
    refused = kind in ("missing", "extra", "dtype")
    return FuzzedRequest(Request(request.signature, inputs), f"wrong {kind}", None, refused)


def _strings(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _strings_like(array: np.ndarray) -> np.ndarray:
    return _strings([b"1"] * array.size).reshape(array.shape)
