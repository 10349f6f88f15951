"""Checks of what the layers are made and called with, and the words of their errors."""

from __future__ import annotations

import numbers

import keras
from keras import ops


def check_rate(name: str, rate):
    """Checks a dropout rate.

    Args:
        name: The argument's name, for the error.
        rate: What was given.

    Raises:
        ValueError: It is no number that is at least 0 and below 1.
    """
    if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise ValueError(f"{name} must be at least 0 and below 1. Received: {rate!r}")


def check_indices(name: str, ids, limit_name: str, limit: int):
    """Checks ids that a table is read with.

    The values are looked at where they are known, that is in eager mode. A graph cannot look at
    them, and what a number past the end then gives depends on the device.

    Args:
        name: The argument's name, for the error.
        ids: int tensor of any shape.
        limit_name: Name of the argument that gave the table its size.
        limit: Number of rows of the table.

    Raises:
        TypeError: The dtype is not an integer one.
        ValueError: A known value is below 0, or not below `limit`.
    """
    dtype = _dtype(ids)
    if "int" not in dtype:
        raise TypeError(
            f"{name} must have an integer dtype. Received: dtype={dtype}. "
            'In a functional model write keras.Input(..., dtype="int32").'
        )
    values = _known_values(ids)
    if values is None or not values.size:
        return
    smallest, largest = int(values.min()), int(values.max())
    if smallest < 0 or largest >= limit:
        raise ValueError(
            f"{name} must be at least 0 and below {limit_name}={limit}. Received: "
            f"{smallest if smallest < 0 else largest}, in values from {smallest} to {largest}. "
            f"Use the tokenizer that belongs to the model, or a larger {limit_name}."
        )


def check_one_given(**arguments):
    """Checks that exactly one of several arguments is given.

    Args:
        **arguments: What was given, `None` for nothing.

    Raises:
        ValueError: None is given, or more than one.
    """
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"Exactly one of {' and '.join(arguments)} must be given. "
            f"Received: {' and '.join(given) or 'none'}"
        )


def check_vectors(name: str, vectors, size_name: str, size: int):
    """Checks the shape of vectors, one for each token.

    Args:
        name: The argument's name, for the error.
        vectors: float tensor (B, S, `size`).
        size_name: Name of the argument that gave the vectors their size.
        size: The size.

    Raises:
        ValueError: The tensor has another shape.
    """
    if len(vectors.shape) != 3 or vectors.shape[-1] != size:
        raise ValueError(
            f"{name} must have the shape (batch, sequence, {size_name}={size}). "
            f"Received: shape={tuple(vectors.shape)}"
        )


def check_mask(attention_mask):
    """Checks dtype and rank of an attention mask.

    Args:
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a key may be seen; or
            float tensor (B, 1, 1, S) or (B, 1, S, S), which is added to the scores.

    Raises:
        TypeError: The dtype is neither an integer one nor bool, nor float with four axes.
        ValueError: The mask has another rank.
    """
    dtype = _dtype(attention_mask)
    if "float" in dtype and len(attention_mask.shape) == 4:
        return
    if dtype != "bool" and "int" not in dtype:
        raise TypeError(
            "attention_mask must have an integer or bool dtype, nonzero where a token may be seen. "
            f'Received: dtype={dtype}. Turn it with keras.ops.cast(attention_mask, "bool").'
        )
    if len(attention_mask.shape) not in (2, 3):
        raise ValueError(
            "attention_mask must have the shape (batch, sequence) or (batch, sequence, sequence). "
            f"Received: shape={tuple(attention_mask.shape)}"
        )


def _dtype(tensor) -> str:
    return keras.backend.standardize_dtype(tensor.dtype)


def _known_values(tensor):
    """Gives the values, or `None` in a graph, under a trace and for a symbolic tensor."""
    if isinstance(tensor, keras.KerasTensor):
        return None
    try:
        return ops.convert_to_numpy(tensor)
    except (NotImplementedError, TypeError):  # of TensorFlow's graphs and of JAX' tracers
        return None
