"""Scores of a trained model on a file."""

from __future__ import annotations

from typing import Any

from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tasks import task_of


def evaluate(
    model: PretrainedModel, path: str, batch_size: int = 32, max_length: int | None = None
) -> dict[str, Any]:
    """Scores a model on a file of its task.

    Args:
        model: A trained model.
        path: The file, see `keras_bert_kit.tasks.TASKS`.
        batch_size: Rows of a batch.
        max_length: Longest sequence in tokens, specials included; `None` takes
            `model.max_length`.

    Returns:
        The task's scores, and `data`, counts of the file.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: The model belongs to no task.
        ValueError: The file cannot be read, or does not fit the model.
    """
    task = task_of(model)
    examples = task.read(str(path))
    length = model.max_length if max_length is None else max_length
    model.check_length(length)
    data = task.data(model, examples, length)
    return {"data": dict(data.summary), **task.evaluate(model, data, batch_size)}
