import itertools

import numpy as np
import pytest

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data import Examples, bucketed_batches, encode_texts, length_buckets

MAX_LENGTH = 60
ROWS, BATCH = 403, 16
MODES = {
    "in order": {},
    "shuffled": {"seed": 3},
    "one epoch": {"seed": 3, "epochs": [1]},
    "three epochs": {"seed": 3, "epochs": range(3)},
}


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


@pytest.fixture(scope="module")
def texts(tokenizer):
    """Texts of skewed lengths that start with the digits of their row."""
    return encode_texts(Examples("texts", numbered_texts(ROWS)), tokenizer, MAX_LENGTH)


def numbered_texts(rows, seed=5):
    extra = np.minimum(np.random.default_rng(seed).geometric(0.08, rows), MAX_LENGTH - 6) - 1
    return [f"{number(row)}{' good' * count}" for row, count in enumerate(extra)]


def number(row):
    return " ".join(f"{row:04d}")


def arrays(dataset):
    """The batches as (inputs, labels) of NumPy arrays."""
    return list(dataset.as_numpy_iterator())


def order(dataset):
    return np.concatenate([labels for _, labels in arrays(dataset)]).tolist()


def batches(texts, batch_size=BATCH, **options):
    return bucketed_batches(texts, np.arange(len(texts)), batch_size, **options)


def padding_share(found):
    masks = [inputs["attention_mask"] for inputs, _ in found]
    return 1 - sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)


@pytest.mark.parametrize("mode", MODES)
def test_every_row_comes_exactly_once_an_epoch(texts, mode):
    epochs = len(MODES[mode].get("epochs", [0]))
    rows = order(batches(texts, **MODES[mode]))
    for epoch in range(epochs):
        assert sorted(rows[epoch * ROWS : (epoch + 1) * ROWS]) == list(range(ROWS))
    assert len(rows) == epochs * ROWS


@pytest.mark.parametrize("mode", MODES)
def test_cardinality_is_the_number_of_batches(texts, mode):
    dataset = batches(texts, **MODES[mode])
    assert len(dataset) == int(dataset.cardinality()) == len(arrays(dataset))


@pytest.mark.parametrize("mode", MODES)
def test_shapes_are_few(texts, mode):
    found = arrays(batches(texts, **MODES[mode]))
    epochs = len(MODES[mode].get("epochs", [0]))
    shapes = [inputs["input_ids"].shape for inputs, _ in found]
    buckets = length_buckets(MAX_LENGTH)
    assert {length for _, length in shapes} <= set(buckets)
    assert sum(rows != BATCH for rows, _ in shapes) == epochs
    assert {rows for rows, _ in shapes} == {BATCH, ROWS % BATCH}
    assert len({shape for shape in shapes if shape[0] == BATCH}) <= len(buckets)
    if epochs == 1:
        assert len(set(shapes)) <= len(buckets) + 1


@pytest.mark.parametrize("mode", MODES)
def test_each_batch_is_padded_to_the_least_bucket_of_its_longest_text(texts, mode):
    for inputs, _ in arrays(batches(texts, **MODES[mode])):
        longest = inputs["attention_mask"].sum(axis=1).max()
        least = min(bucket for bucket in length_buckets(MAX_LENGTH) if bucket >= longest)
        assert inputs["input_ids"].shape[1] == least


@pytest.mark.parametrize("mode", MODES)
def test_without_few_lengths_each_batch_is_as_long_as_its_longest_text(texts, mode):
    exact = arrays(batches(texts, few_lengths=False, **MODES[mode]))
    for (inputs, rows), (_, expected) in zip(
        exact, arrays(batches(texts, **MODES[mode])), strict=True
    ):
        assert inputs["input_ids"].shape[1] == inputs["attention_mask"].sum(axis=1).max()
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("mode", MODES)
def test_labels_stay_with_their_texts(texts, tokenizer, mode):
    for inputs, labels in arrays(batches(texts, **MODES[mode])):
        assert set(inputs) == {"input_ids", "token_type_ids", "attention_mask"}
        assert {array.dtype.name for array in (*inputs.values(), labels)} == {"int32"}
        lengths = inputs["attention_mask"].sum(axis=1)
        np.testing.assert_array_equal(lengths, texts.lengths[labels])
        for ids, row in zip(inputs["input_ids"], labels, strict=True):
            assert tokenizer.decode(ids[1:5]) == number(row)


def test_batches_hold_what_the_tokenizer_gives(texts, tokenizer):
    written = numbered_texts(ROWS)
    for inputs, rows in arrays(batches(texts, seed=1))[:5]:
        expected = tokenizer([written[row] for row in rows], max_length=MAX_LENGTH)
        width = expected["input_ids"].shape[1]
        for name, array in expected.items():
            np.testing.assert_array_equal(inputs[name][:, :width], array)
            assert not inputs[name][:, width:].any()


def test_without_seed_the_order_is_the_files(texts):
    assert order(batches(texts)) == list(range(ROWS))


def test_the_seed_decides_the_order(texts):
    first = order(batches(texts, seed=3, epochs=[0]))
    assert order(batches(texts, seed=3, epochs=[0])) == first
    assert order(batches(texts, seed=4, epochs=[0])) != first
    assert order(batches(texts, seed=3, epochs=[1])) != first
    assert order(batches(texts, seed=3)) == order(batches(texts, seed=3))
    assert order(batches(texts, seed=3)) != order(batches(texts, seed=4))


def test_without_epochs_each_pass_has_another_order(texts):
    dataset = batches(texts, seed=3)
    assert order(dataset) != order(dataset)


def test_with_epochs_each_pass_has_the_same_order(texts):
    dataset = batches(texts, seed=3, epochs=[0, 1])
    assert order(dataset) == order(dataset)


def test_an_epoch_alone_equals_that_epoch_of_a_longer_run(texts):
    whole = order(batches(texts, seed=3, epochs=range(3)))
    for epoch in range(3):
        part = whole[epoch * ROWS : (epoch + 1) * ROWS]
        assert order(batches(texts, seed=3, epochs=[epoch])) == part


def test_the_order_is_random_and_not_sorted_by_length(texts):
    found = arrays(batches(texts, seed=3, epochs=[0]))
    widths = [inputs["input_ids"].shape[1] for inputs, _ in found]
    assert widths not in (sorted(widths), sorted(widths, reverse=True))
    together = [set(labels.tolist()) for _, labels in found]
    again = [set(labels.tolist()) for _, labels in arrays(batches(texts, seed=3, epochs=[1]))]
    assert sum(batch in again for batch in together) < len(found) / 4


@pytest.mark.parametrize("mode", MODES)
def test_no_tuner_has_to_be_waited_for(texts, mode):
    dataset = bucketed_batches(texts, None, BATCH, **MODES[mode])
    assert dataset.options().autotune.enabled is False


@pytest.mark.parametrize("batch_size", [8, 32])
def test_padding_is_far_below_that_of_unsorted_batches(texts, batch_size):
    sorted_ = padding_share(arrays(batches(texts, batch_size, seed=3)))
    unsorted = padding_share(arrays(batches(texts, batch_size)))
    assert sorted_ < 0.25
    assert sorted_ < unsorted / 2


def test_pairs(tokenizer):
    first, second = numbered_texts(50), [f"bad{' slow' * (row % 7)}" for row in range(50)]
    texts = encode_texts(Examples("pairs", first, second), tokenizer, MAX_LENGTH)
    for inputs, rows in arrays(batches(texts, 8, seed=0)):
        np.testing.assert_array_equal(inputs["attention_mask"].sum(axis=1), texts.lengths[rows])
        expected = tokenizer(
            [first[row] for row in rows], [second[row] for row in rows], max_length=MAX_LENGTH
        )
        for name, array in expected.items():
            np.testing.assert_array_equal(inputs[name][:, : array.shape[1]], array)


def test_without_labels_the_inputs_come_alone(texts):
    found = arrays(bucketed_batches(texts, None, BATCH))
    assert all(isinstance(inputs, dict) for inputs in found)
    assert sum(len(inputs["input_ids"]) for inputs in found) == ROWS


@pytest.mark.parametrize("seed", [None, 3])
def test_fewer_rows_than_a_batch(tokenizer, seed):
    texts = encode_texts(Examples("few", ["good", "very bad food", ""]), tokenizer, MAX_LENGTH)
    ((inputs, labels),) = arrays(batches(texts, 32, seed=seed))
    assert inputs["input_ids"].shape == (3, 8)
    assert sorted(labels.tolist()) == [0, 1, 2]
    assert sorted(inputs["attention_mask"].sum(axis=1).tolist()) == [2, 3, 5]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_must_be_positive(texts, batch_size):
    with pytest.raises(ValueError, match=f"at least 1. Received: batch_size={batch_size}"):
        bucketed_batches(texts, None, batch_size)


def test_length_buckets_up_to_40():
    assert length_buckets(40) == [8, 16, 24, 32, 40]


def test_length_buckets_grow_by_little_and_end_at_the_longest():
    for longest in range(3, 700):
        buckets = length_buckets(longest)
        assert buckets[-1] == longest
        assert buckets == sorted(set(buckets))
        assert all(bucket % 8 == 0 for bucket in buckets[:-1])
        assert all(b - a <= max(8, a / 4) for a, b in itertools.pairwise(buckets))
        assert len(buckets) <= 20
