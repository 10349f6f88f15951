"""Hugging Face's layout: `config.json`, a tokenizer, weights as safetensors or from PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert_kit.checkpoints import pytorch
from keras_bert_kit.checkpoints.checkpoint import (
    Checkpoint,
    Weights,
    architecture_of,
    named_architecture,
)
from keras_bert_kit.checkpoints.names import ENCODER, HEADS, HUGGINGFACE, rows
from keras_bert_kit.checkpoints.tensors import SafetensorsFile, write_tensors
from keras_bert_kit.config import BertConfig
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

# The files that may hold the weights, the first that is there counts, and how each is opened. An
# index names the files that the weights are spread over.
_WEIGHT_FILES = {
    WEIGHTS_FILE: SafetensorsFile,
    f"{WEIGHTS_FILE}.index.json": SafetensorsFile,
    "pytorch_model.bin": pytorch.PytorchFile,
    "pytorch_model.bin.index.json": pytorch.PytorchFile,
}

# A buffer of old versions, the numbers 0 to 511, and the decoder of the masked-LM head, tied to
# the token table and to `cls.predictions.bias`: none is a weight of its own.
_NOT_WEIGHTS = (
    "embeddings.position_ids",
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
)


def matches(folder: Path) -> bool:
    """Tells whether a folder looks like one of Hugging Face's."""
    return _weight_file(folder) is not None


def read(folder: Path) -> Checkpoint:
    """Reads a checkpoint.

    Args:
        folder: A folder with `config.json`, weights and a tokenizer.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or the model is not a BERT.
    """
    config = BertConfig.from_file(_existing(folder, CONFIG_FILE))
    tensors = _open_weights(folder)
    weights = Weights(
        HUGGINGFACE,
        config,
        {name: file.shapes[stored] for name, (file, stored) in tensors.items()},
        lambda name: tensors[name][0][tensors[name][1]],
    )
    return Checkpoint(
        str(folder),
        config,
        weights,
        BertTokenizer.from_pretrained(folder),
        named_architecture(folder / CONFIG_FILE) or architecture_of(weights),
    )


def write(folder: Path, checkpoint: Checkpoint):
    """Writes a checkpoint.

    Args:
        folder: An existing folder.
        checkpoint: What to write. Encoder names get `bert.` in all models that have a head.

    Raises:
        ValueError: A weight has no name in this layout.
        OSError: The files cannot be written, for example for want of space.
    """
    config, weights = checkpoint.config, checkpoint.weights
    encoder = {row.path for row in rows(ENCODER, config.num_hidden_layers)}
    table = {row.path: row for row in rows(ENCODER + HEADS, config.num_hidden_layers)}
    unknown = [path for path in weights if path not in table]
    if unknown:
        raise ValueError(
            f"Each weight must have a name in Hugging Face's layout. Received: {', '.join(unknown)}"
        )
    prefix = "" if checkpoint.architecture == "BertModel" else "bert."
    tensors = {
        (prefix if path in encoder else "") + table[path].huggingface: HUGGINGFACE.from_ours(
            array, table[path], config
        )
        for path, array in weights.items()
    }
    values = {"architectures": [checkpoint.architecture], **config.to_dict()}
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    write_tensors(folder / WEIGHTS_FILE, tensors)
    if checkpoint.tokenizer is not None:
        checkpoint.tokenizer.save_pretrained(folder)


def _weight_file(folder: Path) -> str | None:
    return next((name for name in _WEIGHT_FILES if (folder / name).is_file()), None)


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise FileNotFoundError(f"{folder} must hold {name}. Found: {there}")
    return path


def _open_weights(folder: Path) -> dict[str, tuple[Mapping[str, np.ndarray], str]]:
    """Gives the open file and the name in it of each tensor, by name without the prefix."""
    name = _weight_file(folder)
    open_file = _WEIGHT_FILES[name]
    if name.endswith(".index.json"):
        shards = _read_index(folder / name)
        files = {shard: open_file(_existing(folder, shard)) for shard in set(shards.values())}
        stored = {tensor: files[shard] for tensor, shard in shards.items()}
        absent = [tensor for tensor, file in stored.items() if tensor not in file.shapes]
        if absent:
            raise ValueError(
                f"{folder / name} must name tensors that its files hold. "
                f"Missing: {', '.join(absent)}"
            )
    else:
        file = open_file(folder / name)
        stored = dict.fromkeys(file.shapes, file)
    tensors: dict[str, tuple[Mapping[str, np.ndarray], str]] = {}
    for tensor, file in stored.items():
        plain = _plain_name(tensor)
        if plain in tensors:
            raise ValueError(
                f"{folder / name} must hold each weight once. Received: {plain!r} under two names"
            )
        if not plain.endswith(_NOT_WEIGHTS):
            tensors[plain] = (file, tensor)
    return tensors


def _read_index(path: Path) -> dict[str, str]:
    """Reads which file holds which tensor; the files lie beside the index."""
    try:
        shards = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        outside = sorted({s for s in shards.values() if s in ("", ".", "..") or Path(s).name != s})
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} must be a JSON object with a weight_map from tensor to file name. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if outside:
        raise ValueError(
            f"{path} must name files of its own folder. Received: {', '.join(map(repr, outside))}"
        )
    return shards


def _plain_name(name: str) -> str:
    """Takes the `bert.` prefix off, and gives old LayerNorm names their new form."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )
