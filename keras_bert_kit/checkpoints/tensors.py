"""Files of named arrays, in the safetensors format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes  # noqa: F401, makes NumPy know bfloat16
import numpy as np
import safetensors
import safetensors.numpy

# The numbers that weights and training states are made of, by the format's names for them.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


class SafetensorsFile(Mapping[str, np.ndarray]):
    """A file of named arrays, mapped into memory: each is read when its numbers are.

    Args:
        path: The file.

    Attributes:
        shapes: The arrays' shapes by name.

    Raises:
        ValueError: The file is damaged, or holds numbers of another kind.
    """

    def __init__(self, path: str | Path):
        self._path = path
        try:
            with safetensors.safe_open(path, framework="numpy"):  # checks header and length
                pass
        except safetensors.SafetensorError as error:
            raise ValueError(
                f"{path} must be a whole safetensors file. Received: {error}. Copy it again."
            ) from error
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        self._start = 8 + length
        self._entries = header
        self.shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        unknown = sorted({e["dtype"] for e in header.values()} - _DTYPES.keys())
        if unknown:
            raise ValueError(
                f"The arrays of {path} must be of one of the types {', '.join(_DTYPES)}. "
                f"Received: {', '.join(unknown)}"
            )

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        shape, dtype = self.shapes[name], np.dtype(_DTYPES[entry["dtype"]])
        if 0 in shape:
            return np.zeros(shape, dtype)
        # A map of its own, so that the file's pages leave the memory with the array.
        offset = self._start + entry["data_offsets"][0]
        return np.asarray(np.memmap(self._path, dtype, "r", offset, shape or (1,))).reshape(shape)

    def __contains__(self, name: object) -> bool:
        return name in self.shapes  # without reading it

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


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
