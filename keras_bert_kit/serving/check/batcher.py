"""What the batcher of TensorFlow Serving makes of requests that it runs together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

PARAMETERS = "batching_params.pbtxt"

Arrays = Mapping[str, np.ndarray]


def allowed_batch_sizes(path: str | Path) -> list[int]:
    """Gives the batch sizes that a model asks its server for.

    Args:
        path: Folder of the SavedModel, with or without a `batching_params.pbtxt`.

    Returns:
        The sizes, smallest first; the powers of two up to 64 where none are asked for.
    """
    file = Path(path) / PARAMETERS
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    lines = re.findall(r"^[ \t]*allowed_batch_sizes[ \t]*:[ \t]*([\d, \t\[\]]+)", text, re.M)
    found = sorted({int(number) for line in lines for number in re.findall(r"\d+", line)})
    return found or [2**power for power in range(7)]


def merged(tasks: Sequence[Arrays], sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Merges requests as with `pad_variable_length_inputs: true`.

    Each tensor is padded with its own first element, whatever it means, up to the longest of the
    batch. Then the first row of the last request is repeated up to the next allowed batch size.

    Args:
        tasks: The inputs of each request, by name.
        sizes: The batch sizes that are allowed, smallest first.

    Returns:
        The inputs of the one request that is run.
    """
    batch = {}
    for name in tasks[0]:
        tensors = [task[name] for task in tasks]
        longest = np.max([tensor.shape for tensor in tensors], axis=0)[1:]
        tensors = [_padded(tensor, longest) for tensor in tensors]
        rows = sum(map(len, tensors))
        size = next((size for size in sizes if size >= rows), rows)
        batch[name] = np.concatenate([*tensors, np.repeat(tensors[-1][:1], size - rows, axis=0)])
    return batch


def split(outputs: Arrays, rows: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """Gives each request its rows of a batch's answer.

    Args:
        outputs: The answer, by name.
        rows: Rows of each request, in the order of `merged`.

    Returns:
        The answer to each.
    """
    ends = np.cumsum(rows)
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for end, size in zip(ends, rows, strict=True)
    ]


def _padded(tensor: np.ndarray, longest: np.ndarray) -> np.ndarray:
    widths = [
        (0, 0),
        *((0, most - size) for most, size in zip(longest, tensor.shape[1:], strict=True)),
    ]
    return np.pad(tensor, widths, constant_values=tensor.flat[0])
