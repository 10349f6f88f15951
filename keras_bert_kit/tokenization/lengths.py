"""How long a sequence may be."""

from __future__ import annotations


def check_max_length(max_length: int | None, pair: bool = False):
    """Checks that a length leaves room for the special tokens and one more a text.

    Args:
        max_length: Longest sequence in tokens, specials included, or `None` for no limit.
        pair: Whether a sequence holds two texts.

    Raises:
        ValueError: It does not.
    """
    least = 5 if pair else 3
    if max_length is not None and max_length < least:
        raise ValueError(
            f"max_length must be at least {least} for {'pairs' if pair else 'texts'}, "
            f"special tokens included. Received: max_length={max_length}"
        )
