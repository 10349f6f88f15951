"""Hugging Face's old TensorFlow layout: `config.json`, `tf_model.h5` and a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from keras_bert_kit.checkpoints import tf1
from keras_bert_kit.checkpoints.checkpoint import (
    Checkpoint,
    Weights,
    architecture_of,
    named_architecture,
)
from keras_bert_kit.checkpoints.names import ENCODER, TF_TRANSFORMERS
from keras_bert_kit.config import BertConfig

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "tf_model.h5"

# A weight that every model has. What stands before it is the model's own name, before all weights.
_MARK = ENCODER[0].tf_transformers


def matches(folder: Path) -> bool:
    """Tells whether a folder looks like one that transformers' TFBert classes wrote."""
    return (folder / CONFIG_FILE).is_file() and (folder / WEIGHTS_FILE).is_file()


def read(folder: Path) -> Checkpoint:
    """Reads a checkpoint.

    Args:
        folder: A folder with `config.json`, `tf_model.h5` and, if there is one, a tokenizer.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or the model is not a BERT.
    """
    config = BertConfig.from_file(folder / CONFIG_FILE)
    path = folder / WEIGHTS_FILE
    shapes = _shapes(path)
    names = _names(path, shapes)

    def read_one(name: str) -> np.ndarray:
        with _opened(path, name) as file:
            return file[names[name]][()]

    weights = Weights(
        TF_TRANSFORMERS, config, {name: shapes[key] for name, key in names.items()}, read_one
    )
    return Checkpoint(
        str(folder),
        config,
        weights,
        tf1.read_tokenizer(folder),
        named_architecture(folder / CONFIG_FILE).removeprefix("TF") or architecture_of(weights),
    )


@contextmanager
def _opened(path: Path, what: str = "") -> Iterator:
    """Opens a file of weights, and says which one it is where the reading fails."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    # h5py tells most damages with OSError, and those of a tree's nodes with the others.
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the file cannot be opened at all
        raise ValueError(
            f"{path} must be a whole HDF5 file. Received: {f'{what}: ' if what else ''}{error}. "
            "Copy it again."
        ) from error


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Gives the shapes of the arrays by their path in the file."""
    shapes = {}

    def look(key, item):
        if hasattr(item, "shape"):
            shapes[str(key)] = item.shape  # bytes where the name is damaged

    with _opened(path) as file:
        file.visititems(look)
    return shapes


def _names(path: Path, keys) -> dict[str, str]:
    """Gives the paths in the file by name below the model.

    A path is the layer that the weight is saved for, then the weight's name. A weight that two
    layers share, as the token table and the masked-LM head do, is there twice.
    """
    plain = {key: key.partition("/")[2].removesuffix(":0") for key in keys}
    marked = (f"/{name}" for name in plain.values())
    prefixes = {name.removesuffix(_MARK)[1:] for name in marked if name.endswith(f"/{_MARK}")}
    if len(prefixes) != 1:
        raise ValueError(
            f"{path} must hold one BERT of transformers' TFBert classes, with {_MARK}. "
            f"Found: {', '.join(sorted(prefixes)) or 'none'}"
        )
    prefix = prefixes.pop()
    names: dict[str, str] = {}
    for key, name in plain.items():
        names.setdefault(name.removeprefix(prefix), key)
    return names
