"""What a model returns: a dict that is also read by attribute and by number."""

from __future__ import annotations

from typing import Any

import optree


class ModelOutput(dict):
    """Tensors by name, in a fixed order.

    `outputs["logits"]`, `outputs.logits` and `outputs[0]` are the same. In Keras' functional API a
    model gives a plain dict, since Keras wants losses and outputs to be of one type.

    Example:
        >>> outputs = ModelOutput(logits=[1.0, 2.0])
        >>> outputs.logits == outputs[0] == outputs["logits"]
        True
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"The output must be one of {', '.join(self)}. Received: {name!r}"
            ) from None

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, slice)):
            return tuple(self.values())[key]
        return super().__getitem__(key)


def _flatten(output: ModelOutput) -> tuple[list[Any], tuple[str, ...], list[str]]:
    names = sorted(output)  # the order in which Keras names the outputs of a dict
    return [output[name] for name in names], tuple(output), names


def _unflatten(order: tuple[str, ...], values: Any) -> ModelOutput:
    by_name = dict(zip(sorted(order), values, strict=True))
    return ModelOutput((name, by_name[name]) for name in order)


# Keras takes a class that it does not know for a single tensor.
optree.register_pytree_node(ModelOutput, _flatten, _unflatten, namespace="keras")
