"""Read labelled and unlabelled texts from TSV, CSV, JSONL and TXT files, plain or gzipped (.gz).

- `.tsv`: one row a line, split on tabs, no quoting.
- `.csv`: standard quoting; a quoted field may hold commas, quotes and newlines.
- `.jsonl` or `.json`: one JSON object a line.
- `.txt`: one text a line, only without labels.

The columns (JSON keys) are `text`, `label`, and optionally `text_pair` and `language`; others are
ignored. The first row of a TSV or CSV file is a header if one of its fields, stripped and
case-folded, is one of the first three names. A TSV file without a header has two columns, text and
label. Read without labels, a TSV file without a header gives its first column, and such a CSV file
must have just one.

Files are UTF-8, with or without a byte order mark. Lines end at LF or CR LF and nowhere else. Lines
that are empty or hold only spaces are skipped. Texts are kept as written, empty ones too.
"""

import dataclasses
import os
import re
from typing import BinaryIO

from keras_bert_kit.data.formats import decode_lines, read_records


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts of one file, in file order, with their labels.

    Args:
        path: The file the examples came from.
        texts: The texts as written.
        text_pairs: The second texts, one for each text; `None` when the file has none.
        labels: The labels, stripped, one for each text; `None` when read without labels.
        languages: The texts' languages, or whatever else scores are to be given for apart; `None`
            when the file has none.
    """

    path: str
    texts: list[str]
    text_pairs: list[str] | None = None
    labels: list[str] | None = None
    languages: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def read_examples(
    path: str | os.PathLike, *, labelled: bool = True, empty_labels: bool = False
) -> Examples:
    """Read a file of texts; the module's docstring describes the formats.

    Labels are text. A JSON label may also be a number or a boolean: 1 and 1.0 become "1", and
    true becomes "true".

    Args:
        path: A `.tsv`, `.csv`, `.jsonl`, `.json` or `.txt` file, or one of these with `.gz`.
        labelled: Whether the file must have labels; if `False`, labels are ignored.
        empty_labels: Whether a label may be empty: where texts have several labels, or none.

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
        wanted = ("text", "label") if labelled else ("text",)
        records = list(read_records(path, wanted, empty_labels))
        if not records:
            raise ValueError("must have at least one row, got no rows; check the file")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    columns = {name: [record[name] for record in records] for name in records[0]}
    names = ("text_pair", "label", "language")
    return Examples(path, columns["text"], *(columns.get(name) for name in names))


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
        texts = [line for _, line in decode_lines(stream.read())]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return texts[:-1] if texts[-1] == "" else texts


def label_set(label: str) -> list[str]:
    """Split a label that names several, separated by commas.

    Args:
        label: The label as written, perhaps empty.

    Returns:
        The names, stripped, each once, in order.
    """
    return list(dict.fromkeys(filter(None, (name.strip() for name in label.split(",")))))


def label_names(examples: Examples | str | os.PathLike, several: bool = False) -> list[str]:
    """List the distinct labels in order: by value if all are integers, otherwise as text.

    Args:
        examples: Labelled `Examples`, or the path of a labelled file.
        several: Whether a label is several, separated by commas.

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
        examples = read_examples(examples, empty_labels=several)
    if examples.labels is None:
        raise ValueError(
            f"{examples.path}: label names need labelled examples, got labels=None; "
            "read the file with labelled=True"
        )
    labels = examples.labels
    if several:
        labels = [name for label in labels for name in label_set(label)]
        if not labels:
            raise ValueError(f"{examples.path}: some text must have a label. Received: none has")
    names = sorted(set(labels))
    if all(re.fullmatch("[+-]?[0-9]+", name) for name in names):
        names.sort(key=int)
    return names
