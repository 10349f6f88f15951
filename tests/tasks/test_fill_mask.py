import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForMaskedLM
from keras_bert_kit.data import Examples
from keras_bert_kit.tasks.fill_mask import FillMask

TEXTS = ["the food was good", "the room was very very bad", "", "nice film"] * 8


@pytest.fixture(scope="module")
def model(tiny_folder):
    return BertForMaskedLM.from_pretrained(tiny_folder)


def rows_of(model, **options):
    return FillMask(**options).data(model, Examples("texts", TEXTS), 16).features


def test_the_weights_are_of_mean_1_where_tokens_are_hidden(model):
    features = rows_of(model)
    inputs, tokens, weights = features.pack(tf.range(8), tf.constant(16))
    chosen = weights.numpy() > 0
    assert weights.numpy().mean() == pytest.approx(1)
    assert len(set(weights.numpy()[chosen])) == 1
    places = inputs["masked_positions"].numpy()
    whole = features.texts.pack(tf.range(8), tf.constant(16))["input_ids"].numpy()
    hidden = np.take_along_axis(whole, places, axis=1)
    np.testing.assert_array_equal(hidden[chosen], tokens.numpy()[chosen])
    assert model.tokenizer.mask_token_id in inputs["input_ids"].numpy()


def test_the_choice_depends_on_the_batch_alone(model):
    features = rows_of(model, mlm_probability=0.4)
    first, again, other = (
        features.pack(tf.constant(rows), tf.constant(16))[0]["input_ids"].numpy()
        for rows in ([0, 1, 4, 5], [0, 1, 4, 5], [1, 0, 5, 4])
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other[[1, 0, 3, 2]]).any()


def test_the_words_of_a_segmenter_are_hidden_whole(model):
    features = rows_of(model, segmenter="builtins:list", mlm_probability=0.4)
    assert features.masker.whole_word_mask
    assert not any(map(any, features.continues.to_list()))  # each character is a word
    features = rows_of(model, segmenter="test_fill_mask_words:two", mlm_probability=0.4)
    assert features.continues.to_list()[0] == [False, True, False, True]


@pytest.fixture(autouse=True)
def segmenter(monkeypatch):
    """A module whose words are pairs of the texts' words."""
    import sys
    import types

    def two(text):
        words = text.split()
        return [" ".join(words[place : place + 2]) for place in range(0, len(words), 2)]

    module = types.ModuleType("test_fill_mask_words")
    module.two = two
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_the_best_words_come_first(model):
    from keras_bert_kit import pipeline

    one, two = pipeline(model)(["the [MASK] was good", "[MASK] and [MASK]"])
    assert [word["mask"] for word in two["predictions"]] == [0] * 5 + [1] * 5
    scores = [word["score"] for word in one["predictions"]]
    assert scores == sorted(scores, reverse=True)
    inputs = model.tokenizer(["the [MASK] was good"])
    logits = np.asarray(model(inputs).logits)[0, 2]
    best = model.tokenizer.convert_ids_to_tokens(np.argsort(-logits)[:5])
    assert [word["token"] for word in one["predictions"]] == best
