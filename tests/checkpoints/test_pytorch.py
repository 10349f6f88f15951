import collections
import io
import pickle
import struct
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from keras_bert_kit.checkpoints.pytorch import PytorchFile

FILES = Path(__file__).parents[1] / "fixtures" / "pytorch_bin"
DTYPES = {
    "zip": np.float32,
    "old": np.float32,
    "zip_float16": np.float16,
    "zip_bfloat16": ml_dtypes.bfloat16,
    "old_bfloat16": ml_dtypes.bfloat16,
    "old_float64": np.float64,
    "protocol_4": np.float32,
}


@pytest.fixture(scope="module")
def values():
    with np.load(FILES / "values.npz") as arrays:
        return dict(arrays)


def check_values(file, values, dtype=np.float32):
    assert file.shapes == {name: value.shape for name, value in values.items()}
    assert list(file) == list(values)
    assert len(file) == len(values)
    for name, value in values.items():
        expected = value.astype(dtype) if value.dtype == np.float32 else value
        assert file[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(file[name], expected, err_msg=name)
        assert file[name].flags.c_contiguous


@pytest.mark.parametrize("name", DTYPES)
def test_tensors_of_both_formats_are_read_to_the_bit(name, values):
    check_values(PytorchFile(FILES / f"{name}.bin"), values, DTYPES[name])


@pytest.mark.reference
def test_the_installed_pytorch_writes_what_is_read(tmp_path, values):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(value) for name, value in values.items()}
    for new in (True, False):
        torch.save(tensors, tmp_path / "a.bin", _use_new_zipfile_serialization=new)
        check_values(PytorchFile(tmp_path / "a.bin"), values)


def repacked(path, target, change):
    """Writes a zip file again, each entry as `change(name, content)` gives it; `None` drops it."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def test_bytes_of_a_big_endian_machine_are_swapped(values, tmp_path):
    floats = {name: value for name, value in values.items() if value.dtype == np.float32}

    def swap(name, content):
        if name.endswith("byteorder"):
            return b"big"
        if "/data/" in name and len(content) % 4 == 0:
            return np.frombuffer(content, "<u4").byteswap().tobytes()
        return content

    file = PytorchFile(repacked(FILES / "zip.bin", tmp_path / "big.bin", swap))
    for name, value in floats.items():
        np.testing.assert_array_equal(file[name], value, err_msg=name)


def test_a_file_of_an_older_pytorch_has_no_byte_order(values, tmp_path):
    drop = repacked(
        FILES / "zip.bin",
        tmp_path / "a.bin",
        lambda name, content: None if name.endswith("byteorder") else content,
    )
    check_values(PytorchFile(drop), values)


@pytest.mark.parametrize("name", ["module_zip", "module_old"])
def test_a_whole_module_is_refused(name):
    message = r"Received: the global 'torch.nn.modules.linear.Linear'.*could run code.*state_dict\("
    with pytest.raises(ValueError, match=message) as caught:
        PytorchFile(FILES / f"{name}.bin")
    assert str(FILES / f"{name}.bin") in str(caught.value)


def test_a_dict_of_other_things_is_refused():
    with pytest.raises(ValueError, match=r"no tensors: epoch, loss, model. Save the model's state"):
        PytorchFile(FILES / "wrapped.bin")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.bin"):
        PytorchFile(tmp_path / "none.bin")


# Pickles by hand, in both formats.


def as_zip(pickled, storages=(), compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in dict(storages).items():
            archive.writestr(f"archive/data/{key}", content)
    return file.getvalue()


def as_old(pickled, storages=()):
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    parts = [struct.pack("<q", len(c) // 4) + c for c in dict(storages).values()]
    return head + pickled + pickle.dumps(list(dict(storages)), 2) + b"".join(parts)


FORMATS = {"zip": as_zip, "old": as_old}


def refused(tmp_path, content, message):
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        PytorchFile(path)
    assert str(path) in str(caught.value)


class Call:
    """Is pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(trap):
    """Pickles that make the file `trap` when they are run, or reach for more than tensors."""
    import os

    command = f"touch {trap}"
    text = f"S'{command}'\n".encode()
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    defaults = b"(N}(S'__defaults__'\n(NNNttu" + b"tb."
    return {
        "os.system": pickle.dumps(Call(os.system, command), 2),
        "posix.system": pickle.dumps({"weight": Call(os.system, command)}, 4),
        "eval": pickle.dumps(Call(eval, f"open({str(trap)!r}, 'w').close()"), 0),
        "numpy": pickle.dumps({"weight": np.zeros(3)}, 2),
        "inst": b"(" + text + b"ios\nsystem\n.",
        "obj": b"(cos\nsystem\n" + text + b"o.",
        "newobj": b"cos\nsystem\n(" + text + b"t\x81.",
        "obj of a known global": b"(ccollections\nOrderedDict\n(lo.",
        "newobj of a known global": b"ccollections\nOrderedDict\n)\x81.",
        "state of a function": rebuild + defaults,
        "a dotted name": b"\x80\x04\x8c\x0btorch._utils\x8c\x1f_rebuild_tensor_v2.__globals__\x93.",
        "extension": b"\x82\x01.",
        "a call of text": text + b")R.",
        "a call of a storage type": b"ctorch\nFloatStorage\n)R.",
        "a persistent id of text": b"Pmodule\n.",
        "a module": b"(U\x06modulecos\nsystem\n" + text * 2 + b"tQ.",
    }


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", attacks(""))
def test_no_pickle_is_ever_run(name, form, tmp_path):
    trap = tmp_path / "trap"
    refused(tmp_path, FORMATS[form](attacks(trap)[name]), "must be a whole file of tensors by name")
    assert not trap.exists()


def test_the_trap_springs_where_pickles_are_run(tmp_path):
    for name in ("os.system", "posix.system", "eval", "inst"):
        trap = tmp_path / name
        pickle.loads(attacks(trap)[name])
        assert trap.exists(), name


def test_what_would_have_been_called_is_named(tmp_path):
    for name, call in (
        ("os.system", "(posix|nt).system"),
        ("eval", r"(builtins|__builtin__).eval"),
    ):
        refused(tmp_path, as_zip(attacks("")[name]), f"the global '{call}'.*could run code")


def tensor_pickle(offset=0, shape=(2, 3), strides=(3, 1), kind="Float", length=6, key="0"):
    def inline(value):
        return pickle.dumps(value, 2)[2:-1]

    storage = [inline("storage"), f"ctorch\n{kind}Storage\n".encode(), inline(key), inline("cpu")]
    storage = b"(" + b"".join(storage) + inline(length) + b"NtQ"
    arguments = b"".join(inline(part) for part in (offset, shape, strides, False))
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + arguments
    tensor += b"ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}(" + inline("w") + tensor + b"u."


NUMBERS = np.arange(6, dtype="float32")


@pytest.mark.parametrize("form", FORMATS)
def test_a_tensor_by_hand_is_read(form, tmp_path):
    pickled = tensor_pickle()
    if form == "zip":  # its storages have no fifth field
        pickled = pickled.replace(b"NtQ", b"tQ")
    (tmp_path / "file.bin").write_bytes(FORMATS[form](pickled, {"0": NUMBERS.tobytes()}))
    np.testing.assert_array_equal(PytorchFile(tmp_path / "file.bin")["w"], NUMBERS.reshape(2, 3))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (3, 3)}, "larger than its storage, 6 numbers"),
        ({"offset": 1}, "larger than its storage"),
        ({"strides": (4, 1)}, "larger than its storage"),
        ({"shape": (10**9, 10**9), "strides": (0, 0)}, "larger than its storage"),
        ({"offset": -1}, "no whole number"),
        ({"strides": (-3, 1)}, "no whole number"),
        ({"shape": (2, 2**70)}, "no whole number"),
        ({"shape": (2, 3.0)}, "no whole number"),
        ({"shape": (True, 3)}, "no whole number"),
        ({"strides": (1,)}, "shorter"),
        ({"shape": [2, 3]}, "a list where a pickle needs a tuple"),
        ({"length": 7}, "'0' that is missing or of another size"),
        ({"length": 2**62, "shape": (2**31, 2**31), "strides": (2**31, 1)}, "another size"),
        ({"kind": "Double"}, "storage '0'"),
        ({"kind": "Complex"}, "the global 'torch.ComplexStorage'"),
        ({"key": "1"}, "'?1'?"),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(form, change, message, tmp_path):
    refused(tmp_path, FORMATS[form](tensor_pickle(**change), {"0": NUMBERS.tobytes()}), message)


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"Nr\xff\xff\xff\xff.", "NoneType|something else"),
        (b"\x8d" + b"\xff" * 8 + b".", "byte count"),
        (b"\x8d" + b"\xff" * 5 + bytes(3) + b".", "expected"),
        (b"X\xff\xff\xff\xff.", "expected"),
        (b"}" + b"(N)u" * 2 + b".", "neither text nor number"),
        (b"}X\x01\x00\x00\x00a", "exhausted"),
        (b"].", "something else"),
        (b"}(K\x01K\x02u.", "no tensors: 1"),
        (b"}X\x01\x00\x00\x00a}s.", "no tensors: a"),
        (b"h\x05.", "KeyError"),
        (b"0.", "the pickle instruction POP"),
        (b".", "IndexError"),
    ],
)
def test_an_odd_pickle_is_refused(pickled, message, tmp_path):
    refused(tmp_path, as_zip(pickled), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"no file of PyTorch", "opcode|did not write"),
        (pickle.dumps({"a": 1}), "did not write"),
        (as_zip(tensor_pickle(), {"0": bytes(24)}, zipfile.ZIP_DEFLATED), "compressed"),
        (as_old(tensor_pickle(), {"0": bytes(24)})[:-1], "ends within the storage '0'"),
    ],
)
def test_another_file_is_refused(content, message, tmp_path):
    refused(tmp_path, content, message)


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a/b/data.pkl", "")
    with pytest.raises(ValueError, match=r"a zip file without data\.pkl"):
        PytorchFile(tmp_path / "other.zip")


def test_damaged_numbers_are_found_by_the_checksum(tmp_path, values):
    content = (FILES / "zip.bin").read_bytes()
    place = content.index(values["weight"].tobytes())
    (tmp_path / "a.bin").write_bytes(content[:place] + b"\x00" + content[place + 1 :])
    file = PytorchFile(tmp_path / "a.bin")
    with pytest.raises(ValueError, match=r"a\.bin must hold the bytes of weight .* Copy the file"):
        file["weight"]
    np.testing.assert_array_equal(file["bias"], values["bias"])


def test_a_file_that_was_cut_since_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes((FILES / "old.bin").read_bytes())
    file = PytorchFile(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="or too few"):
        dict(file)


@pytest.mark.parametrize("name", ["zip", "old", "protocol_4"])
def test_a_damaged_file_gives_a_value_error_or_a_result(name, tmp_path):
    content = (FILES / f"{name}.bin").read_bytes()
    random = np.random.default_rng(7)
    path = tmp_path / "damaged.bin"
    outcomes = collections.Counter()
    for turn in range(400):
        damaged = bytearray(content)
        kind, place = turn % 4, int(random.integers(len(content)))
        if kind == 0:
            damaged[place] ^= 1 << int(random.integers(8))
        elif kind == 1:
            damaged[place : place + 4] = random.bytes(4)
        elif kind == 2:
            del damaged[place:]
        else:
            del damaged[place : place + int(random.integers(1, 9))]
        path.write_bytes(damaged)
        try:
            file = PytorchFile(path)
            for key in file:
                assert file[key].shape == file.shapes[key]
            outcomes["result"] += 1
        except ValueError as error:
            outcomes["error" if str(path) in str(error) else "other"] += 1
    assert outcomes.keys() == {"result", "error"}
    assert min(outcomes.values()) > 20
