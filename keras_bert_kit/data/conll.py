"""Sentences in columns, one word a line, as the shared tasks of CoNLL have them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence

from keras_bert_kit.data.formats import decode_lines, read_bytes
from keras_bert_kit.data.tags import detect_scheme, split_tag, to_iob2

_DOCUMENT = "-DOCSTART-"


@dataclasses.dataclass(frozen=True)
class TaggedSentences:
    """Sentences of one file with a tag for each word.

    Attributes:
        path: The file.
        words: The words of each sentence.
        tags: Their tags, in IOB2.
        scheme: The scheme that the file has them in.
        repairs: How many tags went on with a span that did not stand there.
    """

    path: str
    words: list[list[str]]
    tags: list[list[str]]
    scheme: str = "IOB2"
    repairs: int = 0

    def __len__(self) -> int:
        return len(self.words)


def read_conll(
    path: str | os.PathLike, word_column: int = 0, tag_column: int = -1
) -> TaggedSentences:
    """Reads a file with one word a line, its tag in a column, and empty lines between sentences.

    Columns are separated by spaces or tabs. Lines that begin with `-DOCSTART-`, and those of "# "
    that stand before a sentence, are passed over. The file may end in `.gz`.

    Args:
        path: The file.
        word_column: Number of the words' column, from 0; from the end where it is below 0.
        tag_column: Number of the tags' column.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has too few columns or a tag of no scheme, or there is no sentence; the
            message has the path and the line.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: must be a file, but nothing is there; check the path")
    words, tags = [], []
    try:
        for rows in sentences_of(path):
            words.append([_column(number, row, word_column) for number, row in rows])
            tags.append([_tag(number, _column(number, row, tag_column)) for number, row in rows])
        if not words:
            raise ValueError("must have at least one sentence, got none; check the file")
        scheme = detect_scheme(tags)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    found = [to_iob2(sentence, scheme) for sentence in tags]
    return TaggedSentences(
        path=path,
        words=words,
        tags=[sentence for sentence, _ in found],
        scheme=scheme,
        repairs=sum(repairs for _, repairs in found),
    )


def sentences_of(path: str) -> Iterator[list[tuple[int, list[str]]]]:
    """Gives the sentences of a file in columns.

    Args:
        path: The file.

    Yields:
        For each sentence its lines: number, and columns.

    Raises:
        ValueError: A line is not UTF-8; the message leaves the path out.
    """
    rows = []
    for number, line in decode_lines(read_bytes(path)):
        columns = line.split()
        if not columns or columns[0] == _DOCUMENT:
            if rows:
                yield rows
            rows = []
        elif rows or not line.startswith("# "):
            rows.append((number, columns))
    if rows:
        yield rows


def tag_names(sentences: TaggedSentences | Sequence[Sequence[str]]) -> list[str]:
    """Gives the tags that a model of some sentences needs: "O", then B- and I- of each type.

    Args:
        sentences: The sentences, or their tags.
    """
    tags = sentences.tags if isinstance(sentences, TaggedSentences) else sentences
    types = sorted({split_tag(tag)[1] for sentence in tags for tag in sentence} - {""})
    return ["O", *(f"{prefix}-{type_}" for type_ in types for prefix in "BI")]


def _column(number: int, row: Sequence[str], column: int) -> str:
    needed = max(2, column + 1 if column >= 0 else -column)
    if len(row) < needed:
        raise ValueError(
            f"line {number} must have at least {needed} columns, a word and its tag, got "
            f"{len(row)}: {' '.join(row)!r:.40}; complete the line, or put an empty one there to "
            "end the sentence"
        )
    return row[column]


def _tag(number: int, tag: str) -> str:
    try:
        split_tag(tag)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}; check the column of the tags") from error
    return tag
