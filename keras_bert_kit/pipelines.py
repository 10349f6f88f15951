"""From a trained model, wherever it lies, to answers in plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_bert_kit.serving import Pipeline, is_lite_model, is_saved_model


def pipeline(model: Any, max_length: int | None = None) -> Pipeline:
    """Makes a function from texts to answers, a list of dicts.

    Args:
        model: A model of one of the tasks; or the path of a folder that `finetune` or
            `save_pretrained` wrote, of a SavedModel, or of what `export.litert` wrote (the folder,
            or `model.text.tflite` in it).
        max_length: Longest sequence in tokens, specials included; `None` takes the model's. An
            artefact has its own.

    Returns:
        A `Pipeline`.

    Raises:
        FileNotFoundError: There is nothing at the path.
        ImportError: It is a LiteRT model, and ai-edge-litert is not installed.
        TypeError: The model belongs to no task.
        ValueError: What is at the path cannot be read, or takes no texts; or an artefact was to
            take a `max_length`.

    Example:
        >>> classify = kbk.pipeline("saved_models/reviews")
        >>> classify(["Not bad at all.", "Never again."])[0]
        {'label': 'positive', 'score': 0.98, 'probabilities': {'negative': 0.02, 'positive': 0.98}}
    """
    if isinstance(model, (str, Path)):
        artefact = is_saved_model(model) or is_lite_model(model)
        if artefact and max_length is not None:
            raise ValueError(
                "An artefact has the length that it was exported with. Export it anew, or leave "
                f"max_length out. Received: max_length={max_length}"
            )
        if artefact:
            return Pipeline.load(model)
    from keras_bert_kit.export import serving_functions
    from keras_bert_kit.tasks import load_trained

    if isinstance(model, (str, Path)):
        model = load_trained(model)
    return Pipeline(serving_functions(model, max_length), model)
