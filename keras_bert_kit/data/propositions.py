"""Sentences with predicates and their arguments, in the columns of Universal Propositions."""

from __future__ import annotations

import dataclasses
import os

from keras_bert_kit.data.conll import sentences_of

_FORM, _SENSE, _ROLES = 1, 10, 11  # numbers of columns
_PREDICATE = "V"


@dataclasses.dataclass(frozen=True)
class Propositions:
    """Sentences of one file, each as often as it has predicates, and once for finding these.

    Attributes:
        path: The file.
        words: The words of each row.
        tags: Their tags, in IOB2: B-V at the predicate and a role such as B-ARG0 at each argument's
            head; or, where no predicate is given, B-V at all predicates.
        predicates: Number of the row's predicate among the words, or `None`.
        sentences: How many sentences there are.
    """

    path: str
    words: list[list[str]]
    tags: list[list[str]]
    predicates: list[int | None]
    sentences: int

    def __len__(self) -> int:
        return len(self.words)


def read_propositions(path: str | os.PathLike) -> Propositions:
    """Reads a file of Universal Propositions, perhaps ending in `.gz`.

    A line is a word in the ten columns of CoNLL-U, then the sense where the word is a predicate,
    else `_`, and then a column of roles for each predicate of the sentence, in their order. A
    sentence without a predicate may have the ten columns alone. Ranges (1-2) and empty nodes (8.1)
    are passed over.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has too few columns, or not a column of roles for each predicate; the
            message has the path and the line.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: must be a file, but nothing is there; check the path")
    found = Propositions(path, [], [], [], 0)
    sentences = 0
    try:
        for rows in sentences_of(path):
            rows = [(number, row) for number, row in rows if row[0].isdecimal()]
            if rows:
                sentences += 1
                _add(rows, found)
        if not sentences:
            raise ValueError("must have at least one sentence, got none; check the file")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return dataclasses.replace(found, sentences=sentences)


def _add(rows: list[tuple[int, list[str]]], found: Propositions):
    """Adds a sentence."""
    if all(len(row) == _SENSE for _, row in rows):
        rows = [(number, [*row, "_"]) for number, row in rows]
    for number, row in rows:
        if len(row) < _ROLES:
            raise ValueError(
                f"line {number} must have at least {_ROLES} columns, the last of them the sense of "
                f"a predicate or _, got {len(row)}; check the format"
            )
    words = [row[_FORM] for _, row in rows]
    places = [place for place, (_, row) in enumerate(rows) if row[_SENSE] != "_"]
    for number, row in rows:
        if len(row) != _ROLES + len(places):
            raise ValueError(
                f"line {number} must have a column of roles for each of the {len(places)} "
                f"predicates of its sentence, got {len(row) - _ROLES}; check the columns"
            )
    marks = [f"B-{_PREDICATE}" if place in places else "O" for place in range(len(words))]
    found.words.append(words)
    found.tags.append(marks)
    found.predicates.append(None)
    for column, place in enumerate(places, start=_ROLES):
        roles = [row[column] for _, row in rows]
        tags = ["O" if role in ("_", _PREDICATE) else f"B-{role}" for role in roles]
        tags[place] = f"B-{_PREDICATE}"
        found.words.append(words)
        found.tags.append(tags)
        found.predicates.append(place)
