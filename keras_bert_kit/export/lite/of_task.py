"""The LiteRT model of a task: texts in, its answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_kit.export.lite.comparison import Scores
from keras_bert_kit.export.lite.gate import Gate
from keras_bert_kit.export.lite.graphs import MASKED, copy_of, lite_signatures, text_model
from keras_bert_kit.export.lite.quantization import (
    CALIBRATED,
    dynamic_int8,
    with_int8_embeddings,
)
from keras_bert_kit.export.lite.result import TEXT_FILE, Made
from keras_bert_kit.export.lite.tokenizer import LiteTokenizer
from keras_bert_kit.export.warm_up import warm_up_requests
from keras_bert_kit.interpreter import LiteModel
from keras_bert_kit.messages import Request, as_array
from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tasks import task_of
from keras_bert_kit.tasks.served import Served

# Of a hundred float32 answers, those that may be others: where two are equally probable, the last
# digits decide.
_SAME_PROBABILITY = 1.0


class OfTask:
    """Makes the model of texts, and compares its answers with the Keras model's.

    Args:
        served: What a model of one of the tasks computes.
        quantize: "none", "float16" or "dynamic-int8".
        texts: Texts to compare on; `None` takes the kit's own.

    Attributes:
        served: The same.
        labelled: False: answers are compared, not what is right.

    Raises:
        ValueError: LiteRT lacks what the model needs, or the format is for classifiers of texts.
    """

    labelled = False

    def __init__(self, served: Served, quantize: str, texts: Sequence[str] | None):
        self.served, self._task = served, task_of(served.model)
        self._quantize, self._texts = quantize, texts
        self._refuse(served.model, quantize)
        self._tokenizer = LiteTokenizer.like(served.tokenizer)

    def max_drop(self, asked: float | None) -> float:
        """By how many points the share of same answers may fall: any, unless it is said."""
        return 100.0 if asked is None else asked

    def models(self, gate: Gate, path: Path, on_step: Callable[[str], None]) -> dict[str, Made]:
        """Makes the model, by the name of its file."""
        on_step("Answering the texts with Keras")
        names = lite_signatures(self.served)
        every = warm_up_requests(self.served, self._texts)
        requests = [request for request in every if request.signature in names]

        def compare(model: LiteModel) -> Scores:
            scores = scores_of(model, requests)
            if self._quantize == "none" and scores.drop > _SAME_PROBABILITY:
                raise RuntimeError(
                    "The float32 model must answer as the Keras model does. Received: other "
                    f"answers for {scores.drop:.2f} % of {scores.texts} rows. Please report this."
                )
            return scores

        words, content, scores = gate.first_to_pass(self._candidates(on_step), compare)
        first = next(one for one in requests if one.signature == "serving_default")
        return {TEXT_FILE: Made(words, content, scores, first.signature, first.inputs)}

    def write(self, folder: Path):
        """Writes the tokenizer's files, beside the model: of the one that is inside it."""
        tokenizer = self.served.model.tokenizer
        as_text = self.served.tokenizer.split_special_tokens
        (tokenizer.as_text() if as_text else tokenizer).save_pretrained(folder)

    def card(self) -> tuple[str, dict[str, Any]]:
        """Gives the template of the card, and what belongs into it."""
        specs = {name: inputs for name, (_, inputs) in self.served.functions().items()}
        signatures = [
            f"`{name}({', '.join(spec.name for spec in specs[name])})`"
            for name in lite_signatures(self.served)
        ]
        return "litert_task.md", {
            "task": self._task.name,
            "inputs": ", ".join(
                f"{spec.name}={_EXAMPLES[spec.shape.rank]}" for spec in specs["serving_default"]
            ),
            "signatures": ", ".join(signatures),
            "answers": " ".join(type(self.served).__doc__.partition("\n\n")[2].split()),
        }

    def _candidates(self, on_step: Callable[[str], None]) -> Iterator[tuple[str, bytes]]:
        """Gives the model, with its format in words."""
        on_step("Converting the model of texts")
        model = copy_of(self.served.model, self._tokenizer.max_length)
        is_float = self._quantize in ("none", "float16")
        if not is_float:
            with_int8_embeddings(model)
        served = self._task.served(model, self._tokenizer, masked=MASKED)
        content = text_model(served, self._quantize == "float16")
        if is_float:
            yield {"none": "float32"}.get(self._quantize, self._quantize), content
        else:
            yield "dynamic-int8", dynamic_int8(content)

    def _refuse(self, model: PretrainedModel, quantize: str):
        name = type(model).__name__
        if quantize in CALIBRATED:
            raise ValueError(
                f"{quantize} is for classifiers of texts, for the quantizer cannot run a tokenizer "
                f"to measure activations. Take dynamic-int8. Received: {name}"
            )
        if lacks := self._task.lite_lacks(model):
            raise ValueError(f"LiteRT has no {lacks}. Export a SavedModel. Received: {name}")


_EXAMPLES = {
    1: 'np.array([b"A text."], object)',
    2: 'np.array([[b"One.", b"Other."]], object)',
}


def scores_of(model: LiteModel, requests: Sequence[Request]) -> Scores:
    """Compares a LiteRT model's answers with those that are expected.

    Args:
        model: The model.
        requests: Requests with answers.

    Returns:
        How many rows the requests have; the share of rows for which all but the numbers is equal,
        as the accuracy; and how far the numbers of these differ.
    """
    same, gaps = [], [0.0]
    for request in requests:
        found = model.run(request.signature, **request.inputs)
        answer = {name: as_array(array) for name, array in found.items()}
        for row in range(len(next(iter(request.inputs.values())))):
            equal, gap = _difference(_row(answer, row), _row(request.outputs, row))
            same.append(equal)
            if equal:
                gaps.append(gap)
    return Scores(
        texts=len(same),
        mean_difference=float(np.mean(gaps)),
        largest_difference=float(np.max(gaps)),
        accuracy=float(np.mean(same)),
        keras_accuracy=1.0,
    )


def _row(outputs: Mapping[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """Gives the answer for a row, without what stands behind the end of lists."""
    found = {}
    for name, array in outputs.items():
        group, dot, field = name.partition(".")
        is_list = dot and field != "count"
        found[name] = array[row][: outputs[f"{group}.count"][row]] if is_list else array[row]
    return found


def _difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]):
    """Tells whether all but the numbers is equal, and how far these differ."""
    gap = 0.0
    for name, want in expected.items():
        have = found[name]
        if np.shape(have) != np.shape(want):
            return False, 0.0
        if np.asarray(want).dtype.kind == "f":
            gap = max(gap, float(np.abs(have - want).max(initial=0.0)))
        elif not np.array_equal(have, want):
            return False, 0.0
    return True, gap
