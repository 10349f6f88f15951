import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.data import check_ids

INPUTS = {"input_ids": np.array([[2, 9, 3], [2, 0, 3]], "int32"), "attention_mask": np.ones((2, 3))}
LABELS = {"a": np.array([0, 1]), "b": np.array([[1.0], [2.0]])}
ELEMENTS = {
    "inputs": INPUTS,
    "ids": INPUTS["input_ids"],
    "pair": (INPUTS, np.array([0, 1])),
    "triple": (INPUTS, LABELS, LABELS),
}


def dataset(element):
    return tf.data.Dataset.from_tensor_slices(element).batch(2)


@pytest.mark.parametrize("kind", ELEMENTS)
def test_known_ids_pass(kind):
    before = dataset(ELEMENTS[kind])
    after = before.map(check_ids(10))
    assert after.element_spec == before.element_spec
    tf.nest.map_structure(
        np.testing.assert_array_equal, *(next(d.as_numpy_iterator()) for d in (before, after))
    )


@pytest.mark.parametrize("kind", ELEMENTS)
def test_an_id_past_the_vocabulary_is_an_error(kind):
    message = (
        "must lie between 0 and 8, because vocab_size=9. Received: ids from 0 to 9. Use the tok"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(dataset(ELEMENTS[kind]).map(check_ids(9)))


def test_a_negative_id_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received: ids from -1 to 3"):
        list(dataset({"input_ids": np.array([[2, -1, 3]])}).map(check_ids(9)))


def test_an_empty_batch_passes():
    (ids,) = dataset(np.zeros((2, 0), "int32")).map(check_ids(9))
    assert ids.shape == (2, 0)


def test_vocab_size_must_be_positive():
    with pytest.raises(ValueError, match=r"at least 1\. Received: vocab_size=0"):
        check_ids(0)
