"""The models that a format may end as, the one that was asked for first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from keras_bert_kit.data import Examples
from keras_bert_kit.export.lite.comparison import ids_inputs
from keras_bert_kit.export.lite.graphs import LiteClassifier, copy_of, text_model
from keras_bert_kit.export.lite.quantization import (
    CALIBRATED,
    Calibrated,
    dynamic_int8,
    with_int8_embeddings,
)

#: How many texts activations are measured on, at least and at most.
FEWEST_TEXTS, MOST_TEXTS = 32, 128
_FLOATS = {"none": "float32", "float16": "float16"}  # formats, and what their weights are


class Candidates:
    """LiteRT models of a classifier, each made when it is asked for.

    Args:
        served: The classifier.
        quantize: One of the formats.
        calibration: Texts that activations are measured on.
        on_step: Is called with a few words as each step begins.
    """

    def __init__(
        self,
        served: LiteClassifier,
        quantize: str,
        calibration: Examples,
        on_step: Callable[[str], None],
    ):
        self._served, self._quantize = served, quantize
        self._calibration, self._on_step = calibration, on_step

    def of_texts(self) -> Iterator[tuple[str, bytes]]:
        """Gives the model of texts, with its format in words."""
        self._on_step("Converting the model of texts")
        if self._quantize in _FLOATS:
            yield _FLOATS[self._quantize], text_model(self._source, self._quantize == "float16")
        else:
            yield "dynamic-int8", dynamic_int8(text_model(self._source))

    def of_tokens(self) -> Iterator[tuple[str, bytes]]:
        """Gives models of tokens, with their formats in words."""
        self._on_step("Converting the model of tokens")
        if self._quantize in _FLOATS:
            yield _FLOATS[self._quantize], self._source.ids_model(self._quantize == "float16")
            return
        model = self._source.ids_model()
        if self._quantize in CALIBRATED:
            self._on_step("Measuring activations")
            rows = range(min(len(self._calibration), MOST_TEXTS))
            calibrated = Calibrated(
                model,
                bits=CALIBRATED[self._quantize],
                inputs=[ids_inputs(self._source, self._calibration, row) for row in rows],
                blocks=self._served.model.config.num_hidden_layers,
            )
            yield self._quantize, calibrated.everywhere()
            in_products = f"{self._quantize} in matrix products"
            yield in_products, calibrated.in_products()
            self._on_step("Measuring each block's harm")
            for left_out, content in calibrated.layer_by_layer():
                yield f"{in_products} {left_out}", content
        yield "dynamic-int8", dynamic_int8(model)

    @functools.cached_property
    def _source(self) -> LiteClassifier:
        """What is converted."""
        length = self._served.tokenizer.max_length
        model = copy_of(self._served.model, length)
        if self._quantize not in _FLOATS:
            with_int8_embeddings(model)
        return LiteClassifier(model, length)
