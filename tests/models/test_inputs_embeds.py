"""Word vectors in the place of ids."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import DTYPE_POLICIES, check_eager_graph_and_symbolic, check_same, randomise

from keras_bert_kit import (
    BertConfig,
    BertEmbeddings,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

B, S, H = 3, 7, 20
CONFIG = BertConfig(
    vocab_size=61,
    hidden_size=H,
    num_hidden_layers=2,
    num_attention_heads=5,
    intermediate_size=37,
    max_position_embeddings=11,
    type_vocab_size=3,
    id2label={0: "bad", 1: "so-so", 2: "good"},
)
random = np.random.default_rng(5)
IDS = random.integers(1, 61, (B, S)).astype("int32")
OTHERS = {
    "token_type_ids": random.integers(0, 3, (B, S)).astype("int32"),
    "attention_mask": (np.arange(S) < random.integers(1, S, (B, 1))).astype("int32"),
    "position_ids": random.integers(0, 11, (B, S)).astype("int32"),
}
MODELS = [BertModel, BertForSequenceClassification, BertForTokenClassification]


@pytest.fixture(params=MODELS)
def model(request):
    return randomise(request.param(CONFIG))


def vectors(model, ids=IDS):
    return getattr(model, "bert", model).embeddings.word_embeddings(ids)


@pytest.mark.parametrize("others", [{}, OTHERS])
def test_the_vectors_of_the_table_give_what_the_ids_give(model, others):
    expected = model(IDS, **others)
    check_same(model(inputs_embeds=vectors(model), **others), expected, atol=0)
    again = vectors(model, (IDS + 1) % 61)
    other = model(inputs_embeds=again, **others)
    assert np.abs(other[0] - expected[0]).max() > 1e-3


def test_gradients_flow_into_the_vectors(model):
    given = vectors(model)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = model(inputs_embeds=given, attention_mask=OTHERS["attention_mask"])[0]
        loss = tf.reduce_sum(output[:, 0] ** 2)
    gradient = tape.gradient(loss, given).numpy()
    assert gradient.shape == (B, S, H)
    seen = OTHERS["attention_mask"] == 1
    assert (np.abs(gradient[seen]).max(-1) > 0).all()
    np.testing.assert_array_equal(gradient[~seen], 0)


def test_the_layer_takes_vectors_in_graphs_and_symbolically():
    layer = BertEmbeddings(61, H, max_position_embeddings=11)
    inputs = {"inputs_embeds": random.normal(size=(B, S, H)).astype("float32")}
    check_eager_graph_and_symbolic(layer, inputs, (B, S, H))
    types = {"token_type_ids": OTHERS["token_type_ids"] % 2}
    check_eager_graph_and_symbolic(layer, {**inputs, **types}, (B, S, H))


def test_a_functional_model_takes_vectors(model):
    given = keras.Input((None, H), name="vectors")
    functional = keras.Model(given, model(inputs_embeds=given)[next(iter(model(IDS)))])
    np.testing.assert_allclose(functional(vectors(model)), model(IDS)[0], atol=1e-6)


@pytest.mark.parametrize("policy", DTYPE_POLICIES)
def test_vectors_are_cast_to_the_compute_dtype(policy):
    layer = BertEmbeddings(61, H, dtype=policy)
    given = layer.word_embeddings(IDS)
    expected = layer(IDS)
    assert layer(inputs_embeds=given).dtype == expected.dtype
    np.testing.assert_array_equal(layer(inputs_embeds=given), expected)
    assert layer(inputs_embeds=tf.cast(given, "float64")).dtype == expected.dtype


@pytest.mark.parametrize("given", [{}, {"input_ids": IDS, "inputs_embeds": np.zeros((B, S, H))}])
def test_ids_and_vectors_exclude_each_other(model, given):
    with pytest.raises(ValueError, match="Exactly one of input_ids and inputs_embeds must be"):
        model(**given)


@pytest.mark.parametrize("shape", [(B, S), (B, S, 1), (B, S, H + 1)])
def test_vectors_of_another_shape_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"inputs_embeds must have the shape \(batch, sequence, "):
        model(inputs_embeds=np.zeros(shape, "float32"))


def test_more_vectors_than_positions_are_refused():
    layer = BertEmbeddings(61, H, max_position_embeddings=S - 1)
    with pytest.raises(ValueError, match="at most max_position_embeddings=6 tokens"):
        layer(inputs_embeds=np.zeros((B, S, H), "float32"))
