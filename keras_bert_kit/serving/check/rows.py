"""A check that is asked for, and the row that it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
    """The outcome of one check.

    Attributes:
        name: The check.
        passed: Whether it passed; `None` where it does not apply.
        detail: What was found, in a line.
        numbers: What was measured; plain numbers, texts, lists and dicts.
    """

    name: str
    passed: bool | None
    detail: str
    numbers: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Task:
    """One check to make.

    Attributes:
        check: Its name.
        path: Folder of the SavedModel.
        result: File that the row goes to.
        journal: File that holds the input that was tried last.
        requests: Requests of the load.
        threads: Threads of the load.
        fuzz: Inputs to try.
        seed: Where their randomness starts.
        tolerance: Largest difference of numbers that counts as equal.
    """

    check: str
    path: str
    result: str
    journal: str
    requests: int
    threads: int
    fuzz: int
    seed: int
    tolerance: float

    def row(self, passed: bool | None, detail: str, **numbers: Any) -> Row:
        """Gives this check's row."""
        return Row(self.check, passed, detail, numbers)
