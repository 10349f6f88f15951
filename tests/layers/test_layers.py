import doctest
import math
import sys

import keras
import numpy as np
import pytest
from checks import (
    DTYPE_POLICIES,
    call,
    check_config,
    check_copy,
    check_dtype,
    check_eager_graph_and_symbolic,
    check_gradients,
    check_layer,
    check_same,
    randomise,
)

from keras_bert_kit import layers
from keras_bert_kit.layers import (
    BertEmbeddings,
    ClassificationHead,
    MaskedLMHead,
    MultiHeadSelfAttention,
    NextSentenceHead,
    Pooler,
    TransformerEncoder,
    TransformerEncoderBlock,
)
from keras_bert_kit.layers.activations import activation
from keras_bert_kit.layers.embeddings import sinusoids

B, S, H, N, I = 13, 7, 20, 5, 37  # noqa: E741, the letters of the field
random = np.random.default_rng(11)
STATES = random.normal(size=(B, S, H)).astype("float32")
LENGTHS = random.integers(1, S, (B, 1))
MASK = (np.arange(S) < LENGTHS).astype("int32")  # (B, S), in every row at least one 0
BLOCK = {
    "hidden_size": H,
    "num_attention_heads": N,
    "intermediate_size": I,
    "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.3,
    "layer_norm_eps": 1e-5,
    "initializer_range": 0.3,
    "norm_first": True,
}
ATTENTION = {k: BLOCK[k] for k in ("hidden_size", "num_attention_heads", "initializer_range")}
EMBEDDINGS = {
    "vocab_size": 31,
    "hidden_size": H,
    "max_position_embeddings": 9,
    "type_vocab_size": 3,
    "hidden_dropout_prob": 0.2,
    "layer_norm_eps": 1e-5,
    "initializer_range": 0.3,
}
SINUSOIDAL = {"position_embedding_type": "sinusoidal"}
IDS = random.integers(0, 31, (B, S)).astype("int32")
TYPES = random.integers(0, 3, (B, S)).astype("int32")
PLACES = random.integers(0, 9, (B, S)).astype("int32")


@pytest.mark.parametrize("mask", [MASK, MASK.astype(bool), np.tile(MASK[:, None], (1, S, 1))])
def test_attention_is_a_keras_layer(mask):
    inputs = {"hidden_states": STATES, "attention_mask": mask}
    rate = {"attention_probs_dropout_prob": 0.3}
    check_layer(MultiHeadSelfAttention, inputs, (B, S, H), **ATTENTION, **rate)


def test_embeddings_are_a_keras_layer():
    inputs = {"input_ids": IDS, "token_type_ids": TYPES, "position_ids": PLACES}
    for given in (inputs, {name: inputs[name] for name in ("input_ids", "token_type_ids")}):
        check_layer(BertEmbeddings, given, (B, S, H), **EMBEDDINGS, **SINUSOIDAL)
    learned = BertEmbeddings(**EMBEDDINGS)
    check_eager_graph_and_symbolic(learned, inputs, (B, S, H))
    check_gradients(learned, inputs)


@pytest.mark.parametrize(
    ("layer_class", "more"),
    [
        (TransformerEncoderBlock, {}),
        (TransformerEncoder, {"num_hidden_layers": 3, "gradient_checkpointing": True}),
    ],
)
def test_the_encoder_and_its_block_are_keras_layers(layer_class, more):
    inputs = {"hidden_states": STATES, "attention_mask": MASK}
    check_layer(layer_class, inputs, (B, S, H), **BLOCK, **more)
    usual = {**BLOCK, **more, "norm_first": False}
    check_gradients(layer_class(**usual), inputs)
    check_eager_graph_and_symbolic(layer_class(**usual), inputs, (B, S, H))


def test_the_pooler_is_a_keras_layer():
    inputs = {"hidden_states": STATES}
    check_layer(Pooler, inputs, (B, H), hidden_size=H, initializer_range=0.3)


@pytest.mark.parametrize("features", [STATES, STATES[:, 0]])
def test_the_classifier_is_a_keras_layer_with_float32_logits(features):
    arguments = {"num_labels": 3, "dropout": 0.4, "initializer_range": 0.3}
    shape = (*features.shape[:-1], 3)
    check_layer(ClassificationHead, {"features": features}, shape, "float32", **arguments)


def test_the_next_sentence_head_is_a_keras_layer_with_float32_logits():
    inputs = {"pooled": STATES[:, 0]}
    check_layer(NextSentenceHead, inputs, (B, 2), "float32", initializer_range=0.3)


MASKED_LM = {
    "vocab_size": 31,
    "hidden_size": H,
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-5,
    "initializer_range": 0.3,
}
TABLE = random.normal(size=(31, H)).astype("float32")
POSITIONS = random.integers(0, S, (B, 3)).astype("int32")


def test_the_masked_lm_head_is_a_keras_layer_with_float32_logits():
    inputs = {"hidden_states": STATES, "token_table": TABLE, "masked_positions": POSITIONS}
    check_config(MaskedLMHead, **MASKED_LM)
    layer = MaskedLMHead(**MASKED_LM)
    assert call(layer, inputs).shape == (B, 3, 31)
    check_copy(layer, inputs)
    check_gradients(layer, inputs)
    for policy in DTYPE_POLICIES:
        check_dtype(MaskedLMHead(**MASKED_LM, dtype=policy), inputs, "float32")


def test_the_masked_lm_head_predicts_at_the_chosen_positions_with_the_token_table():
    layer = MaskedLMHead(**MASKED_LM)
    everywhere = call(layer, {"hidden_states": STATES, "token_table": TABLE})
    chosen = layer(STATES, TABLE, masked_positions=POSITIONS)
    np.testing.assert_allclose(chosen, everywhere[np.arange(B)[:, None], POSITIONS], atol=1e-5)
    randomise(layer)
    transformed = layer.layer_norm(layer.dense(STATES)).numpy()
    expected = transformed @ TABLE.T + layer.bias.numpy()
    np.testing.assert_allclose(layer(STATES, TABLE), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("layer_class", "sizes"),
    [
        (MultiHeadSelfAttention, (20, 3)),
        (TransformerEncoderBlock, (20, 3, 37)),
        (TransformerEncoder, (1, 20, 3, 37)),
    ],
)
def test_heads_must_divide_the_hidden_size(layer_class, sizes):
    with pytest.raises(ValueError, match="hidden_size=20, num_attention_heads=3"):
        layer_class(*sizes)


def test_embeddings_are_the_normalised_sum_of_three_tables():
    layer = BertEmbeddings(**EMBEDDINGS)
    layer(IDS)
    randomise(layer)
    words, positions, types, gamma, beta = (w.numpy() for w in layer.weights)
    total = words[IDS] + positions[:S] + types[TYPES]
    middle, variance = total.mean(-1, keepdims=True), total.var(-1, keepdims=True)
    expected = (total - middle) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(layer(IDS, TYPES), expected, atol=1e-5)
    np.testing.assert_array_equal(layer(IDS), layer(IDS, np.zeros_like(IDS)))


def test_sinusoidal_positions_equal_the_formula_and_are_no_weight():
    table = sinusoids(9, 7)  # an odd width ends with a sine
    for position in range(9):
        for j in range(4):
            angle = position / 10000 ** (2 * j / 7)
            assert table[position, 2 * j] == pytest.approx(math.sin(angle), abs=1e-7)
            if 2 * j + 1 < 7:
                assert table[position, 2 * j + 1] == pytest.approx(math.cos(angle), abs=1e-7)
    layer = BertEmbeddings(**EMBEDDINGS, **SINUSOIDAL)
    layer(IDS)
    randomise(layer)
    words, types, gamma, beta = (w.numpy() for w in layer.weights)
    total = words[IDS] + sinusoids(9, H)[:S] + types[TYPES]
    middle, variance = total.mean(-1, keepdims=True), total.var(-1, keepdims=True)
    expected = (total - middle) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(layer(IDS, TYPES), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["absolute", "sinusoidal"])
def test_position_ids_choose_rows_of_the_position_table(kind):
    layer = BertEmbeddings(**EMBEDDINGS, position_embedding_type=kind)
    counted = layer(IDS, TYPES)
    rows = np.tile(np.arange(S, dtype="int32"), (B, 1))
    np.testing.assert_allclose(layer(IDS, TYPES, position_ids=rows), counted, atol=1e-5)
    turned = layer(IDS[:, ::-1], TYPES[:, ::-1], position_ids=rows[:, ::-1])
    np.testing.assert_allclose(turned[:, ::-1], counted, atol=1e-5)
    packed = np.tile(IDS, (1, 2))  # 14 tokens, where the table has 9 rows
    twice = layer(packed, np.tile(TYPES, (1, 2)), position_ids=np.tile(rows, (1, 2)))
    np.testing.assert_allclose(twice[:, S:], counted, atol=1e-5)


def test_a_pre_norm_block_adds_what_its_parts_make_of_the_normalised_states():
    layer = TransformerEncoder(**BLOCK, num_hidden_layers=2)
    layer(STATES)
    randomise(layer)

    def norm(x, weights):
        middle, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - middle) / np.sqrt(
            variance + 1e-5
        ) * weights.gamma.numpy() + weights.beta.numpy()

    expected = STATES.astype("float64")
    for block in layer.blocks:
        normed = norm(expected, block.attention_layer_norm).astype("float32")
        expected = expected + block.attention(normed, attention_mask=MASK).numpy()
        normed = norm(expected, block.output_layer_norm).astype("float32")
        fed = activation(block.hidden_act)(block.intermediate_dense(normed))
        expected = expected + block.output_dense(fed).numpy()
    expected = norm(expected, layer.final_layer_norm)
    np.testing.assert_allclose(layer(STATES, attention_mask=MASK), expected, atol=1e-4)


def test_a_sequence_longer_than_the_position_table_is_refused():
    layer = BertEmbeddings(**EMBEDDINGS)
    assert layer(np.ones((1, 9), "int32")).shape == (1, 9, H)
    with pytest.raises(ValueError, match=r"max_position_embeddings=9 tokens\. Received: 10"):
        layer(np.ones((1, 10), "int32"))


@pytest.mark.parametrize("layer_class", layers.__all__)
def test_the_example_of_the_docstring_runs(layer_class):
    found = getattr(layers, layer_class)
    names = vars(sys.modules[found.__module__])
    [example] = doctest.DocTestFinder(recurse=False).find(found, globs=dict(names))
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_encoder_returns_every_state_and_attention_when_asked(norm_first):
    layer = TransformerEncoder(**{**BLOCK, "norm_first": norm_first}, num_hidden_layers=3)
    last = call(layer, {"hidden_states": STATES, "attention_mask": MASK})
    outputs = layer(STATES, attention_mask=MASK, output_hidden_states=True, output_attentions=True)
    states, attentions = outputs["hidden_states"], outputs["attentions"]
    assert (len(states), len(attentions)) == (4, 3)
    np.testing.assert_array_equal(states[0], STATES)
    np.testing.assert_array_equal(states[-1], last)
    np.testing.assert_array_equal(outputs["last_hidden_state"], last)
    state, probabilities = STATES, None
    for block, after, attended in zip(layer.blocks, states[1:], attentions, strict=True):
        state, probabilities = block(state, attention_mask=MASK, return_attention_scores=True)
        if norm_first and block is layer.blocks[-1]:
            state = layer.final_layer_norm(state)
        check_same((state, probabilities), (after, attended))
    assert probabilities.shape == (B, N, S, S)
    assert layer(STATES, output_attentions=True).keys() == {"last_hidden_state", "attentions"}


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(
    "mask",
    [None, MASK, MASK[:, None] * np.tri(S, dtype="int32"), -9.0 * (1 - MASK[:, None, None])],
    ids=["no mask", "keys", "keys of each query", "added"],
)
@pytest.mark.parametrize("length", [1, 3])
def test_the_last_block_may_compute_the_first_positions_alone(mask, norm_first, length):
    layer = TransformerEncoder(**{**BLOCK, "norm_first": norm_first}, num_hidden_layers=2)
    asked = {"attention_mask": mask, "output_hidden_states": True, "output_attentions": True}
    whole, first = layer(STATES, **asked), layer(STATES, **asked, output_length=length)
    whole["last_hidden_state"] = whole["last_hidden_state"][:, :length]
    before, last = whole["hidden_states"][:-1], whole["hidden_states"][-1]
    whole["hidden_states"] = (*before, last[:, :length])
    whole["attentions"] = (whole["attentions"][0], whole["attentions"][1][:, :, :length])
    check_same(first, whole)


def test_dropout_is_seen_in_training_alone():
    for layer, inputs in [
        (MultiHeadSelfAttention(**ATTENTION, attention_probs_dropout_prob=0.5), STATES),
        (TransformerEncoderBlock(**BLOCK), STATES),
        (BertEmbeddings(**EMBEDDINGS), IDS),
        (ClassificationHead(3, dropout=0.5), STATES),
    ]:
        np.testing.assert_array_equal(layer(inputs, training=False), layer(inputs))
        assert np.abs(layer(inputs, training=True) - layer(inputs)).max() > 1e-3, layer.name


def test_symbolic_calls_know_the_second_output():
    states = keras.Input((S, H))
    output, probabilities = MultiHeadSelfAttention(**ATTENTION)(
        states, return_attention_scores=True
    )
    assert (output.shape, probabilities.shape) == ((None, S, H), (None, N, S, S))
    outputs = TransformerEncoder(**BLOCK, num_hidden_layers=2)(states, output_attentions=True)
    assert outputs.keys() == {"last_hidden_state", "attentions"}


def test_symbolic_logits_are_float32_under_mixed_precision():
    assert ClassificationHead(3, dtype="mixed_bfloat16")(keras.Input((H,))).dtype == "float32"
