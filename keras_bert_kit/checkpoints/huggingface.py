"""Hugging Face's layout: `config.json` and `model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from keras_bert_kit.checkpoints.names import ENCODER, HEADS, convert, rows
from keras_bert_kit.config import BertConfig

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

# A buffer of old versions, the numbers 0 to 511, and the decoder of the masked-LM head, tied to
# the token table: neither is a weight of its own.
_NOT_WEIGHTS = ("embeddings.position_ids", "cls.predictions.decoder.weight")


def read(folder: Path) -> tuple[BertConfig, dict[str, np.ndarray]]:
    """Reads config and weights.

    Args:
        folder: A folder with `config.json` and `model.safetensors`.

    Returns:
        The config, and the weights by our path without the encoder's prefix. A tensor that the
        table does not know keeps the name that it has in the file.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or the config is not that of a BERT.
    """
    config = BertConfig.from_file(_existing(folder, CONFIG_FILE))
    tensors = _read_tensors(_existing(folder, WEIGHTS_FILE))
    by_name = {row.huggingface: row for row in rows(ENCODER + HEADS, config.num_hidden_layers)}
    weights = {}
    for name, array in tensors.items():
        row = by_name.get(name)
        weights[row.path if row else name] = convert(array, row.kind) if row else array
    return config, weights


def write(
    folder: Path,
    config: BertConfig,
    weights: Mapping[str, np.ndarray],
    architecture: str,
    prefixed: bool,
):
    """Writes config and weights.

    Args:
        folder: An existing folder.
        config: The model's config.
        weights: Arrays by our path without the encoder's prefix.
        architecture: The model's class name, as `architectures` of `config.json` wants it.
        prefixed: Whether encoder names get `bert.`, as in all models that have a head.

    Raises:
        OSError: The files cannot be written, for example for want of space.
    """
    tensors = {}
    encoder = {row.path for row in rows(ENCODER, config.num_hidden_layers)}
    for row in rows(ENCODER + HEADS, config.num_hidden_layers):
        if row.path in weights:
            prefix = "bert." if prefixed and row.path in encoder else ""
            tensors[prefix + row.huggingface] = np.ascontiguousarray(
                convert(weights[row.path], row.kind)
            )
    values = {"architectures": [architecture], **config.to_dict()}
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    try:
        safetensors.numpy.save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise OSError(f"{folder / WEIGHTS_FILE} could not be written: {error}") from error


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(f"{folder} must hold {name}. Found: {there}")
    return path


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {
                _plain_name(name): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118, a file is no mapping
                if not name.endswith(_NOT_WEIGHTS)
            }
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} must be a whole safetensors file. Received: {error}. Copy it again."
        ) from error


def _plain_name(name: str) -> str:
    """Takes the `bert.` prefix off, and gives old LayerNorm names their new form."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )
