import json

import pytest

from keras_bert_kit.data.choices import read_choices


def write(tmp_path, *rows):
    path = tmp_path / "train.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def row(**changes):
    return {"question": "who?", "choices": ["Ada", "Alan"], "label": 1, **changes}


def test_rows_are_read(tmp_path):
    found = read_choices(write(tmp_path, row(), "", row(context="then", label="Ada")))
    assert found.choices == [["Ada", "Alan"]] * 2
    assert (found.labels, found.contexts, len(found)) == ([1, 0], ["", "then"], 2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "line 2 must be a JSON object, but is not JSON"),
        ("[1]", "line 2 must be a JSON object, got a list"),
        (row(question=None), "line 2 must have a question"),
        (row(context=3), "line 2 must have a question, a string.*context=3"),
        (row(choices=["Ada"]), "line 2 must have choices, two or more strings"),
        (row(choices="Ada"), "line 2 must have choices"),
        (row(label=2), "line 2 must have a label, the index of a choice from 0 to 1"),
        (row(label=True), "line 2 must have a label"),
        (row(label="Grace"), "line 2 must have a label"),
        (row(choices=["Ada", "Ada"], label="Ada"), "line 2 must have a label"),
        (row(choices=["a", "b", "c"]), "line 2 must have 2 choices, as the first has, got 3"),
    ],
)
def test_a_bad_line_is_named(tmp_path, bad, message):
    path = write(tmp_path, row(), bad)
    with pytest.raises(ValueError, match=message) as caught:
        read_choices(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_empty_file(tmp_path):
    with pytest.raises(ValueError, match="at least one question"):
        read_choices(write(tmp_path))
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_choices(tmp_path / "absent.jsonl")
