"""The C functions of TensorFlow's libraries, and the op libraries of tensorflow-text.

They come from the installed wheels; neither package is imported.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

from keras_bert_kit import messages

# Libraries of tensorflow-text that are not in `ops_lib` of release 2.12.1, which TensorFlow Serving
# 2.12 to 2.19 is built with, and what they define.
LATER_LIBRARIES = ("_trimmer_ops", "_utf8_binarize_op")
LATER_OPS = ("TFText>RoundRobinGenerateMasks", "TFText>RoundRobinTrim", "TFText>Utf8Binarize")

# The status codes by number.
_CODES = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip
_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"  # tensorflow::DisableXlaCompilation()


class Output(ctypes.Structure):
    """`TF_Output`: an operation of a graph and the number of its output."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class Buffer(ctypes.Structure):
    """`TF_Buffer`: bytes and their length."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


# Result and arguments of each function; a `TF_Status*` that is passed last is left out.
_FUNCTIONS = {
    "TF_NewStatus": (c_void_p,),
    "TF_DeleteStatus": (None, c_void_p),
    "TF_GetCode": (c_int, c_void_p),
    "TF_Message": (c_char_p, c_void_p),
    "TF_NewBuffer": (POINTER(Buffer),),
    "TF_DeleteBuffer": (None, POINTER(Buffer)),
    "TF_NewGraph": (c_void_p,),
    "TF_DeleteGraph": (None, c_void_p),
    "TF_GraphOperationByName": (c_void_p, c_void_p, c_char_p),
    "TF_NewSessionOptions": (c_void_p,),
    "TF_DeleteSessionOptions": (None, c_void_p),
    "TF_LoadSessionFromSavedModel": (c_void_p, c_void_p, c_void_p, c_char_p, POINTER(c_char_p),
                                     c_int, c_void_p, POINTER(Buffer), c_void_p),
    "TF_CloseSession": (None, c_void_p, c_void_p),
    "TF_DeleteSession": (None, c_void_p, c_void_p),
    "TF_SessionRun": (None, c_void_p, c_void_p, POINTER(Output), POINTER(c_void_p), c_int,
                      POINTER(Output), POINTER(c_void_p), c_int, c_void_p, c_int, c_void_p,
                      c_void_p),
    "TF_AllocateTensor": (c_void_p, c_int, POINTER(c_int64), c_int, c_size_t),
    "TF_DeleteTensor": (None, c_void_p),
    "TF_TensorType": (c_int, c_void_p),
    "TF_TensorData": (c_void_p, c_void_p),
    "TF_NumDims": (c_int, c_void_p),
    "TF_Dim": (c_int64, c_void_p, c_int),
    "TF_StringInit": (None, c_void_p),
    "TF_StringCopy": (None, c_void_p, c_char_p, c_size_t),
    "TF_StringGetDataPointer": (c_void_p, c_void_p),
    "TF_StringGetSize": (c_size_t, c_void_p),
    "TF_LoadLibrary": (c_void_p, c_char_p, c_void_p),
    "TF_GetOpList": (Buffer, c_void_p),
}  # fmt: skip


class TensorFlowError(RuntimeError):
    """A status of TensorFlow other than OK.

    Args:
        code: The status code's name, such as `INVALID_ARGUMENT`.
        message: What TensorFlow says.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code


@functools.cache
def library() -> ctypes.CDLL:
    """Loads TensorFlow's libraries, which takes about a second.

    Raises:
        ImportError: tensorflow is not installed, or has no such libraries.
    """
    folder = _package_folder("tensorflow")
    for name in ("framework", "cc"):
        found = sorted(folder.glob(f"libtensorflow_{name}.*"))
        if not found:
            raise ImportError(f"{folder} must have libtensorflow_{name}. Install tensorflow again.")
        loaded = ctypes.CDLL(str(found[0]), ctypes.RTLD_GLOBAL)
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


_loaded_text_ops: dict[str, frozenset[str]] = {}


def load_text_ops(text_ops: str = "all") -> frozenset[str]:
    """Loads op libraries of tensorflow-text.

    Args:
        text_ops: `"all"` or `"2.12"`; see `Session`.

    Returns:
        Names of the ops.

    Raises:
        ValueError: It is neither, or the process holds the other set already.
        ImportError: tensorflow-text is not installed.
        TensorFlowError: A library does not fit the installed tensorflow.
    """
    if text_ops not in ("all", "2.12"):
        raise ValueError(f"text_ops must be 'all' or '2.12'. Received: text_ops={text_ops!r}")
    if _loaded_text_ops.keys() - {text_ops}:
        raise ValueError(
            "A process holds one set of ops. Take a fresh process. Received: "
            f"text_ops={text_ops!r} after {', '.join(_loaded_text_ops)!r}"
        )
    if text_ops not in _loaded_text_ops:
        folder = _package_folder("tensorflow_text") / "python" / "ops"
        skipped = LATER_LIBRARIES if text_ops == "2.12" else ()
        paths = [path for path in sorted(folder.glob("_*.so")) if path.stem not in skipped]
        _loaded_text_ops[text_ops] = frozenset(op for path in paths for op in _load_ops(path))
    return _loaded_text_ops[text_ops]


def _load_ops(path: Path) -> list[str]:
    with status() as pointer:
        handle = library().TF_LoadLibrary(str(path).encode(), pointer)
    buffer = library().TF_GetOpList(handle)
    ops = messages.OpList.FromString(ctypes.string_at(buffer.data, buffer.length))
    return [op.name for op in ops.op]


def disable_xla():
    """Makes XLA refuse to compile in this process, as a server does that is started without it.

    Call it before a model is loaded.

    Raises:
        NotImplementedError: The TensorFlow library does not export the function.
    """
    try:
        function = library()[_DISABLE_XLA]
    except AttributeError as error:
        raise NotImplementedError(
            "TensorFlow's library must export tensorflow::DisableXlaCompilation(). Received: no "
            f"symbol {_DISABLE_XLA}; a server without XLA cannot be tried with this build."
        ) from error
    function.restype, function.argtypes = None, ()
    function()


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"{name} must be installed. Received: no such package")
    return Path(spec.origin).parent


@contextmanager
def status() -> Iterator[int]:
    """Gives a `TF_Status*`; raises what TensorFlow wrote there."""
    tf = library()
    pointer = tf.TF_NewStatus()
    try:
        yield pointer
        code = tf.TF_GetCode(pointer)
        if code:
            name = _CODES[code] if code < len(_CODES) else str(code)
            raise TensorFlowError(name, tf.TF_Message(pointer).decode(errors="replace"))
    finally:
        tf.TF_DeleteStatus(pointer)
