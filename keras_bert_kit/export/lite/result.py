"""What an export to LiteRT gives back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert_kit.export.lite.comparison import Scores

TEXT_FILE, IDS_FILE = "model.text.tflite", "model.ids.tflite"


@dataclasses.dataclass(frozen=True)
class Made:
    """One model, before it is written.

    Attributes:
        format: Its weights and activations, in words.
        content: The file.
        scores: It beside the Keras model.
        signature: The signature to take the time of.
        inputs: Inputs of it, arrays by name.
    """

    format: str
    content: bytes
    scores: Scores
    signature: str
    inputs: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class LiteRTModel:
    """One .tflite file.

    Attributes:
        format: Its weights and activations, in words.
        bytes: Its size.
        milliseconds: Median time for the first text on one thread.
        scores: It beside the Keras model.
    """

    format: str
    bytes: int
    milliseconds: float
    scores: Scores


@dataclasses.dataclass(frozen=True)
class LiteRTExport:
    """What `litert` wrote.

    Attributes:
        path: The folder.
        quantize: The format that was asked for.
        max_length: Longest sequence in tokens.
        labelled: Whether the texts of the comparison had labels.
        models: The models by file name.
        notes: What has to be known, in sentences.
    """

    path: Path
    quantize: str
    max_length: int
    labelled: bool
    models: dict[str, LiteRTModel]
    notes: list[str]
