import numpy as np
import pytest

from keras_bert_kit import SentencePooling

STATES = np.random.default_rng(3).normal(size=(3, 4, 5)).astype("float32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("dtype", ["int32", "bool", "float32"])
def test_padding_is_left_out(dtype):
    mask = MASK.astype(dtype)
    mean, first, largest = (SentencePooling(mode)(STATES, mask) for mode in ("mean", "cls", "max"))
    np.testing.assert_allclose(mean[1], STATES[1, :2].mean(0), rtol=1e-6)
    np.testing.assert_allclose(largest[1], STATES[1, :2].max(0), rtol=1e-6)
    np.testing.assert_array_equal(first, STATES[:, 0])
    np.testing.assert_array_equal(mean[2], np.zeros(5))


@pytest.mark.parametrize(("mode", "pool"), [("mean", np.mean), ("max", np.max)])
def test_without_a_mask_all_tokens_count(mode, pool):
    np.testing.assert_allclose(SentencePooling(mode)(STATES), pool(STATES, axis=1), rtol=1e-5)


def test_a_normalised_vector_has_length_1_and_a_zero_stays_zero():
    vectors = SentencePooling(normalize=True)(STATES, MASK).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0], rtol=1e-6)


def test_the_vector_is_float32_and_settings_are_kept():
    layer = SentencePooling("max", normalize=True)
    assert layer(STATES.astype("float16")).dtype == "float32"
    copy = SentencePooling.from_config(layer.get_config())
    assert (copy.mode, copy.normalize) == ("max", True)
    assert copy.compute_output_shape((2, 7, 5)) == (2, 5)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"mode must be mean, cls or max\. Received: mode='sum'"):
        SentencePooling("sum")
