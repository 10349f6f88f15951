import pytest

from keras_bert_kit.data.propositions import read_propositions


def line(number, word, *columns):
    return "\t".join([str(number), word, *["_"] * 8, *columns]) + "\n"


SENTENCE = (
    "# text = They can stay\n"
    + line("1", "They", "_", "ARG0", "ARG1")
    + line("2-3", "cannot", "_", "_", "_")
    + line("2", "can", "can.01", "V", "_")
    + line("2.1", "not", "_", "_", "_")
    + line("3", "stay", "stay.01", "ARG1", "V")
)


def write(tmp_path, text):
    path = tmp_path / "train.conllu"
    path.write_text(text)
    return path


def test_each_predicate_is_a_row_and_the_sentence_is_one(tmp_path):
    found = read_propositions(write(tmp_path, SENTENCE + "\n" + line("1", "Gifts", "_") + "\n"))
    assert (found.sentences, len(found)) == (2, 4)
    assert found.words[:3] == [["They", "can", "stay"]] * 3
    assert found.predicates == [None, 1, 2, None]
    assert found.tags == [
        ["O", "B-V", "B-V"],
        ["B-ARG0", "B-V", "B-ARG1"],
        ["B-ARG1", "O", "B-V"],
        ["O"],
    ]


def test_a_sentence_may_have_the_ten_columns_alone(tmp_path):
    found = read_propositions(write(tmp_path, line("1", "Gifts")))
    assert (found.tags, found.predicates) == ([["O"]], [None])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line("1", "a", "a.01", "V") + line("2", "b", "_"), "line 2 must have a column of roles"),
        (line("1", "a", "_") + "2\tb\t_\n", "line 2 must have at least 11 columns"),
        ("# nothing\n", "must have at least one sentence"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read_propositions(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.data
def test_universal_propositions(data_dir):
    path = data_dir / "up_english_ewt" / "en_ewt-up-dev.conllu.gz"
    found = read_propositions(path)
    assert (found.sentences, len(found) - found.sentences) == (2002, 4977)
    marked = [tags[place] for tags, place in zip(found.tags, found.predicates, strict=True)
              if place is not None]  # fmt: skip
    assert set(marked) == {"B-V"}
