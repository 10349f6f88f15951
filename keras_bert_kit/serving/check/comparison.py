"""Answers beside the answers to expect, and both in words."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from keras_bert_kit.messages import Request, difference
from keras_bert_kit.serving.c_api import Session
from keras_bert_kit.serving.c_library import TensorFlowError
from keras_bert_kit.serving.check.rows import Row, Task


def replayed(task: Task, session: Session, requests: list[Request]) -> Row:
    """Gives the row for requests that must get the answers that are stored with them.

    Args:
        task: The check.
        session: The loaded SavedModel.
        requests: The requests.
    """
    largest, stored, problems = 0.0, 0, []
    for request in requests:
        _, gap, problem = timed(session, request, task.tolerance)
        largest, stored = max(largest, gap), stored + bool(request.outputs)
        if problem:
            problems.append(f"{label(request)}: {problem}")
    detail = f"{len(requests)} requests answered, {stored} of them compared with a stored answer"
    detail += f"; {differ_by(largest)}" if stored else ""
    if problems:
        detail = f"{len(problems)} of {len(requests)} requests failed; first: {problems[0]}"
    numbers = {"requests": len(requests), "compared": stored, "largest_difference": largest}
    return task.row(not problems if requests else None, detail, **numbers)


def timed(session: Session, request: Request, tolerance: float) -> tuple[float, float, str]:
    """Runs a request.

    Args:
        session: The loaded SavedModel.
        request: The request.
        tolerance: Largest difference of floats that counts as equal.

    Returns:
        Seconds; the largest difference from the stored answer; and what is wrong, or "".
    """
    start = time.perf_counter()
    try:
        answer = session.run(request.signature, request.inputs)
    except (TensorFlowError, ValueError) as error:
        return time.perf_counter() - start, 0.0, one_line(error)
    return time.perf_counter() - start, *difference(answer, request.outputs, tolerance)


def label(request: Request) -> str:
    """Gives a request's signature, rows and length.

    Args:
        request: The request.
    """
    arrays = request.inputs.values()
    if any(array.dtype.kind == "O" for array in arrays):
        texts = [one for array in arrays if array.dtype.kind == "O" for one in array.ravel()]
        longest = max(map(len, texts), default=0)
        return f"{request.signature}, {rows_of(request)} x {longest} bytes"
    return f"{request.signature}, {shapes_of(request.inputs)}"


def rows_of(request: Request) -> int:
    """Gives the rows of a request's inputs.

    Args:
        request: The request.
    """
    return min((len(array) if array.ndim else 0) for array in request.inputs.values())


def shapes_of(inputs: Mapping[str, np.ndarray]) -> str:
    """Gives the different shapes of inputs, such as `2 x 16`.

    Args:
        inputs: Arrays by name.
    """
    shapes = dict.fromkeys(array.shape for array in inputs.values())
    return " and ".join(" x ".join(map(str, shape)) for shape in shapes)


def differ_by(largest: float) -> str:
    """Gives the words for a largest difference.

    Args:
        largest: The difference.
    """
    return f"largest difference {largest:.3g}"


def one_line(error: BaseException) -> str:
    """Gives the first line of an error's text.

    Args:
        error: The error.
    """
    return str(error).strip().partition("\n")[0][:400] or type(error).__name__
