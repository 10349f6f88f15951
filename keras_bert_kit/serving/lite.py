"""A LiteRT model of texts as functions, with the answers that a SavedModel gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_bert_kit.config import BertConfig
from keras_bert_kit.interpreter import LiteModel
from keras_bert_kit.serving.columns import COLUMNS, in_order

#: All that a classifier of texts gives.
_NUMBERS = {"probabilities", "scores"}

#: The file in a folder that `export.litert` wrote.
TEXT_FILE = "model.text.tflite"


def is_lite_model(path: str | Path) -> bool:
    """Tells whether a path is a LiteRT model, or a folder with a model of texts."""
    path = Path(path)
    return path.suffix == ".tflite" or (path / TEXT_FILE).is_file()


def lite_functions(path: str | Path) -> dict[str, Callable]:
    """Gives a model's functions by signature name, from strings (B,) to arrays.

    Args:
        path: `model.text.tflite`, beside which lies `config.json`; or the folder with both.

    Raises:
        FileNotFoundError: A file is missing.
        ImportError: ai-edge-litert is not installed.
        ValueError: The file is no LiteRT model, or none that takes texts.
    """
    path = Path(path)
    path = path if path.suffix == ".tflite" else path / TEXT_FILE
    model = LiteModel(path)
    config_file = path.with_name("config.json")
    if not config_file.is_file():
        raise FileNotFoundError(
            f"{config_file} must lie beside the model, for it names the classes. Export it anew"
        )
    config = BertConfig.from_file(config_file)
    functions = {
        name: _function(model, name, inputs["inputs"], config)
        for name, inputs in model.signatures.items()
        if set(inputs["inputs"]) <= set(COLUMNS) and name in ("serving_default", "pair")
    }
    if "serving_default" not in functions:
        raise ValueError(
            f"{path} must be the model of texts, {TEXT_FILE}. Received: signatures "
            f"{', '.join(model.signatures)}"
        )
    return functions


def _function(model: LiteModel, signature: str, names: list[str], config: BertConfig) -> Callable:
    def run(**columns):
        outputs = model.run(signature, **{name: np.asarray(v) for name, v in columns.items()})
        if outputs.keys() <= _NUMBERS:
            return _answer(next(iter(outputs.values())), config)
        return outputs

    run.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in in_order(names)]
    )
    return run


def _answer(numbers: np.ndarray, config: BertConfig) -> dict[str, np.ndarray]:
    """Gives the outputs of a SavedModel's signature, for numbers (B, C)."""
    kind = config.problem_type or "single_label_classification"
    names = np.array([name.encode() for name in config.label_names], object)
    labels = np.tile(names, (len(numbers), 1))
    if kind == "regression":
        if config.num_labels == 1:
            return {"score": numbers[:, 0]}
        return {"labels": labels, "scores": numbers}
    every = {"labels": labels, "probabilities": numbers}
    if kind != "single_label_classification":
        return every
    return {"label": names[numbers.argmax(axis=-1)], "score": numbers.max(axis=-1), **every}
