"""Files of named arrays, in the safetensors format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ml_dtypes  # noqa: F401, makes NumPy know bfloat16
import numpy as np
import safetensors
import safetensors.numpy


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a file of named arrays.

    Args:
        path: The file.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} must be a whole safetensors file. Received: {error}. Copy it again."
        ) from error


def write_tensors(path: str | Path, tensors: Mapping[str, np.ndarray]):
    """Writes a file of named arrays.

    Args:
        path: The file.
        tensors: The arrays by name.

    Raises:
        OSError: The file cannot be written, for example for want of space.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    try:
        safetensors.numpy.save_file(arrays, path, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        raise OSError(f"{path} could not be written: {error}") from error
