"""Questions with choices, one of which is right."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from keras_bert_kit.data.formats import decode_lines, read_bytes


@dataclasses.dataclass(frozen=True)
class Choices:
    """Questions of one file, with as many choices each.

    Attributes:
        path: The file.
        contexts: What each question is about, perhaps empty.
        questions: The questions.
        choices: The choices of each.
        labels: Index of the right one.
    """

    path: str
    contexts: list[str]
    questions: list[str]
    choices: list[list[str]]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.questions)


def read_choices(path: str | os.PathLike) -> Choices:
    """Reads a file of JSON objects, one a line, perhaps ending in `.gz`.

    The keys are `question`, `choices` (two or more texts, in each line as many), `label` (the right
    one's index from 0, or its text) and, if wanted, `context`.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line breaks a rule; the message has the path and the line.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: must be a file, but nothing is there; check the path")
    try:
        rows = [
            _row(number, line) for number, line in decode_lines(read_bytes(path)) if line.strip()
        ]
        if not rows:
            raise ValueError("must have at least one question, got none; check the file")
        count = len(rows[0]["choices"])
        for row in rows:
            if len(row["choices"]) != count:
                raise ValueError(
                    f"line {row['line']} must have {count} choices, as the first has, got "
                    f"{len(row['choices'])}; give each question as many"
                )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    names = ("context", "question", "choices", "label")
    return Choices(path, *([row[name] for row in rows] for name in names))


def _row(number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} must be a JSON object, but is not JSON ({error})") from (
            error
        )
    if not isinstance(value, dict):
        raise ValueError(f"line {number} must be a JSON object, got a {type(value).__name__}")
    question, context = value.get("question"), value.get("context", "")
    choices, label = value.get("choices"), value.get("label")
    if not isinstance(question, str) or not isinstance(context, str):
        raise ValueError(
            f"line {number} must have a question, a string, got question={question!r:.40}, "
            f"context={context!r:.40}"
        )
    is_list = isinstance(choices, list) and all(isinstance(one, str) for one in choices)
    if not is_list or len(choices) < 2:
        raise ValueError(
            f"line {number} must have choices, two or more strings, got {choices!r:.40}"
        )
    if isinstance(label, str) and choices.count(label) == 1:
        label = choices.index(label)
    if type(label) is not int or not 0 <= label < len(choices):
        raise ValueError(
            f"line {number} must have a label, the index of a choice from 0 to "
            f"{len(choices) - 1}, or its text, got {label!r:.40}"
        )
    return {
        "line": number,
        "context": context,
        "question": question,
        "choices": choices,
        "label": label,
    }
