"""Some rows of a file's examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any


def row_lists(examples: Any) -> dict[str, list[Any]]:
    """Gives the fields of examples that have an entry a row.

    These are the first field that is a list, and all other lists of its length.

    Args:
        examples: What a task's reader gave, a dataclass.

    Raises:
        TypeError: No field is a list.
    """
    fields = {field.name: getattr(examples, field.name) for field in dataclasses.fields(examples)}
    lists = {name: value for name, value in fields.items() if isinstance(value, list)}
    if not lists:
        raise TypeError(
            f"Examples must have a list with an entry a row. Received: {type(examples).__name__}"
        )
    count = len(next(iter(lists.values())))
    return {name: entries for name, entries in lists.items() if len(entries) == count}


def row_count(examples: Any) -> int:
    """Gives the number of rows of examples.

    Args:
        examples: What a task's reader gave, a dataclass.
    """
    return len(next(iter(row_lists(examples).values())))


def take(examples: Any, rows: Iterable[int]) -> Any:
    """Gives some rows of examples.

    Args:
        examples: What a task's reader gave, a dataclass.
        rows: Numbers of the rows, from 0, in the order that is wanted.

    Returns:
        Examples of the same class. Fields that have no entry a row stay as they are.

    Raises:
        TypeError: No field is a list.

    Example:
        >>> from keras_bert_kit.data import Examples
        >>> take(Examples("train.tsv", ["a", "b", "c"], labels=["0", "1", "0"]), [2, 0]).texts
        ['c', 'a']
    """
    rows = list(rows)
    taken = {name: [entries[row] for row in rows] for name, entries in row_lists(examples).items()}
    return dataclasses.replace(examples, **taken)
