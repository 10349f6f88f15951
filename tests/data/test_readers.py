import csv
import gzip
import json
import re
from pathlib import Path

import pytest

from keras_bert_kit.data import formats
from keras_bert_kit.data.readers import Examples, label_names, read_examples

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

TABLE = {
    "tsv": "text\ttext_pair\tlabel\na b\tc\t1\nd\te\t0\n",
    "csv": 'text,text_pair,label\n"a b",c,1\nd,e,0\n',
    "jsonl": '{"text": "a b", "text_pair": "c", "label": 1}\n'
    '{"label": "0", "text_pair": "e", "text": "d"}\n',
}


def write(folder, name, content):
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def check_error(path, *parts, error=ValueError, **options):
    """The error is one line with the path and each of the parts."""
    with pytest.raises(error) as caught:
        read_examples(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in (f"{path}: ", *parts):
        assert part in message
    assert f"{path}: {path}" not in message


@pytest.mark.parametrize(
    ("name", "source"),
    [(f"{name}{gz}", source) for name, source in [
        ("a.tsv", "tsv"), ("A.TSV", "tsv"), ("a.b.csv", "csv"), ("a.jsonl", "jsonl"),
        ("a.json", "jsonl"),
    ] for gz in ("", ".gz")],
)  # fmt: skip
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_formats_agree(tmp_path, name, source, line_end, mark):
    path = write(tmp_path, name, mark + TABLE[source].replace("\n", line_end))
    expected = Examples(str(path), ["a b", "d"], ["c", "e"], ["1", "0"])
    assert read_examples(path) == expected
    assert read_examples(str(path)) == expected
    assert len(expected) == 2
    assert read_examples(path, labelled=False).labels is None
    assert read_examples(path, labelled=False).text_pairs == ["c", "e"]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_text_file(tmp_path, name):
    path = write(tmp_path, name, '\ufefftext\r\n\n  \n "a\tb \r\nlast')
    assert read_examples(path, labelled=False) == Examples(str(path), ["text", ' "a\tb ', "last"])
    check_error(path, "has no labels, got labelled=True", "pass labelled=False")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "Label\tid\t TEXT \n1\t7\ta\n"),
        ("a.csv", "Label,id, TEXT \n1,7,a\n"),
        ("a.jsonl", '{"label": "1", "id": [7], "text": "a"}'),
    ],
)
def test_extra_columns_order_and_case(tmp_path, name, content):
    path = write(tmp_path, name, content)
    assert read_examples(path) == Examples(str(path), ["a"], labels=["1"])


def test_headerless_tsv(tmp_path):
    path = write(tmp_path, "a.tsv", "\n\na fine film\t pos \ndull\tneg")
    assert read_examples(path) == Examples(str(path), ["a fine film", "dull"], None, ["pos", "neg"])
    assert read_examples(path, labelled=False) == Examples(str(path), ["a fine film", "dull"])


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_headerless_single_column(tmp_path, name):
    path = write(tmp_path, name, "one\n \ntwo three\n")
    assert read_examples(path, labelled=False).texts == ["one", "two three"]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_header_without_labels(tmp_path, name):
    path = write(tmp_path, name, "text\none\n")
    assert read_examples(path, labelled=False).texts == ["one"]
    check_error(path, "column 'label' is missing, columns found: 'text'", "labelled=False")


def test_tsv_has_no_quoting(tmp_path):
    path = write(tmp_path, "a.tsv", '"a\t1\nb "c" d\t0\n"e"\t1\n')
    assert read_examples(path).texts == ['"a', 'b "c" d', '"e"']


def test_csv_quoting(tmp_path):
    path = write(tmp_path, "a.csv", 'label,text\r\n1,"a, ""b""\r\n\r\n c"\r\n\r\n0,d\r\n')
    assert read_examples(path).texts == ['a, "b"\n\n c', "d"]
    check_error(write(tmp_path, "b.csv", 'label,text\n1,"a\nb"\n0\n'), "line 4 has 1 field")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x85"])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.txt"])
def test_lines_end_at_newline_only(tmp_path, name, mark):
    text = f"a{mark}b"
    content = {
        "a.tsv": f"text\n{text}\n",
        "a.csv": f"text\n{text}\n",
        "a.jsonl": json.dumps({"text": text}, ensure_ascii=False),
        "a.txt": text,
    }
    path = write(tmp_path, name, content[name])
    assert read_examples(path, labelled=False).texts == [text]


def test_carriage_return_inside_a_tsv_line_is_text(tmp_path):
    path = write(tmp_path, "a.tsv", "a\rb\t1\r\n")
    assert read_examples(path).texts == ["a\rb"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tlabel\n\t1\n a \t0\n"),
        ("a.csv", 'text,label\n,1\n" a ",0\n'),
        ("a.jsonl", '{"text": "", "label": 1}\n{"text": " a ", "label": 0}'),
    ],
)
def test_texts_are_kept_as_written(tmp_path, name, content):
    assert read_examples(write(tmp_path, name, content)).texts == ["", " a "]


def test_quoted_empty_text_is_no_blank_line(tmp_path):
    path = write(tmp_path, "a.csv", 'text\n""\n\nb\n')
    assert read_examples(path, labelled=False).texts == ["", "b"]


@pytest.mark.parametrize(
    ("written", "label"),
    [("1", "1"), ("-2.0", "-2"), ("0.5", "0.5"), ("true", "true"), ("false", "false"),
     ('" a b "', "a b"), ('"1.0"', "1.0"), ("1" + "0" * 400, "1" + "0" * 400)],
)  # fmt: skip
def test_json_labels(tmp_path, written, label):
    path = write(tmp_path, "a.jsonl", f'{{"text": "a", "label": {written}}}')
    assert read_examples(path).labels == [label]


@pytest.mark.parametrize("written", ["null", "[1]", "{}", "NaN", "1e999"])
def test_json_values_that_are_no_label(tmp_path, written):
    path = write(tmp_path, "a.jsonl", f'\n{{"text": "a", "label": {written}}}')
    check_error(path, "line 2 must have a string, a number or a boolean as its label, got label=")
    assert read_examples(path, labelled=False).texts == ["a"]


@pytest.mark.parametrize("written", ["1", "null", '["a"]', "true", "NaN"])
@pytest.mark.parametrize("key", ["text", "text_pair"])
def test_json_texts_must_be_strings(tmp_path, key, written):
    line = json.dumps({"text": "a", "text_pair": "b", "label": 1})
    other = re.sub(rf'"{key}": "."', f'"{key}": {written}', line)
    path = write(tmp_path, "a.jsonl", f"{line}\n{other}\n")
    check_error(path, f"line 2 must have a string as its {key}, got {key}=")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1,", "line 3 must be a JSON object, but is not JSON (Expecting value at column 4)"),
        (f'{{"text": {"1" * 5000}}}', "line 3 must be a JSON object, but is not JSON (Exceeds"),
        ("[" * 100_000, "line 3 must be a JSON object, but is not JSON"),
        ('["a", 1]', "line 3 must be a JSON object, got a list; write one a line"),
        ('{"label": 1, "note": 2}', "line 3 must have the keys text, label, but key 'text' is "
         "missing, keys found: 'label', 'note'"),
        ('{"text": "a"}', "key 'label' is missing, keys found: 'text'"),
        ("{}", "keys found: none"),
        ('{"text": "a", "text_pair": "b", "label": 1}', "line 1 must have the keys text, label, "
         "text_pair, but key 'text_pair' is missing"),
        ('{"text": "a", "label": " "}', "line 3 must have a label, got an empty one"),
    ],
)  # fmt: skip
def test_json_line_errors(tmp_path, line, message):
    path = write(tmp_path, "a.jsonl", f'{{"text": "a", "label": 1}}\n\n{line}\n')
    check_error(path, message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "text\tlabel\na\t1\n\nb\n", "line 4 has 1 field, needs 2 (text, label); comp"),
        ("a.tsv", "a\t1\nb\n", "line 2 has 1 field, needs 2 (text, label)"),
        ("a.tsv", "a\n", "line 1 has 1 field, needs 2 (text, label)"),
        ("a.tsv", "text\tid\tlabel\na\t1\n", "line 2 has 2 fields, needs 3 (text, id, label)"),
        ("a.tsv", "text\tlabel\na\tb\t1\n", "line 2 has 3 fields, needs 2 (text, label); a tab"),
        ("a.tsv", "a\t1\nb\tc\t1\n", "line 2 has 3 fields, needs 2 (text, label); a tab"),
        ("a.csv", "text,label\na\n", "line 2 has 1 field, needs 2 (text, label); complete"),
        ("a.csv", 'text,label,"a\nb"\nc,1\n', "line 3 has 2 fields, needs 3 (text, label, a b)"),
        ("a.csv", "text,label\na,b,1\n", "line 2 has 3 fields, needs 2 (text, label); a comma"),
        ("a.tsv", "label\ttext_a\n1\ta\n", "line 1 must have the columns text, label, but column "
         "'text' is missing, columns found: 'label', 'text_a'"),
        ("a.tsv", "text\tstars\na\t1\n", "column 'label' is missing, columns found: 'text', 'st"),
        ("a.tsv", "7\ta\t1\n", "column 'text' is missing, columns found: '7', 'a', '1'; rename"),
        ("a.csv", "\na,1\nb,0\n", "line 2 must have the columns text, label"),
        ("a.csv", f"{'a' * 40},1\n", f"columns found: '{'a' * 29}…', '1'; rename"),
        ("a.tsv", "text\tlabel\ttext\na\t1\tb\n", "line 1 must name 'text' once"),
        ("a.tsv", "text\tlabel\na\t \n", "line 2 must have a label, got an empty one"),
        ("a.csv", 'text,label\na,1\nb,""\n', "line 3 must have a label, got an empty one"),
        ("a.csv", 'text,label\na,1\nb,"1\nc,0\n', "line 3 must start a valid CSV row, got 'unexp"),
        ("a.csv", 'text,label\n"a"b,1\n', "line 2 must start a valid CSV row"),
        ("a.csv", "text,label\ra,1\r", "line 1 must start a valid CSV row"),
    ],
)  # fmt: skip
def test_table_errors(tmp_path, name, content, message):
    check_error(write(tmp_path, name, content), message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "a\tb\nc\n", "line 2 has 1 field, needs 2 (text, column 2)"),
        ("a.tsv", "a\nb\tc\n", "line 2 has 2 fields, needs 1 (text); a tab"),
        ("a.csv", "a,b\n", "line 1 must have the columns text, but column 'text' is missing"),
        ("a.csv", "a\nb,c\n", "line 2 has 2 fields, needs 1 (text); a comma"),
        ("a.tsv", "label\n1\n", "column 'text' is missing, columns found: 'label'"),
    ],
)
def test_unlabelled_table_errors(tmp_path, name, content, message):
    check_error(write(tmp_path, name, content), message, labelled=False)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.tsv", ""), ("a.tsv.gz", ""), ("a.csv", "\n \n"), ("a.jsonl", "\r\n"),
     ("a.tsv", "text\tlabel\n"), ("a.csv", "\ufefftext,label")],
)  # fmt: skip
def test_no_rows(tmp_path, name, content, labelled):
    check_error(write(tmp_path, name, content), "got no rows", labelled=labelled)


def test_places_that_are_no_file(tmp_path):
    check_error(tmp_path / "a.tsv", "nothing is there; check the path", error=FileNotFoundError)
    check_error(tmp_path, "is a directory; pass one of its files")
    (tmp_path / "a.tsv").mkdir()
    check_error(tmp_path / "a.tsv", "is a directory")


@pytest.mark.parametrize("name", ["a.parquet", "a", "a.gz", "a.tsv.bz2"])
def test_unknown_extension(tmp_path, name):
    check_error(write(tmp_path, name, "a\t1\n"), ".tsv, .csv, .jsonl, .json, .txt", ".gz, got '")


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_not_utf8(tmp_path, name):
    path = write(tmp_path, name, "text\tlabel\n\u00e9\t1\ncaf".encode() + b"\xe9\t1\n")
    check_error(path, "line 3 must be UTF-8, got byte 0xe9 at byte offset 19; convert")


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_nul_byte(tmp_path, name):
    path = write(tmp_path, name, TABLE[name[2:]].replace("d", "\0", 1))
    offset = path.read_bytes().index(0)
    check_error(path, f"must be text, got a NUL byte at byte offset {offset}")


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-12], lambda data: data[:20] + b"\xff\xff" + data[22:], lambda _: b"a\t1"],
    ids=["truncated", "corrupted", "not gzipped"],
)
def test_damaged_gzip(tmp_path, damage):
    path = write(tmp_path, "a.tsv.gz", TABLE["tsv"])
    path.write_bytes(damage(path.read_bytes()))
    check_error(path, "must be a whole gzip file", "cannot be decompressed")


def test_csv_field_limit(tmp_path, monkeypatch):
    limit = csv.field_size_limit()
    path = write(tmp_path, "a.csv", f"text,label\na,1\n{'b' * 200_000},0\n")
    assert len(read_examples(path).texts[1]) == 200_000
    monkeypatch.setattr(formats, "_CSV_FIELD_LIMIT", 1000)
    check_error(path, "line 3 must start a valid CSV row, got 'field larger than field limit")
    assert csv.field_size_limit() == limit


def test_one_label_is_allowed(tmp_path):
    assert label_names(write(tmp_path, "a.tsv", "a\t1\nb\t1\n")) == ["1"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1", "9"], ["-1", "9", "10"]),
        (["10", "9", "b"], ["10", "9", "b"]),
        (["1.0", "10", "9"], ["1.0", "10", "9"]),
        (["pos", "Neg", "é", "neg"], ["Neg", "neg", "pos", "é"]),
    ],
)
def test_label_names(labels, names):
    assert label_names(Examples("a.tsv", ["a"] * len(labels), labels=labels)) == names


def test_label_names_need_labels():
    with pytest.raises(ValueError, match=r"a\.txt: label names need .* got labels=None"):
        label_names(Examples("a.txt", ["a"]))


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not there")
def test_real_files():
    train = read_examples(DATA / "sst2" / "train.tsv.gz")
    dev = read_examples(DATA / "sst2" / "dev.tsv")
    assert (len(train), len(dev)) == (6920, 872)
    assert label_names(train) == label_names(dev) == ["0", "1"]
    assert train.texts[0].startswith("a stirring , funny and finally transporting")
    assert train.text_pairs is None
    check_error(
        DATA / "chnsenticorp" / "dev.tsv.gz",
        "line 1 must have the columns text, label, but column 'text' is missing, "
        "columns found: 'label', 'text_a'",
    )
