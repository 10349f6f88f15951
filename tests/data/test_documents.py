import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data import Examples, bucketed_batches, length_buckets, read_examples
from keras_bert_kit.data.documents import encode_documents, window_buckets

COUNTS = [0, 1, 5, 6, 7, 8, 9, 10, 11, 14, 15, 29, 30, 31, 64]
TEXTS = [" ".join(("good", "bad", "food", "room")[i % 4] for i in range(n)) for n in COUNTS]


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


def encoded(tokenizer, texts=TEXTS, **options):
    return encode_documents(Examples("texts", texts), tokenizer, **options)


@pytest.mark.parametrize(("window_length", "stride"), [(8, 0), (8, 2), (8, 5), (5, 1), (70, 3)])
def test_windows_are_those_of_the_tokenizer(tokenizer, window_length, stride):
    documents = encoded(tokenizer, window_length=window_length, stride=stride)
    packed = documents.pack(np.arange(len(TEXTS)), documents.max_length)
    real = np.arange(documents.max_length) < documents.lengths[:, None]
    expected = tokenizer(
        TEXTS,
        max_length=window_length,
        padding="max_length",
        stride=stride,
        return_overflowing_tokens=True,
    )
    of_text = expected.pop("overflow_to_sample_mapping")
    np.testing.assert_array_equal(documents.lengths, np.bincount(of_text))
    for name, values in expected.items():
        assert packed[name].dtype == tf.int32
        assert packed[name].shape == (*real.shape, window_length)
        np.testing.assert_array_equal(np.asarray(packed[name])[real], values, err_msg=name)
        np.testing.assert_array_equal(np.asarray(packed[name])[~real], 0, err_msg=name)


def test_padding_has_the_pad_token(tiny_vocab):
    vocab = [*tiny_vocab[1:6], "[PAD]", *tiny_vocab[6:]]
    documents = encoded(BertTokenizer(vocab), ["good", "bad " * 9], window_length=8, stride=2)
    input_ids = np.asarray(documents.pack([0, 1], 2)["input_ids"])
    assert (input_ids[0, 1] == 5).all()
    assert (input_ids[0, 0] == 5).sum() == 5


def test_the_first_windows_are_kept_and_the_rest_is_counted(tokenizer):
    every = encoded(tokenizer, window_length=8, stride=2)
    few = encoded(tokenizer, window_length=8, stride=2, max_windows=3)
    np.testing.assert_array_equal(few.lengths, np.minimum(every.lengths, 3))
    assert (every.truncated, few.truncated) == (0, (every.lengths > 3).sum())
    assert (every.empty, few.max_length) == (1, 3)
    rows = np.arange(len(TEXTS))
    of_every, of_few = every.pack(rows, every.max_length), few.pack(rows, 3)
    for name, values in of_few.items():
        np.testing.assert_array_equal(values, of_every[name][:, :3])


def test_batches_are_padded_to_buckets_of_windows(tokenizer):
    documents = encoded(tokenizer, TEXTS * 8, window_length=8, stride=2)
    labels = np.arange(len(documents), dtype="int32")
    seen = []
    for inputs, rows in bucketed_batches(documents, labels, batch_size=5, seed=2):
        windows = inputs["input_ids"].shape[1]
        longest = documents.lengths[rows].max()
        assert windows == min(b for b in documents.buckets if b >= longest)
        counted = np.asarray(inputs["attention_mask"]).any(-1).sum(1)
        np.testing.assert_array_equal(counted, documents.lengths[rows])
        seen += rows.numpy().tolist()
    assert sorted(seen) == labels.tolist()
    assert documents.buckets != length_buckets(documents.max_length)


@pytest.mark.parametrize(
    ("most", "buckets"),
    [
        (1, [1]),
        (2, [1, 2]),
        (5, [1, 2, 3, 4, 5]),
        (8, [1, 2, 3, 4, 6, 8]),
        (20, [1, 2, 3, 4, 6, 8, 12, 16, 20]),
    ],
)
def test_buckets_grow_and_end_at_the_most_windows(most, buckets):
    assert window_buckets(most) == buckets


def test_no_texts_and_second_texts(tokenizer):
    none = encoded(tokenizer, [])
    assert (len(none), none.max_length, none.buckets) == (0, 1, [1])
    pairs = dataclasses.replace(Examples("pairs", ["good"]), text_pairs=["bad"])
    packed = encode_documents(pairs, tokenizer, window_length=8, stride=0).pack([0], 1)
    assert int(np.sum(packed["attention_mask"])) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_length": 8, "stride": 6}, r"stride must be from 0 to 5.*Received: stride=6\."),
        ({"window_length": 8, "stride": -1}, r"stride must be from 0 to 5.*Received: stride=-1\."),
        ({"window_length": 2, "stride": 0}, "max_length must be at least 3"),
        ({"max_windows": 0}, "max_windows must be at least 1. Received: max_windows=0"),
    ],
)
def test_windows_that_cannot_be_are_refused(tokenizer, options, message):
    with pytest.raises(ValueError, match=message):
        encoded(tokenizer, **options)


@pytest.mark.data
def test_windows_of_film_reviews_hold_every_token(tokenizer, data_dir):
    reviews = read_examples(data_dir / "movie_reviews" / "train.tsv.gz")
    examples = Examples("reviews", reviews.texts[:40])
    documents = encode_documents(examples, tokenizer, window_length=256, stride=32)
    tokens = np.diff(documents.ids.row_splits)
    assert documents.max_length > 4
    for row, count in enumerate(tokens):
        mask = np.asarray(documents.pack([row], int(documents.lengths[row]))["attention_mask"])
        windows = documents.lengths[row]
        assert mask.sum() == count + 2 * windows + 32 * (windows - 1)
