"""Weights and activations of a LiteRT model in fewer bits."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_bert_kit.interpreter import LiteModel
from keras_bert_kit.models import BertForSequenceClassification

FORMATS = ("none", "float16", "dynamic-int8", "int8", "int16x8")
#: Formats whose activations are whole numbers, so that their ranges must be known beforehand.
CALIBRATED = {"int8": 8, "int16x8": 16}
_EVERYTHING, _NOTHING = ".*", "no_quantize"


def with_int8_embeddings(model: BertForSequenceClassification):
    """Turns a model's token embeddings into int8, with a scale for each token.

    The quantizer of LiteRT leaves such tables alone, and they are half of a small model.
    """
    model.bert.embeddings.word_embeddings.quantize("int8")


def dynamic_int8(model: bytes) -> bytes:
    """Gives a model with int8 weights, which quantizes activations as they come.

    Args:
        model: A float32 model.
    """
    return _quantized(model, _recipes().dynamic_wi8_afp32())


class Calibrated:
    """A model of tokens whose activations become whole numbers, more of them or fewer.

    Args:
        model: A float32 model with one signature.
        bits: 8 or 16, of the activations; weights have 8.
        inputs: Inputs that are typical of those to come.
        blocks: Blocks of the encoder.
    """

    def __init__(
        self, model: bytes, bits: int, inputs: Sequence[Mapping[str, np.ndarray]], blocks: int
    ):
        self._model, self._bits, self._inputs, self._blocks = model, bits, inputs, blocks
        with _quietly():
            self._ranges = _quantizer(model, self._recipe(["ALL_SUPPORTED"])).calibrate(
                {"serving_default": inputs}, num_threads=1
            )

    def everywhere(self) -> bytes:
        """Gives the model with whole numbers in every operation that has them."""
        return self._quantized(self._recipe(["ALL_SUPPORTED"]))

    def in_products(self, but: Sequence[int] = ()) -> bytes:
        """Gives the model with whole numbers in matrix products alone.

        Args:
            but: Blocks of the encoder whose activations are quantized as they come instead.
        """
        return self._quantized(self._recipe(["FULLY_CONNECTED", "BATCH_MATMUL"], but))

    def layer_by_layer(self) -> Iterator[tuple[str, bytes]]:
        """Gives models with ever fewer blocks in whole numbers, the most harmful left out first.

        Yields:
            What was left out, in words, and the model.
        """
        every = range(self._blocks)
        expected = self._answers(self._model)
        harm = [
            np.abs(self._answers(self.in_products([b for b in every if b != block])) - expected)
            for block in every
        ]
        worst_first = sorted(every, key=lambda block: -harm[block].mean())
        for count in range(1, self._blocks):
            but = sorted(worst_first[:count])
            yield f"but for blocks {', '.join(map(str, but))}", self.in_products(but)

    def _answers(self, model: bytes) -> np.ndarray:
        running = LiteModel(model)
        answers = (running.run("serving_default", **inputs) for inputs in self._inputs)
        return np.concatenate([next(iter(answer.values())) for answer in answers])

    def _recipe(self, operations: Sequence[str], but: Sequence[int] = ()) -> list[dict[str, Any]]:
        manager, names = _manager()
        for name in operations:
            manager.add_static_config(
                regex=_EVERYTHING,
                operation_name=names[name],
                activation_num_bits=self._bits,
                weight_num_bits=8,
            )
        for block in but:
            # An operation's name begins with what was folded into it, the block before among that.
            regex = rf".*/block_{block}(_\d+)?/(?!.*/block_)"
            manager.add_dynamic_config(
                regex=regex, operation_name=names["FULLY_CONNECTED"], num_bits=8
            )
            manager.add_quantization_config(
                regex=regex, operation_name=names["BATCH_MATMUL"], algorithm_key=_NOTHING
            )
        manager.add_quantization_config(  # answers stay float32
            regex=_EVERYTHING, operation_name=names["OUTPUT"], algorithm_key=_NOTHING
        )
        return manager.get_quantization_recipe()

    def _quantized(self, recipe) -> bytes:
        return _quantized(self._model, recipe, self._ranges)


def _quantized(model: bytes, recipe, ranges=None) -> bytes:
    with _quietly():
        result = _quantizer(model, recipe).quantize(
            ranges, enable_progress_bar=False, enable_progress_report=False
        )
    return bytes(result.quantized_model)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hides the quantizer's progress bars, and a warning that it keeps all tensors."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all")
        yield


def _quantizer(model: bytes, recipe):
    from ai_edge_quantizer.quantizer import Quantizer

    return Quantizer(model, recipe)


def _manager():
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    return RecipeManager(), TFLOperationName


def _recipes():
    from ai_edge_quantizer import recipe

    return recipe
