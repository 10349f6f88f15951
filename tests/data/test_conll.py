import collections
import gzip
import re

import pytest

from keras_bert_kit.data.conll import TaggedSentences, read_conll, tag_names
from keras_bert_kit.data.tags import spans_of

TEXT = "-DOCSTART- -X- O\n\nEU NNP I-ORG\nrejects VBZ O\n\nPeter NNP I-PER\nBlackburn NNP I-PER\n"


def write(tmp_path, text, name="train.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as caught:
        read_conll(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("change", [
    str, lambda text: text.replace("\n", "\r\n"), lambda text: text.replace(" ", "\t"),
    lambda text: text.rstrip(), lambda text: "\n\n" + text.replace("\n\n", "\n \n\n"),
])  # fmt: skip
def test_sentences_are_read(tmp_path, change):
    found = read_conll(write(tmp_path, change(TEXT)))
    assert found.words == [["EU", "rejects"], ["Peter", "Blackburn"]]
    assert found.tags == [["B-ORG", "O"], ["B-PER", "I-PER"]]
    assert (found.scheme, found.repairs, len(found)) == ("IOB1", 0, 2)


def test_gzip_comments_and_columns(tmp_path):
    text = "# a comment\n1 B-X Ada #\n2 O # of\n"
    path = write(tmp_path, gzip.compress(text.encode()), "train.conll.gz")
    found = read_conll(path, word_column=2, tag_column=1)
    assert found.words == [["Ada", "#"]]
    assert found.tags == [["B-X", "O"]]


def test_a_line_with_too_few_columns_is_named(tmp_path):
    message = refusal(tmp_path, "EU B-ORG\nrejects\n")
    assert "line 2 must have at least 2 columns, a word and its tag, got 1: 'rejects'" in message


def test_a_tag_of_no_scheme_is_named(tmp_path):
    assert "line 3: a tag must be O" in refusal(tmp_path, "EU B-ORG\n\nrejects VBZ\n")


def test_other_bad_files(tmp_path):
    assert "at least one sentence" in refusal(tmp_path, "\n\n")
    assert "line 1 must be UTF-8" in refusal(tmp_path, b"caf\xe9 O\n")
    assert "must be of one scheme" in refusal(tmp_path, "a B-X\nb I-X\nc M-X\n")
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_conll(tmp_path / "absent.txt")


def test_repairs_are_counted(tmp_path):
    text = "a B-X\nb O\nc I-X\nd B-Y\n\ne B-X\n"
    found = read_conll(write(tmp_path, text))
    assert (found.scheme, found.repairs) == ("IOB2", 1)
    assert found.tags[0] == ["B-X", "O", "B-X", "B-Y"]


def test_names_have_both_tags_of_each_type():
    sentences = TaggedSentences("x", [["a", "b"]], [["B-PER", "B-LOC"]])
    assert tag_names(sentences) == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert tag_names([["O"]]) == ["O"]


@pytest.mark.data
def test_conll2003(data_dir):
    train = read_conll(data_dir / "conll2003" / "eng.train.gz")
    assert (len(train), train.scheme, train.repairs) == (14041, "IOB1", 0)
    types = collections.Counter(type_ for tags in train.tags for type_, _, _ in spans_of(tags))
    assert types == {"LOC": 7140, "PER": 6600, "ORG": 6321, "MISC": 3438}
    assert len(read_conll(data_dir / "conll2003" / "eng.testa.gz")) == 3250


@pytest.mark.data
def test_weibo(data_dir):
    train = read_conll(data_dir / "weibo_ner" / "train.all.bmes.gz")
    assert (len(train), train.scheme) == (1350, "BMES")
    assert len(read_conll(data_dir / "weibo_ner" / "dev.all.bmes")) == 270
