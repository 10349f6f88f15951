import json

import pytest
import tensorflow as tf

from keras_bert_kit.training import distribution_strategy


def test_the_strategies_of_one_machine():
    one = distribution_strategy("one_device")
    assert isinstance(one, tf.distribute.OneDeviceStrategy)
    mirrored = distribution_strategy("mirrored", ["CPU:0"])
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert mirrored.num_replicas_in_sync == 1


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"one of one_device, mirrored.*Received: 'tpu'"):
        distribution_strategy("tpu")


def test_workers_take_no_list_of_devices():
    with pytest.raises(ValueError, match=r"Leave devices out.*\['GPU:0'\]"):
        distribution_strategy("multi_worker_mirrored", ["GPU:0"])


CLUSTER = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{not json",
        "[1, 2]",
        json.dumps({"cluster": CLUSTER}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": "0"}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "chief", "index": 0}}),
        json.dumps({"cluster": {"worker": "127.0.0.1"}, "task": {"type": "worker", "index": 0}}),
    ],
)
def test_the_environment_must_describe_the_workers(monkeypatch, text):
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON that names all workers") as caught:
        distribution_strategy("multi_worker_mirrored")
    assert repr(text) in str(caught.value)
