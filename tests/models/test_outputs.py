import keras
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same

from keras_bert_kit import BertForPreTraining, BertModel
from keras_bert_kit.models.outputs import ModelOutput

IDS = np.array([[2, 7, 9, 3]])


@pytest.fixture(scope="module")
def model(tiny_folder):
    return BertForPreTraining.from_pretrained(tiny_folder)


def check_three_ways(outputs):
    assert type(outputs) is ModelOutput
    assert list(outputs) == ["prediction_logits", "seq_relationship_logits"]
    assert outputs.prediction_logits is outputs["prediction_logits"] is outputs[0]
    assert outputs.seq_relationship_logits is outputs[-1]
    assert outputs[:1] == (outputs[0],)


def test_an_output_is_read_by_name_by_attribute_and_by_number(model):
    check_three_ways(model(IDS))


def test_so_it_is_in_a_graph(model):
    seen = []

    @tf.function
    def run(ids):
        outputs = model(ids)
        check_three_ways(outputs)
        seen.append(True)
        return outputs

    outputs = run(tf.constant(IDS))
    assert seen
    check_three_ways(outputs)
    check_same(dict(outputs), dict(model(IDS)))


def test_so_it_is_of_predict(model):
    outputs = model.predict(IDS, verbose=0)
    check_three_ways(outputs)
    check_same(dict(outputs), dict(model(IDS)))


def test_an_unknown_name_is_an_attribute_error_with_the_known_ones(model):
    with pytest.raises(AttributeError, match=r"prediction_logits, .*'loss'"):
        model(IDS).loss  # noqa: B018
    assert not hasattr(model(IDS), "logits")


def test_the_functional_api_gets_a_plain_dict_that_is_trained_by_name(tiny_folder):
    encoder = BertModel.from_pretrained(tiny_folder)
    ids = keras.Input((4,), dtype="int32")
    outputs = encoder(ids)
    assert type(outputs) is dict
    model = keras.Model(ids, outputs)
    model.compile(optimizer="sgd", loss={"pooler_output": "mse", "last_hidden_state": "mse"})
    given = encoder(IDS)
    targets = {name: np.asarray(value) for name, value in given.items()}
    history = model.fit(IDS, targets, verbose=0)
    # With dropout on, the outputs are near the targets, and each loss gets its own target.
    assert history.history["loss"][0] < 1.0
    check_same(dict(model(IDS)), dict(given), atol=0.5)
