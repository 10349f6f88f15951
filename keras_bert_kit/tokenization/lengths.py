"""How long a sequence may be, and what is cut where it is longer."""

from __future__ import annotations

TRUNCATIONS = ("longest_first", "only_first", "only_second")


def check_max_length(max_length: int | None, pair: bool = False, special_tokens: bool = True):
    """Checks that a length leaves room for the special tokens and one more a text.

    Args:
        max_length: Longest sequence in tokens, specials included, or `None` for no limit.
        pair: Whether a sequence holds two texts.
        special_tokens: Whether special tokens are added.

    Raises:
        ValueError: It does not.
    """
    least = (2 if pair else 1) + special_tokens * (3 if pair else 2)
    if max_length is not None and max_length < least:
        raise ValueError(
            f"max_length must be at least {least} for {'pairs' if pair else 'texts'}, "
            f"special tokens included. Received: max_length={max_length}"
        )


def truncation_strategy(truncation: bool | str, pair: bool = True) -> str | None:
    """Gives the name of a way to cut, or `None` where nothing is cut.

    Args:
        truncation: `True` or one of `TRUNCATIONS`; `False` cuts nothing.
        pair: Whether a sequence holds two texts.

    Raises:
        ValueError: There is no such way, or the second text is to be cut where there is none.
    """
    if not isinstance(truncation, (bool, str)) or (
        isinstance(truncation, str) and truncation not in TRUNCATIONS
    ):
        raise ValueError(
            f"truncation must be True, False, {', '.join(map(repr, TRUNCATIONS))}. "
            f"Received: truncation={truncation!r}"
        )
    if truncation == "only_second" and not pair:
        raise ValueError(
            "Only a pair has a second text to cut. Received: truncation='only_second' and no pairs"
        )
    if isinstance(truncation, bool):
        return TRUNCATIONS[0] if truncation else None
    return truncation
