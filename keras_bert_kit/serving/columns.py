"""The columns of texts that signatures take, in the order in which they are given."""

from __future__ import annotations

from collections.abc import Iterable

#: An artefact does not keep the order of a signature's inputs.
COLUMNS = ("question", "context", "text", "text_pair", "choices")


def in_order(names: Iterable[str]) -> list[str]:
    """Puts the names of a signature's inputs into the order of its columns.

    Args:
        names: The names.
    """
    return sorted(names, key=lambda name: (COLUMNS.index(name) if name in COLUMNS else 9, name))
