import numpy as np
import pytest

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data import Examples, bucketed_batches, encode_texts
from keras_bert_kit.data.pairs_of_texts import encode_text_pairs

FIRST = ["good food", "", "very " * 12, "the room"]
SECOND = ["bad", "nice staff and room", "", "the very very good room"]
PAIRS = Examples("pairs", FIRST, SECOND)


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


def test_each_text_is_a_sequence_of_its_own(tokenizer):
    pairs = encode_text_pairs(PAIRS, tokenizer, max_length=9)
    packed = pairs.pack(np.array([2, 0, 1]), 9)
    for side, texts in enumerate((FIRST, SECOND)):
        expected = tokenizer([texts[i] for i in (2, 0, 1)], max_length=9, padding="max_length")
        for name, values in expected.items():
            assert packed[name].shape == (3, 2, 9)
            np.testing.assert_array_equal(packed[name][:, side], values, err_msg=name)


def test_the_longer_text_gives_the_length(tokenizer):
    pairs = encode_text_pairs(PAIRS, tokenizer, max_length=9)
    assert pairs.lengths.tolist() == [4, 6, 9, 7]
    assert (len(pairs), pairs.max_length, pairs.empty, pairs.truncated) == (4, 9, 2, 1)
    alone = encode_texts(Examples("first", FIRST), tokenizer, 9)
    np.testing.assert_array_equal(pairs.first.lengths, alone.lengths)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_scores_are_the_targets(tokenizer, shape):
    scores = np.array([0.5, 1.0, 0.0, 0.25]).reshape(shape)
    pairs = encode_text_pairs(PAIRS, tokenizer, max_length=9, scores=scores)
    batches = list(bucketed_batches(pairs, None, batch_size=3))
    given = np.concatenate([targets for _, targets in batches])
    assert given.dtype == "float32"
    assert given.tolist() == [0.5, 1.0, 0.0, 0.25]
    assert [inputs["input_ids"].shape for inputs, _ in batches] == [(3, 2, 9), (1, 2, 8)]


def test_targets_may_come_with_the_batches(tokenizer):
    pairs = encode_text_pairs(PAIRS, tokenizer)
    [(inputs, targets)] = bucketed_batches(pairs, np.ones(4, "float32"), batch_size=4)
    assert inputs["input_ids"].shape == (4, 2, 16)
    assert targets.numpy().tolist() == [1, 1, 1, 1]


def test_pairs_and_a_score_for_each_are_needed(tokenizer):
    with pytest.raises(ValueError, match=r"texts: pairs of texts need.*Received: text_pairs=None"):
        encode_text_pairs(Examples("texts", FIRST), tokenizer)
    with pytest.raises(ValueError, match="Received: 3 scores for 4 pairs"):
        encode_text_pairs(PAIRS, tokenizer, scores=[0.1, 0.2, 0.3])
