"""What the commands print, and how they end."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# What people wrote is shown as it is, brackets and colons too.
out = Console(markup=False, emoji=False, highlight=False)
err = Console(markup=False, emoji=False, highlight=False, stderr=True)


class Reported(SystemExit):
    """The end of the program, after its cause was printed."""


def table(rows: list[dict[str, Any]]) -> Table:
    """Makes a table of rows that have the same keys."""
    columns = Table(*rows[0])
    for row in rows:
        columns.add_row(*(Text(str(value)) for value in row.values()))
    return columns


def print_json(values: Any):
    """Prints values as JSON."""
    print(json.dumps(values, indent=2, ensure_ascii=False))


def say(text: str):
    """Prints a line."""
    out.print(text, soft_wrap=True)


def one_line(error: BaseException) -> str:
    """Gives an error's message in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def interruptible():
    """Ends in `KeyboardInterrupt` whatever Ctrl-C became on its way out.

    Ctrl-C strikes between any two instructions, those in which TensorFlow enters its own context
    managers too. Leaving these then fails with an error of theirs, whose context tells the cause.
    """
    try:
        yield
    except Exception as error:
        if _follows_an_interruption(error):
            raise KeyboardInterrupt from error
        raise


def _follows_an_interruption(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def fail(message: str, code: int):
    """Ends the program with an error's message and an exit code."""
    err.print("Error:", style="bold red", end=" ")
    err.print(message, soft_wrap=True)
    raise Reported(code)
