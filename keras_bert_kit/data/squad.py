"""Questions with contexts and answers, in the JSON format of SQuAD."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any

from keras_bert_kit.data.formats import read_bytes

#: An answer: its text, and where it starts in the context, in characters.
Answer = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Questions:
    """Questions of one file, in file order.

    Attributes:
        path: The file.
        ids: The questions' ids.
        questions: The questions.
        contexts: The text that each is about.
        answers: The answers to each, those that stand in the context; none where there is none.
        impossible: Whether the file says that the context has no answer.
        moved: How many answers stood elsewhere than the file says.
        dropped: How many stood nowhere.
    """

    path: str
    ids: list[str]
    questions: list[str]
    contexts: list[str]
    answers: list[list[Answer]]
    impossible: list[bool]
    moved: int = 0
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.questions)


def read_squad(path: str | os.PathLike, articles: slice | None = None) -> Questions:
    """Reads a file in the format of SQuAD 1.1 or 2.0, perhaps ending in `.gz`.

    An answer that does not stand where the file says is looked for: the place nearest to that one
    is taken. One that stands nowhere is dropped. Both are counted.

    Args:
        path: The file.
        articles: Which of its articles to take, such as `slice(0, 30)`; `None` takes all.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, lacks a key, or has no question; the message has the path and
            the place.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: must be a file, but nothing is there; check the path")
    try:
        rows = list(_rows(_json(path), articles or slice(None)))
        if not rows:
            raise ValueError("must have at least one question, got none; check the file")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    found = [_placed(row["answers"], row["context"]) for row in rows]
    every = [place for places in found for place in places]
    return Questions(
        path=path,
        ids=[row["id"] for row in rows],
        questions=[row["question"] for row in rows],
        contexts=[row["context"] for row in rows],
        answers=[[one for one, _ in places if one is not None] for places in found],
        impossible=[row["impossible"] for row in rows],
        moved=sum(moved for one, moved in every if one is not None),
        dropped=sum(one is None for one, _ in every),
    )


def _json(path: str) -> dict[str, Any]:
    try:
        return json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"must be JSON in UTF-8, but is not ({error}); check the file") from error


def _rows(content: Any, articles: slice) -> Iterator[dict[str, Any]]:
    every = _member(content, "data", list, "the file")
    for number in range(len(every))[articles]:
        article = f"article {number + 1}"
        for index, paragraph in enumerate(_member(every[number], "paragraphs", list, article), 1):
            place = f"{article}, paragraph {index}"
            context = _member(paragraph, "context", str, place)
            for position, asked in enumerate(_member(paragraph, "qas", list, place), 1):
                yield _row(asked, context, f"{place}, question {position}")


def _row(asked: Any, context: str, place: str) -> dict[str, Any]:
    answers = [] if "answers" not in asked else _member(asked, "answers", list, place)
    return {
        "id": str(_member(asked, "id", (str, int), place)),
        "question": _member(asked, "question", str, place),
        "context": context,
        "answers": [
            (_member(one, "text", str, place), _member(one, "answer_start", int, place))
            for one in answers
        ],
        "impossible": bool(asked.get("is_impossible", False)),
    }


def _member(holder: Any, name: str, kind: type | tuple[type, ...], place: str) -> Any:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ValueError(
            f"{place} must have {name!r}, a {' or '.join(one.__name__ for one in kinds)}, got "
            f"{value!r:.40}; the format is that of SQuAD"
        )
    return value


def _placed(answers: list[Answer], context: str) -> list[tuple[Answer | None, bool]]:
    """Gives each answer where it stands, `None` if nowhere, and whether that is elsewhere."""
    found = []
    for text, start in answers:
        if text and context[start : start + len(text)] == text and start >= 0:
            found.append(((text, start), False))
            continue
        places = _places(text, context) if text else []
        nearest = min(places, key=lambda place, start=start: abs(place - start), default=None)
        found.append((None if nearest is None else (text, nearest), True))
    return found


def _places(text: str, context: str) -> list[int]:
    places, place = [], context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    return places
