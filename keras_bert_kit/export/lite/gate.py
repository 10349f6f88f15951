"""Which models may be written: those that lose little accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from keras_bert_kit.export.lite.comparison import Scores
from keras_bert_kit.interpreter import LiteModel

#: By how many points of accuracy a format may fall below the Keras model.
MAX_DROP = {"none": 0.3, "float16": 0.3, "dynamic-int8": 0.5, "int8": 1.0, "int16x8": 1.0}


class Gate:
    """Lets a model through whose accuracy is near the Keras model's.

    Args:
        max_drop: By how many points it may be lower.
        allow_drop: Whether a model that falls further passes, with a note.
        tolerance: Largest difference of a float32 model's numbers.
        on_step: Is called with a few words as each step begins.

    Attributes:
        notes: What was refused or let through in spite of it, in sentences.
    """

    def __init__(
        self,
        max_drop: float,
        allow_drop: bool,
        tolerance: float,
        on_step: Callable[[str], None],
    ):
        self._max_drop, self._allow_drop = max_drop, allow_drop
        self._tolerance, self._on_step = tolerance, on_step
        self.notes: list[str] = []

    def first_to_pass(
        self, candidates: Iterator[tuple[str, bytes]], compare: Callable[[LiteModel], Scores]
    ) -> tuple[str, bytes, Scores]:
        """Gives the first of some models, with their formats, that passes."""
        refused = []
        for words, content in candidates:
            self._on_step(f"Comparing {words} with Keras")
            scores = compare(LiteModel(content))
            if words == "float32" and scores.largest_difference > self._tolerance:
                raise RuntimeError(
                    "The float32 model must answer as the Keras model does, within "
                    f"{self._tolerance}. "
                    f"Received: a difference of {scores.largest_difference:.2g}. "
                    "Please report this."
                )
            if scores.drop <= self._max_drop or self._allow_drop:
                break
            refused.append(f"{words} loses {scores.drop:.2f}")
        else:
            raise ValueError(
                f"The accuracy must not fall by more than {self._max_drop} points. Received: "
                f"{'; '.join(refused)}. Choose another format, or allow it (max_drop, allow_drop; "
                "--max-drop, --allow-drop on the command line)."
            )
        if refused:
            self.notes.append(
                f"More than {self._max_drop} points of accuracy were lost, and so the model of "
                f"tokens is {words}: {'; '.join(refused)}."
            )
        if scores.drop > self._max_drop:
            self.notes.append(
                f"{words} loses {scores.drop:.2f} points of accuracy, more than {self._max_drop}; "
                "it was allowed."
            )
        return words, content, scores
