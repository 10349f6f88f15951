"""The protocol messages of TensorFlow Serving, as far as the kit reads and writes them.

The classes are those of the `protobuf` library, made from the table below without TensorFlow. They
hold the fields that the kit names, with TensorFlow's own numbers, and keep all others unread.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.summary.writer.record_writer import RecordWriter

# name=number:type; * marks a list, {} a map from strings. Enumerations are read as numbers.
_FIELDS = {
    "Dim": "size=1:int64",
    "TensorShapeProto": "dim=2:Dim* unknown_rank=3:bool",
    "TensorProto": "dtype=1:int32 tensor_shape=2:TensorShapeProto tensor_content=4:bytes "
    "float_val=5:float* int_val=7:int32* string_val=8:bytes* int64_val=10:int64* bool_val=11:bool*",
    "TensorInfo": "name=1:string dtype=2:int32 tensor_shape=3:TensorShapeProto",
    "SignatureDef": "inputs=1:{TensorInfo} outputs=2:{TensorInfo} method_name=3:string",
    "AttrValue": "b=5:bool",
    "NodeDef": "name=1:string op=2:string attr=5:{AttrValue}",
    "OpDef": "name=1:string",
    "OpList": "op=1:OpDef*",
    "FunctionDef": "signature=1:OpDef node_def=3:NodeDef* attr=5:{AttrValue}",
    "FunctionDefLibrary": "function=1:FunctionDef*",
    "GraphDef": "node=1:NodeDef* library=2:FunctionDefLibrary",
    "MetaGraphDef": "graph_def=2:GraphDef signature_def=5:{SignatureDef}",
    "SavedModel": "saved_model_schema_version=1:int64 meta_graphs=2:MetaGraphDef*",
    "ModelSpec": "name=1:string signature_name=3:string",
    "PredictRequest": "model_spec=1:ModelSpec inputs=2:{TensorProto}",
    "PredictResponse": "outputs=1:{TensorProto} model_spec=2:ModelSpec",
    "PredictLog": "request=1:PredictRequest response=2:PredictResponse",
    "BytesList": "value=1:bytes*",
    "FloatList": "value=1:float*",
    "Int64List": "value=1:int64*",
    "Feature": "bytes_list=1:BytesList float_list=2:FloatList int64_list=3:Int64List",
    "Features": "feature=1:{Feature}",
    "Example": "features=1:Features",
    "ExampleList": "examples=1:Example*",
    "Input": "example_list=1:ExampleList",
    "ClassificationRequest": "model_spec=1:ModelSpec input=2:Input",
    "Class": "label=1:string score=2:float",
    "Classifications": "classes=1:Class*",
    "ClassificationResult": "classifications=1:Classifications*",
    "ClassificationResponse": "result=1:ClassificationResult model_spec=2:ModelSpec",
    "ClassifyLog": "request=1:ClassificationRequest response=2:ClassificationResponse",
    "PredictionLog": "classify_log=2:ClassifyLog predict_log=6:PredictLog",
}


def _message_classes(fields: Mapping[str, str]) -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="messages.proto", package="k", syntax="proto3")
    for name, lines in fields.items():
        message = file.message_type.add(name=name)
        for line in lines.split():
            _add_field(message, *re.split("[=:]", line))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"k.{name}")) for name in fields}


def _add_field(message: Message, name: str, number: str, kind: str):
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if kind[-1] in "*}" else field.LABEL_OPTIONAL
    value = kind.strip("{}*")
    if kind[0] == "{":
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", "1", "string")
        _add_field(entry, "value", "2", value)
        value = entry.name
    if value[0].isupper():
        field.type, field.type_name = field.TYPE_MESSAGE, value
    else:
        field.type = getattr(field, f"TYPE_{value.upper()}")


_CLASSES = _message_classes(_FIELDS)
Example = _CLASSES["Example"]
MetaGraphDef = _CLASSES["MetaGraphDef"]
OpList = _CLASSES["OpList"]
PredictionLog = _CLASSES["PredictionLog"]
SavedModel = _CLASSES["SavedModel"]
TensorProto = _CLASSES["TensorProto"]

# TensorFlow's number for each type, and the field that may hold its values one by one.
_DTYPES = {
    1: (np.dtype(np.float32), "float_val"),
    3: (np.dtype(np.int32), "int_val"),
    7: (np.dtype(object), "string_val"),
    9: (np.dtype(np.int64), "int64_val"),
    10: (np.dtype(np.bool_), "bool_val"),
}
_NUMBERS = {dtype: number for number, (dtype, _) in _DTYPES.items()}


def dtype_of(number: int) -> np.dtype:
    """Gives the NumPy type for one of TensorFlow's type numbers.

    Args:
        number: A value of TensorFlow's `DataType`, such as 7, `DT_STRING`.

    Returns:
        float32, int32, int64 or bool; for strings object, whose elements are bytes.

    Raises:
        ValueError: It is the number of another type.
    """
    if number not in _DTYPES:
        raise ValueError(
            "Tensors must be of type float32, int32, int64, bool or string. Received: "
            f"DataType {number}"
        )
    return _DTYPES[number][0]


def as_array(values) -> np.ndarray:
    """Gives values as an array of a type that a message can hold.

    Args:
        values: Numbers, booleans, texts or bytes, nested or as an array; texts become UTF-8.

    Returns:
        An array of float32, int32, int64, bool, or object with bytes as elements.

    Raises:
        ValueError: The values are of another type, such as float64.
    """
    array = values if isinstance(values, np.ndarray) else np.array(values, object)
    if array.dtype.kind in "SUO" and all(isinstance(one, (str, bytes)) for one in array.flat):
        strings = np.empty(array.shape, object)
        strings.flat = [one.encode() if isinstance(one, str) else one for one in array.flat]
        return strings
    array = np.asarray(values)
    if array.dtype in _NUMBERS and array.dtype.kind != "O":
        return array
    raise ValueError(
        f"Values must be float32, int32, int64, bool, texts or bytes. Received: dtype={array.dtype}"
    )


def type_number(dtype: np.dtype) -> int:
    """Gives TensorFlow's number for a NumPy type, the reverse of `dtype_of`.

    Args:
        dtype: float32, int32, int64, bool or object.
    """
    return _NUMBERS[dtype]


def to_proto(array) -> Message:
    """Makes a `TensorProto`.

    Args:
        array: What `as_array` takes, of any shape.

    Raises:
        ValueError: The values are of a type that a message cannot hold.
    """
    array = as_array(array)
    proto = TensorProto(dtype=_NUMBERS[array.dtype])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return proto


def to_array(proto: Message) -> np.ndarray:
    """Reads a `TensorProto`.

    Args:
        proto: The message.

    Returns:
        Its values; strings as an array of object, whose elements are bytes.

    Raises:
        ValueError: The type is unknown, or there are not as many values as the shape needs.
    """
    dtype, field = _DTYPES[_NUMBERS[dtype_of(proto.dtype)]]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    size = int(np.prod(shape))
    if proto.tensor_content and field != "string_val":
        values = np.frombuffer(proto.tensor_content, dtype.newbyteorder("<")).astype(dtype)
    else:
        values = np.empty(len(getattr(proto, field)), dtype)
        values[:] = list(getattr(proto, field))
        if 0 < values.size < size:  # the last value stands for all that follow
            values = np.pad(values, (0, size - values.size), mode="edge")
    if values.size != size:
        raise ValueError(f"A tensor {shape} must have {size} values. Received: {values.size}")
    return values.reshape(shape)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to a model, and the answer to expect.

    Attributes:
        signature: Name of the signature.
        inputs: Arrays by name, strings as object with bytes as elements.
        outputs: The answer, as arrays by name; empty where none is known.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def difference(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float
) -> tuple[float, str]:
    """Compares an answer with the one to expect.

    Args:
        found: The answer, by name; may hold more than is expected.
        expected: The one to expect.
        tolerance: Largest difference of floats; all else must be equal.

    Returns:
        The largest difference of floats that was seen, and what is wrong, or "".
    """
    largest = 0.0
    for name, want in expected.items():
        have = found.get(name)
        if have is None or (have.dtype, have.shape) != (want.dtype, want.shape):
            return largest, f"{name} must be {kind_of(want)}, and is {kind_of(have)}"
        if want.dtype.kind == "f":
            gap = _largest_gap(have, want)
            largest = max(largest, gap)
            if gap > tolerance:
                return largest, f"{name} differs by {gap:.3g}, more than {tolerance:g}"
        elif not np.array_equal(have, want):
            return largest, f"{name} is not equal"
    return largest, ""


def _largest_gap(one: np.ndarray, other: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        gaps = np.where(one == other, 0, np.abs(one - other))
    return float(np.nan_to_num(gaps, nan=np.inf).max(initial=0))


def kind_of(array: np.ndarray | None) -> str:
    """Gives an array's type and shape, such as `float32 [2, 3]`.

    Args:
        array: The array, or `None`.
    """
    if array is None:
        return "absent"
    return f"{'string' if array.dtype.kind == 'O' else array.dtype} {list(array.shape)}"


def predict_record(
    signature: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> bytes:
    """Makes one warm-up record, a `PredictionLog` with request and response.

    TensorFlow Serving sends the request to the model before it serves; `serve_check` compares the
    answer with the response as well.

    Args:
        signature: Name of the signature.
        inputs: The request, as arrays (see `as_array`) by name.
        outputs: The answer to expect, likewise; may be empty.

    Raises:
        ValueError: An array is of a type that a message cannot hold.
    """
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for name, array in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(to_proto(array))
    for name, array in outputs.items():
        log.predict_log.response.outputs[name].CopyFrom(to_proto(array))
    return log.SerializeToString(deterministic=True)


def text_example(features: Mapping[str, str | bytes]) -> bytes:
    """Makes a serialized `tf.Example` whose features are single texts.

    Args:
        features: Texts by name.
    """
    example = Example()
    for name, text in features.items():
        value = text.encode() if isinstance(text, str) else text
        example.features.feature[name].bytes_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def read_request(record: bytes) -> Request:
    """Reads a warm-up record of a predict or classify request.

    Args:
        record: A serialized `PredictionLog`.

    Raises:
        ValueError: The bytes are no `PredictionLog` of these kinds.
    """
    try:
        log = PredictionLog.FromString(record)
    except DecodeError as error:
        raise ValueError(f"A record must be a PredictionLog. Received: {error}") from error
    if log.HasField("classify_log"):
        return _classify_request(log.classify_log)
    if not log.HasField("predict_log"):
        raise ValueError(
            "A warm-up record must hold a predict_log or a classify_log. Received: another"
        )
    request, response = log.predict_log.request, log.predict_log.response
    return Request(
        request.model_spec.signature_name or "serving_default",
        {name: to_array(proto) for name, proto in request.inputs.items()},
        {name: to_array(proto) for name, proto in response.outputs.items()},
    )


def _classify_request(log: Message) -> Request:
    examples = [e.SerializeToString() for e in log.request.input.example_list.examples]
    rows = [row.classes for row in log.response.result.classifications]
    outputs = {}
    if rows and rows[0]:
        outputs["classes"] = as_array([[one.label for one in row] for row in rows])
        outputs["scores"] = np.float32([[one.score for one in row] for row in rows])
    signature = log.request.model_spec.signature_name or "serving_default"
    return Request(signature, {"inputs": as_array(examples)}, outputs)


def write_records(path: str | Path, records: Iterable[bytes]):
    """Writes a TFRecord file.

    Args:
        path: The file.
        records: The records.
    """
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for record in records:
            writer.write(record)


def read_records(path: str | Path) -> Iterator[bytes]:
    """Reads a TFRecord file.

    Args:
        path: The file.

    Yields:
        The records.

    Raises:
        ValueError: The file is damaged.
        OSError: The file cannot be read.
    """
    Path(path).stat()  # raises Python's own error where it is absent
    reader = PyRecordReader_New(str(path))
    while True:
        try:
            reader.GetNext()
        except errors.OutOfRangeError:
            return
        except errors.DataLossError as error:
            raise ValueError(
                f"{path} must be a whole TFRecord file. Received: {error.message}. Write it again."
            ) from error
        yield reader.record()
