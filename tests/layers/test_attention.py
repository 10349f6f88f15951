import math

import numpy as np
import pytest
import tensorflow as tf
from checks import check_same, randomise

from keras_bert_kit.layers import MultiHeadSelfAttention

B, S, H, N = 13, 7, 20, 5
ATTENTION = {"hidden_size": H, "num_attention_heads": N, "initializer_range": 0.3}
random = np.random.default_rng(11)
STATES = random.normal(size=(B, S, H)).astype("float32")
MASK = (np.arange(S) < random.integers(1, S, (B, 1))).astype("int32")  # a 0 in every row


def attend(layer, states, mask):
    """Attention in plain NumPy, one head after the other."""
    weights = {w.path.split("/", 1)[1]: w.numpy().astype("float64") for w in layer.weights}

    def dense(name, x):
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    q, k, v = (dense(name, states.astype("float64")) for name in ("query", "key", "value"))
    contexts, all_probabilities = [], []
    for head in range(N):
        part = slice(head * H // N, (head + 1) * H // N)
        scores = q[..., part] @ k[..., part].swapaxes(1, 2) / math.sqrt(H // N)
        scores = np.where(mask, scores, -np.inf)
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        all_probabilities.append(exponentials / exponentials.sum(-1, keepdims=True))
        contexts.append(all_probabilities[-1] @ v[..., part])
    return dense("output_dense", np.concatenate(contexts, -1)), np.stack(all_probabilities, 1)


@pytest.fixture(scope="module")
def attention():
    layer = MultiHeadSelfAttention(**ATTENTION)
    layer(STATES)
    return randomise(layer)


@pytest.mark.parametrize("kind", ["none", "keys", "queries and keys"])
def test_attention_equals_the_formula(attention, kind):
    free = random.integers(0, 2, (B, S, S)) | np.eye(S, dtype="int64")  # no row without a key
    mask = {"none": None, "keys": MASK, "queries and keys": free}[kind]
    full = (
        np.ones((B, S, S), "int64")
        if mask is None
        else np.broadcast_to(mask[:, None] if mask.ndim == 2 else mask, (B, S, S))
    )
    actual = attention(STATES, attention_mask=mask, return_attention_scores=True)
    check_same(actual, attend(attention, STATES, full))


def test_padded_keys_get_no_attention_and_have_no_influence(attention):
    output, probabilities = attention(STATES, attention_mask=MASK, return_attention_scores=True)
    hidden = np.broadcast_to(MASK[:, None, None] == 0, probabilities.shape)
    assert np.all(probabilities.numpy()[hidden] == 0)
    np.testing.assert_allclose(tf.reduce_sum(probabilities, -1), 1, rtol=1e-5)
    other = np.where(MASK[..., None] == 1, STATES, 100 * random.normal(size=STATES.shape))
    changed = attention(other.astype("float32"), attention_mask=MASK)
    np.testing.assert_allclose(changed[MASK == 1], output[MASK == 1], atol=1e-5)
    unmasked = attention(STATES)
    assert np.abs(unmasked - output).max() > 0.1


def test_masks_that_mean_the_same_give_the_same(attention):
    expected = attention(STATES, attention_mask=MASK)
    for mask in (MASK, np.tile(MASK[:, None], (1, S, 1))):
        for dtype in ("int32", "int64", "uint8", "bool"):
            actual = attention(STATES, attention_mask=mask.astype(dtype))
            np.testing.assert_array_equal(actual, expected, err_msg=f"{dtype} {mask.shape}")
    ones = np.ones((B, S), "int32")
    np.testing.assert_array_equal(attention(STATES, attention_mask=ones), attention(STATES))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_row_of_padding_alone_stays_finite(policy):
    layer = MultiHeadSelfAttention(**ATTENTION, dtype=policy)
    output, probabilities = layer(
        STATES, attention_mask=np.zeros((B, S), "int32"), return_attention_scores=True
    )
    assert np.isfinite(tf.cast(output, "float32")).all()
    np.testing.assert_allclose(tf.reduce_sum(tf.cast(probabilities, "float32"), -1), 1, atol=1e-2)


def test_a_float_mask_of_four_axes_is_added_to_the_scores(attention):
    """A chosen small number stands for the hidden keys, and -inf there would be the mask itself."""
    expected = attention(STATES, attention_mask=MASK)
    hidden = (MASK == 0)[:, None, None].astype("float32")  # (B, 1, 1, S)
    for added in (hidden * -1e9, np.repeat(hidden * -1e9, S, axis=2)):
        check_same(attention(STATES, attention_mask=added), expected)
    added = random.normal(size=(B, 1, S, S)).astype("float32")
    _, plain = attention(STATES, return_attention_scores=True)
    _, found = attention(STATES, attention_mask=added, return_attention_scores=True)
    shifted = plain.numpy() * np.exp(added)
    check_same(found, shifted / shifted.sum(-1, keepdims=True))


@pytest.mark.parametrize("shape", [(S,), (B, 1, 1, S)])
def test_a_mask_of_another_rank_is_refused_with_its_shape(attention, shape):
    with pytest.raises(ValueError, match=r"attention_mask must have the shape") as caught:
        attention(STATES, attention_mask=np.ones(shape, "int32"))
    assert f"shape={shape}" in str(caught.value)


def test_any_number_but_zero_in_a_mask_means_seen(attention):
    expected = attention(STATES, attention_mask=MASK)
    np.testing.assert_array_equal(attention(STATES, attention_mask=MASK * -2), expected)


@pytest.mark.parametrize("mask", [np.ones((B, S), "float32"), np.full((B, S), "1")])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_mask_of_another_dtype_is_refused_with_its_dtype(mask, policy):
    layer = MultiHeadSelfAttention(**ATTENTION, dtype=policy)
    with pytest.raises(TypeError, match="attention_mask must have an integer or bool dtype") as e:
        layer(STATES, attention_mask=mask)
    assert "Received: dtype=" in str(e.value)
