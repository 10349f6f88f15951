"""PyTorch's files of tensors, read without PyTorch and without running what is in them.

`torch.save` writes a pickle, which is a program, and beside it the tensors' bytes. The program is
not run: the few instructions that a plain `state_dict` needs are followed here, names of classes
and functions stay names, and anything else is refused.
"""

from __future__ import annotations

import math
import mmap
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

# The storages of which tensors are read, by the name that the pickle gives them.
_DTYPES = {
    f"torch {name}Storage": np.dtype(dtype)
    for name, dtype in {
        "Float": "float32",
        "Half": "float16",
        "BFloat16": ml_dtypes.bfloat16,
        "Double": "float64",
        "Long": "int64",
        "Int": "int32",
        "Short": "int16",
        "Char": "int8",
        "Byte": "uint8",
        "Bool": "bool",
    }.items()
}

# What the old format, a row of pickles, begins with: a number, and the version of the format.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_ZIP = b"PK\x03\x04"


class _Global(NamedTuple):
    """The name of a class or a function: its module, a space, its own name."""

    name: str


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    length: int  # in items


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int  # in items, like the strides
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    span: int  # items from the first to the last


class _Place(NamedTuple):
    """Where the bytes of a storage are; the checksum is 0 where the file has none."""

    offset: int
    size: int
    checksum: int = 0


class PytorchFile(Mapping[str, np.ndarray]):
    """A `state_dict` as `torch.save` writes it, each tensor read when it is asked for.

    Both formats are read: the zip file of PyTorch 1.6 and later, and the older row of pickles.

    Args:
        path: The file.

    Attributes:
        shapes: The tensors' shapes by name.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is damaged, or holds anything but tensors by name.
    """

    def __init__(self, path: str | Path):
        self.path = path
        with open(path, "rb") as file:
            try:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    read = _read_zip if content[:4] == _ZIP else _read_row_of_pickles
                    pickled, self._places, self._swapped = read(file, content)
                self._tensors = _state_dict(pickled)
                for tensor in self._tensors.values():
                    _check_place(tensor.storage, self._places)
            except Exception as error:  # damaged bytes lead to errors of many kinds
                raise ValueError(
                    f"{path} must be a whole file of tensors by name, as torch.save writes a "
                    f"state_dict. Received: {_text(error)}"
                ) from error
        self.shapes = {name: tensor.shape for name, tensor in self._tensors.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        storage, offset, shape, strides, span = self._tensors[name]
        place, width = self._places[storage.key], storage.dtype.itemsize
        with open(self.path, "rb") as file:
            file.seek(place.offset + offset * width)
            content = file.read(span * width)
        whole = len(content) == place.size
        if len(content) < span * width or (
            whole and place.checksum and zlib.crc32(content) != place.checksum
        ):
            raise ValueError(
                f"{self.path} must hold the bytes of {name} as they were written. "
                "Received: others, or too few. Copy the file again."
            )
        items = np.frombuffer(content, f"u{width}")
        items = (items.byteswap() if self._swapped else items).view(storage.dtype)
        steps = [step * width for step in strides]
        return np.asarray(np.ndarray(shape, storage.dtype, items, 0, steps), order="C")

    def __contains__(self, name: object) -> bool:
        return name in self._tensors  # without reading it

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _read_zip(file, content) -> tuple[Any, dict[str, _Place], bool]:
    """Gives the pickle's content, the places of the storages, and whether bytes are swapped."""
    places = {}
    for entry in zipfile.ZipFile(file).infolist():
        head = entry.header_offset  # of the entry, which ends with two fields of these sizes
        name_size, extra_size = struct.unpack("<HH", content[head + 26 : head + 30])
        offset = head + 30 + name_size + extra_size
        if entry.compress_type != zipfile.ZIP_STORED or offset + entry.file_size > len(content):
            raise ValueError(f"{entry.filename!r}, compressed or beyond the file's end")
        places[entry.filename] = _Place(offset, entry.file_size, entry.CRC)
    [main] = [name for name in places if name.count("/") == 1 and name.endswith("/data.pkl")] or [0]
    if not main:
        raise ValueError("a zip file without data.pkl")
    folder = main.removesuffix("data.pkl")

    def stored(name: str) -> bytes:
        offset, size, checksum = places[name]
        part = content[offset : offset + size]
        if checksum and zlib.crc32(part) != checksum:
            raise ValueError(f"a damaged {name}. Copy the file again.")
        return part

    order = f"{folder}byteorder"
    swapped = order in places and stored(order).strip() == b"big"
    data = f"{folder}data/"
    storages = {n.removeprefix(data): p for n, p in places.items() if n.startswith(data)}
    return _unpickle(stored(main)), storages, swapped


def _read_row_of_pickles(file, content) -> tuple[Any, dict[str, _Place], bool]:
    """Gives what `_read_zip` does; the old format's storages are little-endian on any machine."""
    if _unpickle(content) != _MAGIC or _unpickle(content) != _VERSION:
        raise ValueError("a file that torch.save did not write")
    _unpickle(content)  # what the machine was like that wrote the file
    storages: dict[str, _Storage] = {}
    pickled = _unpickle(content, storages)
    places = {}
    for key in _unpickle(content):  # the keys in the order in which the storages follow
        [length] = struct.unpack("<q", content.read(8))
        size = storages[key].dtype.itemsize * length
        places[key] = _Place(content.tell(), size)
        if length < 0 or content.tell() + size > len(content):
            raise ValueError(f"a file that ends within the storage {key!r}. Copy it again.")
        content.seek(size, 1)
    return pickled, places, False


def _check_place(storage: _Storage, places: dict[str, _Place]):
    if storage.key not in places or (
        places[storage.key].size != storage.length * storage.dtype.itemsize
    ):
        raise ValueError(f"a storage {storage.key!r} that is missing or of another size")


def _state_dict(pickled: Any) -> dict[str, _Tensor]:
    """Checks that what was pickled are tensors by name."""
    if not isinstance(pickled, dict):
        raise ValueError("something else. Save the model's state_dict().")
    others = [name for name, value in pickled.items() if not isinstance(value, _Tensor)]
    if others or not all(isinstance(name, str) for name in pickled):
        raise ValueError(
            f"values that are no tensors: {', '.join(map(str, others[:5]))}. "
            "Save the model's state_dict() by itself."
        )
    return pickled


def _unpickle(stream, storages: dict[str, _Storage] | None = None) -> Any:
    """Follows a pickle's instructions as far as a `state_dict` needs them.

    Args:
        stream: Bytes, or a file that stands at the pickle's beginning, and then at its end.
        storages: Takes the storages that the pickle names, by key.
    """
    storages = {} if storages is None else storages
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def to_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, argument, _ in pickletools.genops(stream):
        match opcode.name:
            case "STOP":
                return stack.pop()
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                marks.append(len(stack))
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "INT" | "LONG" | "BINFLOAT":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "UNICODE":
                stack.append(argument)
            case "BINSTRING" | "SHORT_BINSTRING" | "STRING":  # of Python 2
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "TUPLE":
                stack.append(tuple(to_mark()))
            case "LIST":
                stack.append(to_mark())
            case "DICT":
                stack.append(_pairs(to_mark()))
            case "APPEND":
                item = stack.pop()
                _of_type(stack[-1], list).append(item)
            case "APPENDS":
                items = to_mark()
                _of_type(stack[-1], list).extend(items)
            case "SETITEM":
                items = [stack.pop(), stack.pop()]
                _of_type(stack[-1], dict).update(_pairs(items[::-1]))
            case "SETITEMS":
                items = to_mark()
                _of_type(stack[-1], dict).update(_pairs(items))
            case "BUILD":  # the versions of the modules, which PyTorch hangs on its dicts
                stack.pop()
                _of_type(stack[-1], dict)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_known_global(argument))
            case "STACK_GLOBAL":
                name = stack.pop()
                stack.append(_known_global(f"{_of_type(stack.pop(), str)} {_of_type(name, str)}"))
            case "BINPERSID":
                storage = _storage(*stack.pop())
                if storages.setdefault(storage.key, storage) != storage:
                    raise ValueError(f"a storage of two types or sizes: {storage.key!r}")
                stack.append(storage)
            case "REDUCE":
                arguments = _of_type(stack.pop(), tuple)
                stack.append(_MADE[_of_type(stack.pop(), _Global).name](*arguments))
            case _:
                raise ValueError(f"the pickle instruction {opcode.name}, which no state_dict needs")
    raise ValueError("a pickle without an end")


def _of_type(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"a {type(value).__name__} where a pickle needs a {kind.__name__}")
    return value


def _pairs(items: list[Any]) -> dict[str | int, Any]:
    if not all(isinstance(key, str | int) for key in items[::2]):
        raise ValueError("a name that is neither text nor number")
    return dict(zip(items[::2], items[1::2], strict=True))


def _known_global(name: str) -> _Global:
    if name not in _MADE and name not in _DTYPES:
        raise ValueError(
            f"the global {name.replace(' ', '.')!r}. A file that holds more than plain tensors "
            "could run code, so it is not read. Save the model's state_dict(), or use safetensors."
        )
    return _Global(name)


def _storage(kind: str, of: _Global, key: str, device: str, length: int, view=None) -> _Storage:
    """Makes a storage of what stands for it in a pickle."""
    if kind != "storage" or view is not None:
        raise ValueError("a storage that is a view of another, or no storage at all")
    dtype = _DTYPES[_of_type(of, _Global).name]
    return _Storage(_of_type(key, str), dtype, _count(length))


def _tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_) -> _Tensor:
    """Makes a tensor as `torch._utils._rebuild_tensor_v2` does, if it lies within its storage."""
    _of_type(storage, _Storage)
    shape, strides = (tuple(map(_count, _of_type(part, tuple))) for part in (shape, strides))
    last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    span = last + 1 if all(shape) else 0
    # A tensor repeats no number, which steps of 0 would do: so it is never larger than its file.
    if _count(offset) + span > storage.length or math.prod(shape) > storage.length:
        raise ValueError(
            f"a tensor of shape {shape} that is larger than its storage, {storage.length} numbers"
        )
    return _Tensor(storage, offset, shape, strides, span)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a size or step that is no whole number from 0 on")
    return value


# What the globals make of their arguments, where it is not the dtype of a storage.
_MADE = {
    "collections OrderedDict": lambda pairs=(): _pairs([part for pair in pairs for part in pair]),
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda tensor, *_: tensor,
}
