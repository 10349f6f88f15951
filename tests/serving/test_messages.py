import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_bert_kit import messages

TEXTS = ["", "good", "é 好", b"\xff\x00", "long " * 500]
ARRAYS = {
    "floats": np.float32([[0.5, -1e9, np.inf]]),
    "a float": np.float32(0.25),
    "int32": np.int32([[1], [-(2**31)]]),
    "int64": np.int64([2**62, -1, 0]),
    "bools": np.array([[True, False]]),
    "strings": np.array([[b"a", b"\xff\x00"]], object),
    "a string": np.array(b"a" * 300, object),
    "no rows": np.zeros((0, 3), np.float32),
    "no strings": np.zeros((0,), object),
}
arrays = pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)


def check_equal(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


@arrays
def test_tensorflow_reads_what_we_write(array):
    proto = tf.make_tensor_proto(0)
    proto.ParseFromString(messages.to_proto(array).SerializeToString())
    check_equal(tf.make_ndarray(proto), array)


@arrays
def test_we_read_what_tensorflow_writes(array):
    as_fields = tf.make_tensor_proto(array.tolist(), array.dtype, array.shape)
    for proto in (as_fields, tf.make_tensor_proto(array)):
        ours = messages.TensorProto.FromString(proto.SerializeToString())
        check_equal(messages.to_array(ours), array)


def test_the_last_value_stands_for_all_that_follow():
    proto = messages.TensorProto(dtype=3, int_val=[5, 7])
    proto.tensor_shape.dim.add(size=4)
    check_equal(messages.to_array(proto), np.int32([5, 7, 7, 7]))


def test_texts_become_bytes():
    found = messages.as_array(TEXTS)
    assert found.tolist() == [t.encode() if isinstance(t, str) else t for t in TEXTS]
    assert messages.as_array("é").shape == ()


def test_an_array_of_the_caller_stays_as_it_is():
    texts = np.array(["a"], object)
    messages.as_array(texts)
    assert texts.tolist() == ["a"]


@pytest.mark.parametrize("values", [[0.5], [None], [["a", 3]], [1, "a", None]])
def test_other_values_are_refused(values):
    with pytest.raises(ValueError, match="must be float32, int32, int64, bool, texts or bytes"):
        messages.as_array(np.array(values, object) if isinstance(values[0], list) else values)


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="Received: DataType 2"):
        messages.to_array(messages.TensorProto(dtype=2))


def test_a_tensor_with_too_few_bytes_is_refused():
    proto = messages.to_proto(np.float32([1, 2]))
    proto.tensor_content = proto.tensor_content[:4]
    with pytest.raises(ValueError, match=r"\[2\] must have 2 values. Received: 1"):
        messages.to_array(proto)


def test_a_record_holds_request_and_answer():
    outputs = {"score": np.float32([0.5]), "label": ["good"]}
    record = messages.predict_record("pair", {"text": ["a"], "text_pair": ["é"]}, outputs)
    request = messages.read_request(record)
    assert request.signature == "pair"
    check_equal(request.inputs["text_pair"], np.array(["é".encode()], object))
    check_equal(request.outputs["score"], outputs["score"])
    check_equal(request.outputs["label"], np.array([b"good"], object))


def test_records_are_those_of_tensorflow_serving():
    log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    inputs, outputs = {"text": TEXTS, "ids": np.int32([[1, 2]])}, {"score": np.float32([0.5])}
    record = messages.predict_record("tokens", inputs, outputs)
    log = log_pb2.PredictionLog.FromString(record)
    assert log.predict_log.request.model_spec.signature_name == "tokens"
    check_equal(tf.make_ndarray(log.predict_log.request.inputs["ids"]), inputs["ids"])
    check_equal(tf.make_ndarray(log.predict_log.response.outputs["score"]), outputs["score"])
    assert log.SerializeToString(deterministic=True) == record
    log.log_metadata.model_spec.version.value = 3  # which our classes do not know
    ours = messages.PredictionLog.FromString(log.SerializeToString())
    assert log_pb2.PredictionLog.FromString(ours.SerializeToString()) == log


def test_a_classify_record():
    log = messages.PredictionLog()
    log.classify_log.request.model_spec.signature_name = "classify"
    example = messages.text_example({"text": "é"})
    log.classify_log.request.input.example_list.examples.add().ParseFromString(example)
    row = log.classify_log.response.result.classifications.add()
    row.classes.add(label="bad", score=0.25)
    row.classes.add(label="good", score=0.75)
    request = messages.read_request(log.SerializeToString())
    assert request.signature == "classify"
    assert request.inputs["inputs"].tolist() == [example]
    assert request.outputs["classes"].tolist() == [[b"bad", b"good"]]
    check_equal(request.outputs["scores"], np.float32([[0.25, 0.75]]))


def test_an_example_is_one_of_tensorflow():
    example = tf.train.Example.FromString(messages.text_example({"text": "é", "b": b"\xff"}))
    found = {name: list(one.bytes_list.value) for name, one in example.features.feature.items()}
    assert found == {"text": ["é".encode()], "b": [b"\xff"]}


@pytest.mark.parametrize("record", [b"\xff\xff\xff", b"", b"\x2a\x00"])
def test_other_records_are_refused(record):
    with pytest.raises(ValueError, match="must"):
        messages.read_request(record)


RECORDS = [b"", b"one", bytes(range(256)) * 300]


def test_tensorflow_reads_our_files(tmp_path):
    messages.write_records(tmp_path / "records", RECORDS)
    dataset = tf.data.TFRecordDataset(str(tmp_path / "records"))
    assert [record.numpy() for record in dataset] == RECORDS


def test_we_read_files_of_tensorflow(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(messages.read_records(tmp_path / "records")) == RECORDS


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:-9] + b"x" + b[-8:],
                                    lambda b: b"garbage garbage garbage"])  # fmt: skip
def test_a_damaged_file_is_refused(tmp_path, change):
    path = tmp_path / "records"
    messages.write_records(path, RECORDS)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match="must be a whole TFRecord file"):
        list(messages.read_records(path))


def test_an_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        list(messages.read_records(tmp_path / "absent"))


def test_a_saved_model_reads_as_with_tensorflow(tmp_path):
    class Adder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")], jit_compile=True)
        def add(self, x):
            return {"sum": x + 1.0}

    module = Adder()
    tf.saved_model.save(module, str(tmp_path), signatures={"add": module.add})
    content = (tmp_path / "saved_model.pb").read_bytes()
    theirs = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    ours = messages.SavedModel.FromString(content).meta_graphs[0]
    found = ours.signature_def["add"]
    assert found.method_name == "tensorflow/serving/predict"
    assert found.inputs["x"].name == theirs.signature_def["add"].inputs["x"].name
    assert [dim.size for dim in found.inputs["x"].tensor_shape.dim] == [-1, 2]
    assert [node.op for node in ours.graph_def.node] == [n.op for n in theirs.graph_def.node]
    for one, other in zip(
        ours.graph_def.library.function, theirs.graph_def.library.function, strict=True
    ):
        assert one.signature.name == other.signature.name
        assert [node.op for node in one.node_def] == [node.op for node in other.node_def]
        assert one.attr.keys() == other.attr.keys()
        assert one.attr["_XlaMustCompile"].b == other.attr["_XlaMustCompile"].b


def test_importing_loads_no_tensorflow():
    code = "import sys, keras_bert_kit.messages; print({'tensorflow', 'keras'} & {*sys.modules})"
    command = [sys.executable, "-W", "error", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "set()"
