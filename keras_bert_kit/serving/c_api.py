"""A SavedModel through TensorFlow's C API, without importing TensorFlow.

`TF_LoadSessionFromSavedModel` and `TF_SessionRun` are the loader and the executor that TensorFlow
Serving is built on.
"""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ctypes import c_char_p, c_int64, c_void_p
from pathlib import Path

import numpy as np
from google.protobuf.message import Message

from keras_bert_kit import messages
from keras_bert_kit.serving.c_library import Output, library, load_text_ops, status

_TSTRING_SIZE = 24


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Attributes:
        name: The tensor of the graph, such as `serving_default_text:0`.
        type: TensorFlow's number for its type.
        shape: Its sizes, -1 where any will do, or `None` where even the rank is open.
    """

    name: str
    type: int
    shape: tuple[int, ...] | None

    @property
    def dtype(self) -> np.dtype:
        """The NumPy type; strings are object, with bytes as elements."""
        return messages.dtype_of(self.type)


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a SavedModel answers under one name.

    Attributes:
        inputs: The inputs by name.
        outputs: The outputs by name.
        method_name: Such as `tensorflow/serving/predict`.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method_name: str


class Session:
    """A SavedModel that is loaded; usable by many threads at once, and as a context manager.

    Args:
        path: Folder of the SavedModel.
        text_ops: `"all"` ops of the installed tensorflow-text, or `"2.12"` for those that
            TensorFlow Serving 2.12 to 2.19 has. A process takes one of the two.

    Attributes:
        signatures: The signatures by name.
        ops: Names of the ops of tensorflow-text that are loaded.

    Raises:
        TensorFlowError: TensorFlow cannot load it.
        ImportError: tensorflow or tensorflow-text is not installed.
    """

    def __init__(self, path: str | Path, text_ops: str = "all"):
        self.ops = load_text_ops(text_ops)
        self._tf = library()
        self._graph = self._tf.TF_NewGraph()
        self._session = None
        try:
            self.meta_graph = self._load(path)
        except BaseException:
            self.close()
            raise
        self.signatures = {
            name: Signature(_specs(one.inputs), _specs(one.outputs), one.method_name)
            for name, one in sorted(self.meta_graph.signature_def.items())
            if not name.startswith("__saved_model")
        }

    def _load(self, path: str | Path) -> Message:
        tf, options, buffer = self._tf, self._tf.TF_NewSessionOptions(), self._tf.TF_NewBuffer()
        try:
            with status() as pointer:
                tags = (c_char_p * 1)(b"serve")
                self._session = tf.TF_LoadSessionFromSavedModel(
                    options, None, str(path).encode(), tags, 1, self._graph, buffer, pointer
                )
            content = ctypes.string_at(buffer.contents.data, buffer.contents.length)
            return messages.MetaGraphDef.FromString(content)
        finally:
            tf.TF_DeleteSessionOptions(options)
            tf.TF_DeleteBuffer(buffer)

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answers one request.

        As in TensorFlow Serving, types and shapes are left for TensorFlow to check.

        Args:
            signature: Name of the signature.
            inputs: Arrays by input name; what `messages.as_array` takes.

        Returns:
            Arrays by output name; strings as object, with bytes as elements.

        Raises:
            TensorFlowError: TensorFlow refuses the request.
            ValueError: The signature or an input has another name, or a type that no message has.
        """
        if self._session is None:
            raise ValueError("The session must be open. Received: a closed one")
        found = self._signature(signature, inputs)
        values = [messages.as_array(inputs[name]) for name in found.inputs]
        feeds = self._outputs(found.inputs)
        fetches = self._outputs(found.outputs)
        answers = (c_void_p * len(found.outputs))()
        with _tensors(values) as tensors:
            try:
                with status() as pointer:
                    self._tf.TF_SessionRun(
                        self._session, None, feeds, tensors, len(values),
                        fetches, answers, len(answers), None, 0, None, pointer,
                    )  # fmt: skip
                return {
                    name: _array(answer)
                    for name, answer in zip(found.outputs, answers, strict=True)
                }
            finally:
                for answer in filter(None, answers):
                    self._tf.TF_DeleteTensor(answer)

    def _signature(self, name: str, inputs: Mapping[str, np.ndarray]) -> Signature:
        if name not in self.signatures:
            raise ValueError(
                f"The signature must be one of {', '.join(self.signatures)}. Received: {name!r}"
            )
        expected = sorted(self.signatures[name].inputs)
        if sorted(inputs) != expected:
            raise ValueError(
                f"The inputs of {name} must be {', '.join(expected)}. Received: "
                f"{', '.join(sorted(inputs)) or 'none'}"
            )
        return self.signatures[name]

    def _outputs(self, specs: Mapping[str, TensorSpec]) -> ctypes.Array:
        outputs = (Output * len(specs))()
        for output, spec in zip(outputs, specs.values(), strict=True):
            name, _, index = spec.name.partition(":")
            output.operation = self._tf.TF_GraphOperationByName(self._graph, name.encode())
            output.index = int(index or 0)
            if not output.operation:
                raise ValueError(f"The graph must have the operation {name!r}. Export it again.")
        return outputs

    def close(self):
        """Frees the session; the process keeps the libraries."""
        if self._session is not None:
            with status() as pointer:
                self._tf.TF_CloseSession(self._session, pointer)
            with status() as pointer:
                self._tf.TF_DeleteSession(self._session, pointer)
            self._session = None
        if self._graph is not None:
            self._tf.TF_DeleteGraph(self._graph)
            self._graph = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error):
        self.close()


def _specs(infos: Mapping[str, Message]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(
            info.name,
            info.dtype,
            None
            if info.tensor_shape.unknown_rank
            else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in sorted(infos.items())
    }


@contextmanager
def _tensors(arrays: list[np.ndarray]) -> Iterator[ctypes.Array]:
    tensors = (c_void_p * len(arrays))()
    try:
        for index, array in enumerate(arrays):
            tensors[index] = _tensor(array)
        yield tensors
    finally:
        for tensor in filter(None, tensors):
            library().TF_DeleteTensor(tensor)  # frees its strings as well


def _tensor(array: np.ndarray) -> int:
    tf = library()
    strings = array.dtype.kind == "O"
    size = array.size * (_TSTRING_SIZE if strings else array.itemsize)
    shape = (c_int64 * array.ndim)(*array.shape)
    tensor = tf.TF_AllocateTensor(messages.type_number(array.dtype), shape, array.ndim, size)
    data = tf.TF_TensorData(tensor)
    if strings:
        for index, value in enumerate(array.ravel()):
            tf.TF_StringInit(data + index * _TSTRING_SIZE)
            tf.TF_StringCopy(data + index * _TSTRING_SIZE, value, len(value))
    elif size:
        ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
    return tensor


def _array(tensor: int) -> np.ndarray:
    tf = library()
    dtype = messages.dtype_of(tf.TF_TensorType(tensor))
    array = np.empty([tf.TF_Dim(tensor, axis) for axis in range(tf.TF_NumDims(tensor))], dtype)
    data = tf.TF_TensorData(tensor)
    if dtype.kind == "O":
        flat = array.reshape(-1)
        for index in range(flat.size):
            string = data + index * _TSTRING_SIZE
            flat[index] = ctypes.string_at(
                tf.TF_StringGetDataPointer(string), tf.TF_StringGetSize(string)
            )
    elif array.size:
        ctypes.memmove(array.ctypes.data, data, array.nbytes)
    return array
