"""The formats that hold texts: TSV, CSV, JSONL and TXT, as records by column name.

Errors name the 1-based line but not the path, which the caller puts in front.
"""

import csv
import gzip
import itertools
import json
import math
import os
import zlib
from collections.abc import Collection, Iterable, Iterator

_FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".txt": "txt"}
_COLUMNS = ("text", "text_pair", "label")
_OPTIONAL = ("text_pair", "language")
_CSV_FIELD_LIMIT = 2**24  # characters; the csv module's own 131,072 is less than a long document
_NAME_REMEDIES = {
    "text": "rename the one that holds the texts, or add a header if there is none",
    "text_pair": "give it on every line or on none",
    "language": "give it on every line or on none",
    "label": "rename the one that holds the labels, or read with labelled=False",
}
_TOO_WIDE_REMEDIES = {
    "tsv": "a tab inside a text is the usual cause, replace it by a space",
    "csv": "a comma inside a text is the usual cause, put the text in double quotes",
}


def read_records(
    path: str, wanted: tuple[str, ...], empty_labels: bool = False
) -> Iterator[dict[str, str]]:
    """Yield one dict for each example, all with the same keys.

    Args:
        path: The file.
        wanted: The columns that must be there: `text`, and perhaps `label`.
        empty_labels: Whether a label may be empty.

    Raises:
        ValueError: If the file breaks a rule of its format; the message leaves the path out.
    """
    file_format = _file_format(path)
    if file_format == "txt" and "label" in wanted:
        raise ValueError(
            "a .txt file has no labels, got labelled=True; pass labelled=False or use a .tsv, .csv "
            "or .jsonl file"
        )
    lines = decode_lines(read_bytes(path))
    if file_format == "jsonl":
        rows = _json_rows(lines, wanted)
    elif file_format == "txt":
        rows = ((number, {"text": line}) for number, line in lines if not _is_blank(line))
    else:
        rows = _tsv_rows(lines) if file_format == "tsv" else _csv_rows(lines)
        rows = _table_rows(rows, wanted, file_format)
    for number, row in rows:
        record = {name: row[name] for name in (*wanted, *_OPTIONAL) if name in row}
        if "label" in wanted:
            record["label"] = record["label"].strip()
            if not (record["label"] or empty_labels):
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


def read_bytes(path: str) -> bytes:
    """Return the content of the file, decompressed if its name ends in `.gz`."""
    with gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb") as stream:
        try:
            return stream.read()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"must be a whole gzip file, but cannot be decompressed ({error}); copy or "
                "compress it again"
            ) from error


def decode_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield each line without its end, with its number from 1.

    Args:
        data: Decompressed bytes, in which the byte offsets of errors count from 0.

    Raises:
        ValueError: If a line is not UTF-8 or holds a NUL byte.
    """
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
    wanted += tuple(name for name in _OPTIONAL if any(name in row for _, row in rows))
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
