"""What the layers say of arguments and inputs that they cannot work with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.layers import (
    BertEmbeddings,
    ClassificationHead,
    MultiHeadSelfAttention,
    TransformerEncoder,
    TransformerEncoderBlock,
)

SIZES = {"hidden_size": 20, "num_attention_heads": 5}
BLOCK = {**SIZES, "intermediate_size": 37}
EMBEDDINGS = {"vocab_size": 31, "hidden_size": 20, "max_position_embeddings": 9}
IDS = np.arange(6, dtype="int32").reshape(2, 3)
NAMES = ("input_ids", "token_type_ids", "position_ids")
LIMITS = {
    "input_ids": "vocab_size=31",
    "token_type_ids": "type_vocab_size=2",
    "position_ids": "max_position_embeddings=9",
}


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), None, "0.1"])
@pytest.mark.parametrize(
    ("layer_class", "name", "sizes"),
    [
        (BertEmbeddings, "hidden_dropout_prob", EMBEDDINGS),
        (MultiHeadSelfAttention, "attention_probs_dropout_prob", SIZES),
        (TransformerEncoderBlock, "attention_probs_dropout_prob", BLOCK),
        (TransformerEncoderBlock, "hidden_dropout_prob", BLOCK),
        (TransformerEncoder, "hidden_dropout_prob", {**BLOCK, "num_hidden_layers": 1}),
        (ClassificationHead, "dropout", {"num_labels": 3}),
    ],
)
def test_a_dropout_rate_is_at_least_zero_and_below_one(layer_class, name, sizes, rate):
    with pytest.raises(ValueError, match=f"^{name} must be at least 0 and below 1. Rec.*{rate!r}"):
        layer_class(**sizes, **{name: rate})
    layer_class(**sizes, **{name: 0})


def test_a_kind_of_positions_must_be_known():
    with pytest.raises(
        ValueError, match=r"must be one of absolute, sinusoidal\. Received: 'rotary'"
    ):
        BertEmbeddings(**EMBEDDINGS, position_embedding_type="rotary")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_ids_must_be_whole_numbers(name, dtype):
    layer = BertEmbeddings(**EMBEDDINGS)
    inputs = {"input_ids": IDS, **{name: np.ones((2, 3), dtype)}}
    with pytest.raises(TypeError, match=f"{name} must have an integer dtype") as caught:
        layer(**inputs)
    assert f"dtype={dtype}" in str(caught.value)
    assert 'keras.Input(..., dtype="int32")' in str(caught.value)


def test_a_functional_input_without_a_dtype_is_refused_when_the_model_is_made():
    with pytest.raises(TypeError, match="input_ids must have an integer dtype"):
        BertEmbeddings(**EMBEDDINGS)(keras.Input((None,)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("value", "shown"), [(31, 31), (-1, -1), (2**20, 2**20)])
def test_ids_outside_their_table_are_named_in_eager_mode(name, value, shown):
    layer = BertEmbeddings(**EMBEDDINGS)
    ids = np.zeros((2, 3), "int32")
    ids[1, 2] = value
    with pytest.raises(
        ValueError, match=f"{name} must be at least 0 and below {LIMITS[name]}"
    ) as e:
        layer(**{"input_ids": IDS, name: ids})
    assert f"Received: {shown}," in str(e.value)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_the_last_row_of_each_table_can_be_read(dtype):
    last = {name: np.full((2, 3), int(LIMITS[name].split("=")[1]) - 1, dtype) for name in NAMES}
    assert BertEmbeddings(**EMBEDDINGS)(**last).shape == (2, 3, 20)
    assert BertEmbeddings(**EMBEDDINGS)(np.zeros((0, 3), dtype)).shape == (0, 3, 20)


def test_graphs_are_traced_without_looking_at_ids():
    layer = BertEmbeddings(**EMBEDDINGS)
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None), "int32")])
    np.testing.assert_allclose(graph(IDS), layer(IDS), atol=1e-6)
