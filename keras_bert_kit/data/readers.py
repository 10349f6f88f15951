"""Read labelled and unlabelled texts from TSV, CSV, JSONL and TXT files, plain or gzipped (.gz).

- `.tsv`: one row a line, split on tabs, no quoting.
- `.csv`: standard quoting; a quoted field may hold commas, quotes and newlines.
- `.jsonl` or `.json`: one JSON object a line.
- `.txt`: one text a line, only without labels.

The columns (JSON keys) are `text`, optionally `text_pair`, and `label`; others are ignored. The
first row of a TSV or CSV file is a header if one of its fields, stripped and case-folded, is one
of these three names. A TSV file without a header has two columns, text and label. Read without
labels, a TSV file without a header gives its first column, and such a CSV file must have just one.

Files are UTF-8, with or without a byte order mark. Lines end at LF or CR LF and nowhere else. Lines
that are empty or hold only spaces are skipped. Texts are kept as written, empty ones too.
"""

import csv
import dataclasses
import gzip
import itertools
import json
import math
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO

_FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".txt": "txt"}
_COLUMNS = ("text", "text_pair", "label")
_CSV_FIELD_LIMIT = 2**24  # characters; the csv module's own 131,072 is less than a long document
_NAME_REMEDIES = {
    "text": "rename the one that holds the texts, or add a header if there is none",
    "text_pair": "give it on every line or on none",
    "label": "rename the one that holds the labels, or read with labelled=False",
}
_TOO_WIDE_REMEDIES = {
    "tsv": "a tab inside a text is the usual cause, replace it by a space",
    "csv": "a comma inside a text is the usual cause, put the text in double quotes",
}


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts of one file, in file order, with their labels.

    Args:
        path: The file the examples came from.
        texts: The texts as written.
        text_pairs: The second texts, one for each text; `None` when the file has none.
        labels: The labels, stripped, one for each text; `None` when read without labels.
    """

    path: str
    texts: list[str]
    text_pairs: list[str] | None = None
    labels: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def read_examples(path: str | os.PathLike, *, labelled: bool = True) -> Examples:
    """Read a file of texts; the module's docstring describes the formats.

    Labels are text. A JSON label may also be a number or a boolean: 1 and 1.0 become "1", and
    true becomes "true".

    Args:
        path: A `.tsv`, `.csv`, `.jsonl`, `.json` or `.txt` file, or one of these with `.gz`.
        labelled: Whether the file must have labels; if `False`, labels are ignored.

    Returns:
        The `Examples`, at least one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file breaks a rule of its format. The message is one line that holds
            the path and, where one applies, the 1-based line number.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "train.tsv")
        >>> _ = path.write_text("text\\tlabel\\na fine film\\t1\\ndull\\t0\\n", encoding="utf-8")
        >>> examples = read_examples(path)
        >>> examples.texts, examples.labels
        (['a fine film', 'dull'], ['1', '0'])
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: must be a file, but nothing is there; check the path")
    try:
        records = list(_records(path, ("text", "label") if labelled else ("text",)))
        if not records:
            raise ValueError("must have at least one row, got no rows; check the file")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    columns = {name: [record[name] for record in records] for name in records[0]}
    return Examples(path, columns["text"], columns.get("text_pair"), columns.get("label"))


def read_lines(stream: BinaryIO, name: str) -> list[str]:
    """Read an open stream, such as standard input, as texts: each line is one, empty ones too.

    Args:
        stream: A stream of bytes.
        name: What the stream is called in errors.

    Returns:
        The texts, without their line ends.

    Raises:
        ValueError: If a line is not UTF-8 or holds a NUL byte.
    """
    try:
        texts = [line for _, line in _decode_lines(stream.read())]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return texts[:-1] if texts[-1] == "" else texts


def label_names(examples: Examples | str | os.PathLike) -> list[str]:
    """List the distinct labels in order: by value if all are integers, otherwise as text.

    Args:
        examples: Labelled `Examples`, or the path of a labelled file.

    Returns:
        The distinct labels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the examples have no labels, or the file breaks a rule of its format.

    Example:
        >>> label_names(Examples("train.tsv", ["a", "b", "c"], labels=["10", "9", "10"]))
        ['9', '10']
    """
    if not isinstance(examples, Examples):
        examples = read_examples(examples)
    if examples.labels is None:
        raise ValueError(
            f"{examples.path}: label names need labelled examples, got labels=None; "
            "read the file with labelled=True"
        )
    names = sorted(set(examples.labels))
    if all(re.fullmatch("[+-]?[0-9]+", name) for name in names):
        names.sort(key=int)
    return names


# The functions below raise errors without the path, which read_examples puts in front. Each line or
# row comes with its 1-based line number.


def _records(path: str, wanted: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield one dict for each example, all with the same keys."""
    file_format = _file_format(path)
    if file_format == "txt" and "label" in wanted:
        raise ValueError(
            "a .txt file has no labels, got labelled=True; pass labelled=False or use a .tsv, .csv "
            "or .jsonl file"
        )
    lines = _decode_lines(_read_bytes(path))
    if file_format == "jsonl":
        rows = _json_rows(lines, wanted)
    elif file_format == "txt":
        rows = ((number, {"text": line}) for number, line in lines if not _is_blank(line))
    else:
        rows = _tsv_rows(lines) if file_format == "tsv" else _csv_rows(lines)
        rows = _table_rows(rows, wanted, file_format)
    for number, row in rows:
        record = {name: row[name] for name in (*wanted, "text_pair") if name in row}
        if "label" in wanted:
            record["label"] = record["label"].strip()
            if not record["label"]:
                raise ValueError(
                    f"line {number} must have a label, got an empty one; complete or remove the row"
                )
        yield record


def _file_format(path: str) -> str:
    """Return "tsv", "csv", "jsonl" or "txt"."""
    if os.path.isdir(path):
        raise ValueError("must be a file, but is a directory; pass one of its files")
    extension = os.path.splitext(path.lower().removesuffix(".gz"))[1]
    if extension not in _FORMATS:
        raise ValueError(
            f"the extension must be one of {', '.join(_FORMATS)}, or one of these with .gz, got "
            f"{extension!r}; rename or convert the file"
        )
    return _FORMATS[extension]


def _read_bytes(path: str) -> bytes:
    """Return the content of the file, decompressed if its name ends in `.gz`."""
    with gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb") as stream:
        try:
            return stream.read()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"must be a whole gzip file, but cannot be decompressed ({error}); copy or "
                "compress it again"
            ) from error


def _decode_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield each line without its end. Byte offsets in errors count from 0, decompressed."""
    start = 0
    # Bytes are split, not text: str.splitlines also ends lines at U+2028, U+0085, 0x1c and others.
    for number, raw in enumerate(data.split(b"\n"), start=1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"line {number} must be UTF-8, got byte 0x{raw[error.start]:02x} at byte offset "
                f"{start + error.start}; convert the file to UTF-8"
            ) from error
        if "\0" in line:
            raise ValueError(
                f"line {number} must be text, got a NUL byte at byte offset "
                f"{start + raw.index(0)}; remove it"
            )
        start += len(raw) + 1
        yield number, (line.removeprefix("\ufeff") if number == 1 else line).removesuffix("\r")


def _is_blank(line: str) -> bool:
    return not line.strip(" ")


def _tsv_rows(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in lines if not _is_blank(line))


def _csv_rows(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Return the rows that are not blank, each with the number of its first line."""
    # strict: otherwise a quote that is never closed takes in the rest of the file, silently.
    reader = csv.reader((line + "\n" for _, line in lines), strict=True)
    rows, number = [], 1
    previous_limit = csv.field_size_limit(_CSV_FIELD_LIMIT)
    try:
        for row in reader:
            # An empty line gives []; a quoted empty field gives [""], which is an empty text.
            if len(row) > 1 or row == [""] or not _is_blank("".join(row)):
                rows.append((number, row))
            number = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"line {number} must start a valid CSV row, got {str(error)!r}; check the quotes from "
            "there on"
        ) from error
    finally:
        csv.field_size_limit(previous_limit)
    return iter(rows)


def _table_rows(
    rows: Iterator[tuple[int, list[str]]], wanted: tuple[str, ...], file_format: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row below the header, if there is one, by column name."""
    number, first = next(rows, (1, []))
    if not first:
        return
    names = _headerless_names(first, wanted, file_format)
    if names:
        rows = itertools.chain([(number, first)], rows)
    else:
        names = [" ".join(field.split()).casefold() for field in first]
        _check_names(number, "column", first, names, wanted)
    for number, row in rows:
        if len(row) != len(names):
            fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
            remedy = "complete or remove the row"
            if len(row) > len(names):
                remedy = _TOO_WIDE_REMEDIES[file_format]
            raise ValueError(
                f"line {number} has {fields}, needs {len(names)} ({', '.join(names)}); {remedy}"
            )
        yield number, dict(zip(names, row, strict=True))


def _headerless_names(first: list[str], wanted: tuple[str, ...], file_format: str) -> list[str]:
    """Return a name for each column of a file without a header; none if it must have one."""
    is_header = any(field.strip().casefold() in _COLUMNS for field in first)
    if not is_header and "label" in wanted and file_format == "tsv" and len(first) <= 2:
        return ["text", "label"]
    if not is_header and "label" not in wanted and (file_format == "tsv" or len(first) == 1):
        return ["text"] + [f"column {number}" for number in range(2, len(first) + 1)]
    return []


def _check_names(
    number: int, kind: str, found: Iterable[str], names: Collection[str], wanted: tuple[str, ...]
) -> None:
    """Raise if a wanted column or key is missing, or a known one comes twice."""
    for name in wanted:
        if name not in names:
            # A file without a header shows texts here, so each is cut.
            shown = ", ".join(repr(item if len(item) <= 30 else item[:29] + "…") for item in found)
            raise ValueError(
                f"line {number} must have the {kind}s {', '.join(wanted)}, but {kind} {name!r} is "
                f"missing, {kind}s found: {shown or 'none'}; {_NAME_REMEDIES[name]}"
            )
    for name in _COLUMNS:
        if list(names).count(name) > 1:
            raise ValueError(f"line {number} must name {name!r} once; rename or remove the others")


def _json_rows(
    lines: Iterable[tuple[int, str]], wanted: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line's known keys, their values as text."""
    rows = [(number, _json_object(number, line)) for number, line in lines if not _is_blank(line)]
    if any("text_pair" in row for _, row in rows):
        wanted = (*wanted, "text_pair")
    for number, row in rows:
        _check_names(number, "key", row, row, wanted)
        yield number, {name: _json_text(number, name, row[name]) for name in wanted}


def _json_object(number: int, line: str) -> dict:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        is_syntax = isinstance(error, json.JSONDecodeError)
        reason = f"{error.msg} at column {error.colno}" if is_syntax else error
        raise ValueError(
            f"line {number} must be a JSON object, but is not JSON ({reason}); write one a line"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f"line {number} must be a JSON object, got a {type(value).__name__}; write one a line"
        )
    return value


def _json_text(number: int, name: str, value: object) -> str:
    """Return a JSON value as text: a string, or for a label also a number or a boolean."""
    if isinstance(value, str):
        return value
    if name == "label" and isinstance(value, float) and value.is_integer():
        return str(int(value))
    # json reads NaN, which some writers put where a label is missing; it is no label.
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if name == "label" and is_number:
        return json.dumps(value)
    kinds = "a string, a number or a boolean" if name == "label" else "a string"
    raise ValueError(
        f"line {number} must have {kinds} as its {name}, got {name}={value!r:.40}; correct or "
        "remove the line"
    )
