import numpy as np
import pytest

from keras_bert_kit import BertModel
from keras_bert_kit.explain import AttentionMaps, attention_maps, attention_rollout

TEXT = "not bad, but kettles"


def test_the_maps_are_the_models_attention_probabilities(classifier):
    maps = attention_maps(classifier, TEXT)
    length = len(maps.tokens)
    assert maps.tokens[0] == "[CLS]"
    assert (maps.weights.shape, maps.weights.dtype) == ((2, 3, length, length), np.float32)
    inputs = classifier.tokenizer([TEXT])
    expected = classifier.bert(inputs, output_attentions=True)["attentions"]
    np.testing.assert_allclose(maps.weights[1], expected[1][0], atol=1e-6)
    np.testing.assert_allclose(maps.weights.sum(-1), 1, atol=1e-5)
    assert maps.layers == [1, 2]


def test_any_model_and_a_pair_will_do(make):
    maps = attention_maps(make(BertModel), "good food", "bad room")
    assert maps.tokens == ["[CLS]", "good", "food", "[SEP]", "bad", "room", "[SEP]"]


def test_the_rollout_is_the_product_over_the_layers():
    random = np.random.default_rng(3)
    weights = random.random((3, 2, 4, 4)).astype("float32")
    weights /= weights.sum(-1, keepdims=True)
    mixed = 0.5 * weights.mean(1) + 0.5 * np.eye(4)
    rollout = attention_rollout(weights)
    np.testing.assert_allclose(rollout, mixed[2] @ mixed[1] @ mixed[0], atol=1e-6)
    np.testing.assert_allclose(rollout.sum(-1), 1, atol=1e-6)
    assert rollout.dtype == np.float32


def test_the_rollout_of_heads_that_look_at_themselves_is_the_identity():
    weights = np.tile(np.eye(3, dtype="float32"), (2, 5, 1, 1))
    np.testing.assert_array_equal(attention_rollout(weights), np.eye(3))


def test_layers_are_chosen_by_their_number(classifier):
    maps = attention_maps(classifier, TEXT)
    one = maps.of_layers([2, 2])
    assert one.layers == [2]
    np.testing.assert_array_equal(one.weights, maps.weights[1:])
    np.testing.assert_array_equal(one.rollout(), attention_rollout(maps.weights[1:]))


@pytest.mark.parametrize("layers", [[0], [1, 3], [-1], []])
def test_a_layer_that_is_not_there_is_refused(layers):
    maps = AttentionMaps(["a"], np.ones((2, 1, 1, 1), "float32"), [1, 2])
    with pytest.raises(ValueError, match=r"The layers must be from 1 to 2\. Received"):
        maps.of_layers(layers)
