"""Reading `.keras` files; importing this module registers every class that one can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

import keras_bert_kit.models  # noqa: F401


def load_model(path: str | Path, **kwargs: Any) -> keras.Model:
    """Reads a `.keras` file that holds layers or models of the kit.

    The same as `keras.models.load_model` once the kit's classes are registered, which importing
    the root package after Keras does.

    Args:
        path: The file.
        **kwargs: Further arguments of `keras.models.load_model`.
    """
    return keras.models.load_model(path, **kwargs)
