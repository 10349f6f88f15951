"""Hugging Face's layout: `config.json` and `model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert_kit.checkpoints.names import ENCODER, HEADS, convert, rows
from keras_bert_kit.checkpoints.tensors import read_tensors, write_tensors
from keras_bert_kit.config import BertConfig

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

# A buffer of old versions, the numbers 0 to 511, and the decoder of the masked-LM head, tied to
# the token table and to `cls.predictions.bias`: none is a weight of its own.
_NOT_WEIGHTS = (
    "embeddings.position_ids",
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
)


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
    tensors = _read_weights(_existing(folder, WEIGHTS_FILE))
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
        ValueError: A weight has no name in this layout.
        OSError: The files cannot be written, for example for want of space.
    """
    encoder = {row.path for row in rows(ENCODER, config.num_hidden_layers)}
    table = {row.path: row for row in rows(ENCODER + HEADS, config.num_hidden_layers)}
    unknown = [path for path in weights if path not in table]
    if unknown:
        raise ValueError(
            f"Each weight must have a name in Hugging Face's layout. Received: {', '.join(unknown)}"
        )
    tensors = {}
    for path, array in weights.items():
        prefix = "bert." if prefixed and path in encoder else ""
        tensors[prefix + table[path].huggingface] = convert(array, table[path].kind)
    values = {"architectures": [architecture], **config.to_dict()}
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    write_tensors(folder / WEIGHTS_FILE, tensors)


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(f"{folder} must hold {name}. Found: {there}")
    return path


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    weights: dict[str, np.ndarray] = {}
    for name, array in read_tensors(path).items():
        plain = _plain_name(name)
        if plain in weights:
            raise ValueError(
                f"{path} must hold each weight once. Received: {plain!r} under two names"
            )
        if not plain.endswith(_NOT_WEIGHTS):
            weights[plain] = array
    return weights


def _plain_name(name: str) -> str:
    """Takes the `bert.` prefix off, and gives old LayerNorm names their new form."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )
