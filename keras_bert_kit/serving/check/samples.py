"""Requests to try a SavedModel with: its warm-up records, and texts of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_bert_kit import messages
from keras_bert_kit.messages import Request
from keras_bert_kit.serving.c_api import Session, Signature
from keras_bert_kit.serving.c_library import TensorFlowError

WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")

TEXTS = (
    "good",
    "The food was not good, and the room was far too small.",
    "",
    "An honest little film about people who never say what they mean. " * 4,
)


def warm_up_requests(path: str | Path) -> list[Request]:
    """Reads the warm-up records of a SavedModel.

    Args:
        path: Folder of the SavedModel.

    Returns:
        The requests; none where it has no warm-up file.

    Raises:
        ValueError: The file is damaged, or holds other records.
    """
    file = Path(path) / WARM_UP
    records = messages.read_records(file) if file.is_file() else ()
    return [messages.read_request(record) for record in records]


def sample_requests(session: Session, path: str | Path) -> list[Request]:
    """Gives the warm-up requests, and requests of our own to the signatures that have none.

    Args:
        session: The loaded SavedModel.
        path: Its folder.

    Returns:
        The requests; none to a signature whose inputs are neither texts nor tokens.
    """
    try:
        requests = warm_up_requests(path)
    except ValueError:  # the check of the warm-up file says so
        requests = []
    requests = [one for one in requests if one.signature in session.signatures]
    covered = {one.signature for one in requests}
    own = {name: one for name, one in session.signatures.items() if name not in covered}
    for name, signature in own.items():
        if takes_texts(signature):
            made = [Request(name, _text_inputs(signature, texts)) for texts in _batches()]
            requests += made if _answers(session, made[0]) else []
        elif takes_tokens(signature):
            requests += token_requests(session, name, TEXTS)
    return requests


def takes_texts(signature: Signature) -> bool:
    """Tells whether each input is a batch of strings.

    Args:
        signature: The signature.
    """
    return all(spec.type == 7 and _rank(spec.shape) == 1 for spec in signature.inputs.values())


def takes_tokens(signature: Signature) -> bool:
    """Tells whether each input is a batch of sequences of whole numbers.

    Args:
        signature: The signature.
    """
    specs = signature.inputs.values()
    return all(spec.type in (3, 9) and _rank(spec.shape) == 2 for spec in specs)


def takes_examples(signature: Signature) -> bool:
    """Tells whether the only input is a batch of serialized `tf.Example`, as of a classify call.

    Args:
        signature: The signature.
    """
    return takes_texts(signature) and list(signature.inputs) == ["inputs"]


def token_requests(session: Session, name: str, texts: Iterable[str | bytes]) -> list[Request]:
    """Makes requests to a token signature with the model's own signature that tokenizes.

    Args:
        session: The loaded SavedModel.
        name: The token signature.
        texts: The texts, each a request of its own.

    Returns:
        The requests; none where no signature gives these inputs for texts.
    """
    wanted = session.signatures[name].inputs
    for source, signature in session.signatures.items():
        if (
            takes_texts(signature)
            and len(signature.inputs) == 1
            and wanted.keys() <= signature.outputs.keys()
        ):
            (text_input,) = signature.inputs
            answers = [session.run(source, {text_input: [text]}) for text in texts]
            return [
                Request(name, {key: one[key].astype(spec.dtype) for key, spec in wanted.items()})
                for one in answers
            ]
    return []


def texts_of(requests: Iterable[Request]) -> list[bytes]:
    """Gives the different texts of requests, in their order.

    Args:
        requests: The requests; those that hold no batch of strings give none.
    """
    arrays = [
        array
        for request in requests
        for name, array in request.inputs.items()
        if array.dtype.kind == "O" and name != "inputs"
    ]
    return list(dict.fromkeys(text for array in arrays for text in array.ravel()))


def _answers(session: Session, request: Request) -> bool:
    """Tells whether examples hold the features that the model wants; texts always do."""
    try:
        session.run(request.signature, request.inputs)
    except TensorFlowError:
        return not takes_examples(session.signatures[request.signature])
    return True


def _batches() -> Iterator[tuple[str, ...]]:
    yield from ((text,) for text in TEXTS)
    yield TEXTS[:3]


def _text_inputs(signature: Signature, texts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    if takes_examples(signature):
        texts = [messages.text_example({"text": text, "text_pair": text}) for text in texts]
    return {name: messages.as_array(texts) for name in signature.inputs}


def _rank(shape: tuple[int, ...] | None) -> int:
    return -1 if shape is None else len(shape)
