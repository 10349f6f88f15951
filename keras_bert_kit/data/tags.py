"""Schemes of tags over words (IOB1, IOB2, BIOES, BMES and their like), read as IOB2."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence

# Prefixes of the schemes in which each span's first and last word have their own.
_SCHEMES = {"BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES"}
_FIRST, _ALONE, _LAST = "B", "SU", "ELSU"

#: All schemes that are read.
SCHEMES = ("IOB1", "IOB2", *_SCHEMES)


def split_tag(tag: str) -> tuple[str, str]:
    """Gives a tag's prefix and type; of "O" both are empty.

    Args:
        tag: Such as "B-PER".

    Raises:
        ValueError: The tag has no prefix that a scheme knows.
    """
    if tag == "O":
        return "", ""
    prefix, dash, type_ = tag.partition("-")
    if not (dash and type_ and prefix in tuple("BIMESLU")):
        raise ValueError(
            "a tag must be O, or a type with one of the prefixes B-, I-, M-, E-, S-, L- and U-, "
            f"got {tag!r}"
        )
    return prefix, type_


def detect_scheme(sentences: Iterable[Sequence[str]]) -> str:
    """Tells which scheme the tags of a file follow.

    With the prefixes B and I alone it is what most spans are written in: IOB2 begins each with B-,
    and IOB1 only those that stand right behind another of their type.

    Args:
        sentences: The tags of each sentence.

    Returns:
        One of `SCHEMES`; "IOB2" where all tags are "O".

    Raises:
        ValueError: The prefixes are those of no scheme.
    """
    prefixes, begun_by = set(), collections.Counter()
    for tags in sentences:
        before = ""
        for tag in tags:
            prefix, type_ = split_tag(tag)
            prefixes.add(prefix)
            begun_by[prefix] += before != type_
            before = type_
    prefixes.discard("")
    if prefixes <= {"B", "I"}:
        return "IOB1" if begun_by["I"] > begun_by["B"] else "IOB2"
    for scheme, known in _SCHEMES.items():
        if prefixes <= set(known):
            return scheme
    raise ValueError(
        f"the tags must be of one scheme ({', '.join(SCHEMES)}), got the prefixes "
        f"{', '.join(sorted(prefixes))}"
    )


def to_iob2(tags: Sequence[str], scheme: str) -> tuple[list[str], int]:
    """Writes the tags of a sentence in IOB2: B- at each span's first word, I- at the others.

    A tag that goes on with a span where none of its type stands begins one; such repairs are
    counted, but in IOB1, where that is the rule.

    Args:
        tags: The tags.
        scheme: One of `SCHEMES`.

    Returns:
        The tags in IOB2, and the number of repairs.
    """
    found, repairs, open_type = [], 0, ""
    for tag in tags:
        prefix, type_ = split_tag(tag)
        if not type_:
            found.append("O")
            open_type = ""
            continue
        begins = prefix in _FIRST or prefix in _ALONE
        if not begins and open_type != type_:
            begins = True
            repairs += scheme != "IOB1"
        found.append(f"{'B' if begins else 'I'}-{type_}")
        open_type = "" if prefix in _LAST else type_
    return found, repairs


def spans_of(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Gives the spans of tags in IOB2.

    Args:
        tags: The tags of a sentence.

    Yields:
        For each span its type, its first word, and the word behind its last.
    """
    start, open_type = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, type_ = split_tag(tag)
        if open_type and (prefix != "I" or type_ != open_type):
            yield open_type, start, place
            open_type = ""
        if type_ and not open_type:
            start, open_type = place, type_
