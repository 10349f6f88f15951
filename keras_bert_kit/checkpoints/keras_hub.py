"""KerasHub's layout: a preset folder or handle, read through keras-nlp's own loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_kit.checkpoints.names import ENCODER, rows
from keras_bert_kit.config import BertConfig


def is_preset(folder: Path) -> bool:
    """Tells whether a folder is a KerasHub preset."""
    return (folder / "metadata.json").is_file() and (folder / "model.weights.h5").is_file()


def read(preset: str | Path) -> tuple[BertConfig, dict[str, np.ndarray], dict[str, Any]]:
    """Reads config, weights and tokenizer of a `BertBackbone` preset.

    KerasHub's backbone runs the tanh form of GELU, so the config says `gelu_new`.

    Args:
        preset: A preset folder, or a handle such as `kaggle://keras/bert/keras/bert_tiny_en_uncased`.

    Returns:
        The config, the weights by our path, and the arguments of `BertTokenizer`.

    Raises:
        ValueError: The preset is not that of a BERT.
    """
    import keras_nlp  # heavy, and only wanted here

    _check_is_bert(preset)
    backbone = keras_nlp.models.BertBackbone.from_preset(str(preset))
    tokenizer = keras_nlp.models.BertTokenizer.from_preset(str(preset))
    config = _config(backbone.get_config())
    found = {variable.path: np.asarray(variable.value) for variable in backbone.variables}
    weights = {
        row.path: _reshape(found[row.keras_hub], row.path, config)
        for row in rows(ENCODER, config.num_hidden_layers)
        if row.keras_hub
    }
    return (
        config,
        weights,
        {
            "vocab": tokenizer.get_vocabulary(),
            "do_lower_case": tokenizer.lowercase,
            "model_max_length": config.max_position_embeddings,
        },
    )


def _check_is_bert(preset: str | Path):
    config = Path(preset) / "config.json"
    if config.is_file():
        name = json.loads(config.read_text(encoding="utf-8")).get("class_name")
        if name != "BertBackbone":
            raise ValueError(f"{preset} must be the preset of a BertBackbone. Received: {name!r}")


def _config(values: dict[str, Any]) -> BertConfig:
    return BertConfig(
        vocab_size=values["vocabulary_size"],
        hidden_size=values["hidden_dim"],
        num_hidden_layers=values["num_layers"],
        num_attention_heads=values["num_heads"],
        intermediate_size=values["intermediate_dim"],
        hidden_act="gelu_new",
        hidden_dropout_prob=values["dropout"],
        attention_probs_dropout_prob=values["dropout"],
        max_position_embeddings=values["max_sequence_length"],
        type_vocab_size=values["num_segments"],
    )


def _reshape(array: np.ndarray, path: str, config: BertConfig) -> np.ndarray:
    """Joins the head axes that KerasHub keeps apart: [H, N, D] or [N, D, H] to [H, H]."""
    width = config.hidden_size
    if "/attention/" not in path:
        return array
    return array.reshape((width, width) if path.endswith("kernel") else (width,))
