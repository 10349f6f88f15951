"""Next-sentence pairs from plain documents, streaming."""

from __future__ import annotations

import gzip
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_bert_kit.tokenization.lengths import check_max_length

Document = Sequence[np.ndarray]


class SentencePair(NamedTuple):
    """Two texts as ids, without special tokens, and whether they belong together.

    Attributes:
        first: int array (tokens,).
        second: int array (tokens,).
        label: 0 the second text follows the first, 1 it comes from another document.
    """

    first: np.ndarray
    second: np.ndarray
    label: int


def read_documents(paths: str | Path | Sequence[str | Path]) -> Iterator[list[str]]:
    """Reads plain documents, one after the other: one sentence a line, blank lines between them.

    A document also ends with its file. Files are UTF-8, whatever their name; those that end in
    `.gz` are decompressed. No more than one document is held in memory.

    Args:
        paths: The files, or one.

    Returns:
        An iterator over documents, each the list of its sentences as written.

    Raises:
        FileNotFoundError: A file is missing; before the first document is read.
        ValueError: A file is damaged or not text, with the path and the line; or no file holds a
            document.

    Example:
        >>> for sentences in read_documents("corpus.txt.gz"):
        ...     print(len(sentences))
    """
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    paths = [os.fspath(path) for path in paths]
    for path in paths:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path}: must be a file, but none is there; check the path")
    return _documents(paths)


def _documents(paths: list[str]) -> Iterator[list[str]]:
    found = False
    for path in paths:
        try:
            groups = itertools.groupby(_lines(path), lambda line: bool(line.strip()))
            for is_document, lines in groups:
                if is_document:
                    found = True
                    yield list(lines)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if not found:
        raise ValueError(
            f"{', '.join(paths) or 'paths'}: must hold documents, one sentence a line and a blank "
            "line between documents, got none; check the files"
        )


def _lines(path: str) -> Iterator[str]:
    """Gives each line without its end; errors name the line but not the path."""
    offset = 0
    with gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb") as stream:
        try:
            for number, raw in enumerate(stream, start=1):
                line = _decode(raw, number, offset).removesuffix("\n").removesuffix("\r")
                yield line.removeprefix("\ufeff") if number == 1 else line
                offset += len(raw)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"must be a whole gzip file, but cannot be decompressed ({error}); copy or "
                "compress it again"
            ) from error


def _decode(raw: bytes, number: int, offset: int) -> str:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"line {number} must be UTF-8, got byte 0x{raw[error.start]:02x} at byte offset "
            f"{offset + error.start}; convert the file to UTF-8"
        ) from error
    if "\0" in line:
        raise ValueError(
            f"line {number} must be text, got a NUL byte at byte offset "
            f"{offset + raw.index(0)}; remove it"
        )
    return line


def next_sentence_pairs(
    documents: Iterable[Document],
    max_length: int = 128,
    short_seq_prob: float = 0.1,
    buffer_size: int = 1000,
    seed: int = 0,
    epoch: int = 0,
) -> Iterator[SentencePair]:
    """Makes the pairs of texts that BERT learns to tell apart.

    Each document is walked once: sentences are gathered until they fill a sequence and split at
    random into two texts. With half of the chance the second text is what follows; else, and
    always where there is but one sentence, it starts at a random sentence of another document,
    and the sentences that it displaces come again. Of a pair that is too long, the longer text
    loses tokens at its front and back. In some documents the length to fill is random and shorter,
    so that short sequences are seen as well.

    Documents are read ahead into a buffer. They leave it in random order, and the other documents
    are those in it, so that a corpus need not fit into memory.

    Args:
        documents: Documents, each a sequence of sentences, each an int array (tokens,) of at
            least one id without special tokens.
        max_length: Longest sequence in tokens, special tokens included.
        short_seq_prob: Share of the documents that are cut into shorter sequences.
        buffer_size: The most documents held in memory, at least two.
        seed: Decides, together with `epoch`, which pairs are made, and their order.
        epoch: Another one gives other pairs of the same documents.

    Returns:
        An iterator over the pairs, those of one document together.

    Raises:
        ValueError: A number is out of its range, or, once pairs are asked for, there are fewer
            than two documents.

    Reference:
        Devlin et al. 2018, section 3.1, task 2 (https://arxiv.org/abs/1810.04805); lengths and
        cuts as in google-research/bert, create_pretraining_data.py.
    """
    check_max_length(max_length, pair=True)
    if not 0 <= short_seq_prob <= 1:
        raise ValueError(
            f"short_seq_prob must lie between 0 and 1. Received: short_seq_prob={short_seq_prob}"
        )
    if buffer_size < 2:
        raise ValueError(f"buffer_size must be at least 2. Received: buffer_size={buffer_size}")
    if seed < 0 or epoch < 0:
        raise ValueError(
            f"seed and epoch must not be negative. Received: seed={seed}, epoch={epoch}"
        )
    walk = _Walk(max_length - 3, short_seq_prob, np.random.default_rng([seed, epoch]))
    return walk.over(iter(documents), buffer_size)


class _Walk:
    """One way through the documents; `room` is what special tokens leave of a sequence."""

    def __init__(self, room: int, short_seq_prob: float, random: np.random.Generator):
        self.room = room
        self.short_seq_prob = short_seq_prob
        self.random = random

    def over(self, stream: Iterator[Document], buffer_size: int) -> Iterator[SentencePair]:
        buffer = list(itertools.islice(stream, buffer_size))
        if len(buffer) < 2:
            raise ValueError(
                "Next-sentence pairs need two documents or more, because the second text may come "
                f"from another one. Received: {len(buffer)} with text in it. Put blank lines "
                "between documents."
            )
        for following in stream:
            place = int(self.random.integers(len(buffer)))
            yield from self._document(buffer, place)
            buffer[place] = following
        for place in self.random.permutation(len(buffer)).tolist():
            yield from self._document(buffer, place)

    def _document(self, buffer: list[Document], place: int) -> Iterator[SentencePair]:
        document, target, start = buffer[place], self.room, 0
        if self.random.random() < self.short_seq_prob:
            target = int(self.random.integers(2, self.room, endpoint=True))
        while start < len(document):
            end = _fill(document, start, target)
            middle = start + 1 if end == start + 1 else int(self.random.integers(start + 1, end))
            first = np.concatenate(document[start:middle])
            if middle == end or self.random.random() < 0.5:
                second = self._elsewhere(buffer, place, target - len(first))
                yield self._cut(first, second, 1)
                start = middle
            else:
                yield self._cut(first, np.concatenate(document[middle:end]), 0)
                start = end

    def _elsewhere(self, buffer: list[Document], place: int, target: int) -> np.ndarray:
        """Gives a text of about `target` tokens from another document than that at `place`."""
        other = int(self.random.integers(len(buffer) - 1))
        document = buffer[other + (other >= place)]
        start = int(self.random.integers(len(document)))
        return np.concatenate(document[start : _fill(document, start, target)])

    def _cut(self, first: np.ndarray, second: np.ndarray, label: int) -> SentencePair:
        keep = min(len(first), max(self.room - len(second), (self.room + 1) // 2))
        return SentencePair(
            self._shorten(first, keep), self._shorten(second, self.room - keep), label
        )

    def _shorten(self, ids: np.ndarray, keep: int) -> np.ndarray:
        lost = len(ids) - keep
        if lost <= 0:
            return ids
        front = int(self.random.binomial(lost, 0.5))  # a coin for each token: front or back
        return ids[front : front + keep]


def _fill(document: Document, start: int, target: int) -> int:
    """Gives the end of the sentences from `start` on that hold `target` tokens, at least one."""
    end, length = start, 0
    while end < len(document) and (end == start or length < target):
        length += len(document[end])
        end += 1
    return end
