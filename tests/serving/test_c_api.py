"""The C API in a process without TensorFlow's Python; the script below runs once."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.serving import c_library
from keras_bert_kit.serving.c_library import load_text_ops

SCRIPT = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from keras_bert_kit.serving.c_api import Session
from keras_bert_kit.serving.c_library import LATER_OPS, TensorFlowError, load_text_ops

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def attempt(function, *arguments):
    try:
        answer = function(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return {name: [str(array.dtype), array.shape, repr(array.tolist())]
            for name, array in answer.items()}

path, found = sys.argv[1], {}
found["absent"] = attempt(Session, path + "-absent")
session = Session(path)
found["signatures"] = sorted(session.signatures)
found["inputs"] = {name: [str(spec.dtype), spec.shape]
                   for name, spec in session.signatures["types"].inputs.items()}
texts = np.array([b"", b"\\xff\\x00", b"x" * 100_000], object)
types = {"ids": np.int32([[1, 2]]), "longs": np.int64([2**62]), "flags": np.array([True, False]),
         "numbers": np.float32([0.5])}
found["texts"] = repr(session.run("upper", {"text": texts})["upper"].tolist() ==
                      [one.upper() for one in texts])
found["types"] = attempt(session.run, "types", types)
found["transposed"] = session.run("types", {**types, "ids": np.int32([[1, 2], [3, 4]]).T}
                                  )["ids"].tolist()
found["empty"] = attempt(session.run, "upper", {"text": np.zeros(0, object)})
found["scalar"] = attempt(session.run, "upper", {"text": "a"})
for name, signature, inputs in (
    ("signature", "lower", {"text": ["a"]}),
    ("missing", "upper", {}),
    ("extra", "upper", {"text": ["a"], "more": ["b"]}),
    ("dtype", "upper", {"text": np.float32([1])}),
    ("rank", "types", {**types, "ids": np.int32([1])}),
    ("float64", "types", {**types, "numbers": [0.5]}),
    ("out of range", "pick", {"index": np.int32([9])}),
):
    found[name] = attempt(session.run, signature, inputs)

def again(number):
    text = [f"{number} " * 30]
    return session.run("upper", {"text": text})["upper"].tolist() == [t.encode() for t in text]

with ThreadPoolExecutor(8) as pool:
    found["threads"] = all(pool.map(again, range(4000)))
long = {"text": [b"x" * 10**6]}
for _ in range(20):
    session.run("upper", long)
before = resident()
for _ in range(200):
    session.run("upper", long)
    attempt(session.run, "pick", {"index": np.int32([9])})
found["growth"] = resident() - before
session.close()
session.close()
found["closed"] = attempt(session.run, "upper", {"text": ["a"]})
found["text ops"] = sorted({*LATER_OPS, "FastBertNormalize"} - session.ops)
found["other set"] = attempt(load_text_ops, "2.12")
found["imported"] = sorted({"tensorflow", "tensorflow_text", "keras"} & sys.modules.keys())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    def specs(**specs):
        return [tf.TensorSpec(shape, dtype, name) for name, (shape, dtype) in specs.items()]

    module = tf.Module()
    module.table = tf.Variable([0.5, 1.5])
    signatures = {
        "upper": tf.function(
            lambda text: {"upper": tf.strings.upper(text)}, specs(text=([None], tf.string))
        ),
        "types": tf.function(
            lambda ids, longs, flags, numbers: {
                "ids": tf.matmul(ids, tf.ones_like(ids), transpose_b=True) * 0 + ids[:, :1],
                "longs": longs + 1,
                "flags": tf.logical_not(flags),
                "numbers": numbers * 2,
            },
            specs(ids=([None, None], tf.int32), longs=([None], tf.int64),
                  flags=([None], tf.bool), numbers=([None], tf.float32)),
        ),
        "pick": tf.function(
            lambda index: {"picked": tf.gather(module.table, index)},
            specs(index=([None], tf.int32)),
        ),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("served") / "1"
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


@pytest.fixture(scope="module")
def found(path):
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_signatures(found):
    assert found["signatures"] == ["pick", "types", "upper"]
    assert found["inputs"] == {
        "flags": ["bool", [-1]],
        "ids": ["int32", [-1, -1]],
        "longs": ["int64", [-1]],
        "numbers": ["float32", [-1]],
    }


def test_answers(found):
    assert found["texts"] == "True"
    assert found["types"] == {
        "flags": ["bool", [2], "[False, True]"],
        "ids": ["int32", [1, 1], "[[1]]"],
        "longs": ["int64", [1], f"[{2**62 + 1}]"],
        "numbers": ["float32", [1], "[1.0]"],
    }
    assert found["transposed"] == [[1, 1], [2, 2]]
    assert found["empty"] == {"upper": ["object", [0], "[]"]}
    assert found["scalar"] == {"upper": ["object", [], "b'A'"]}


@pytest.mark.parametrize(
    ("request_", "start"),
    [
        ("signature", "ValueError: The signature must be one of pick, types, upper. Received: 'lo"),
        ("missing", "ValueError: The inputs of upper must be text. Received: none"),
        ("extra", "ValueError: The inputs of upper must be text. Received: more, text"),
        ("dtype", "TensorFlowError: INVALID_ARGUMENT: Expects arg[0] to be string but float"),
        ("rank", "TensorFlowError: INVALID_ARGUMENT: "),
        ("float64", "ValueError: Values must be float32, int32, int64, bool, texts or bytes"),
        ("out of range", "TensorFlowError: INVALID_ARGUMENT: indices[0] = 9 is not in [0, 2)"),
        ("closed", "ValueError: The session must be open"),
        ("absent", "TensorFlowError: NOT_FOUND: "),
    ],
)
def test_a_wrong_request_is_an_error(found, request_, start):
    assert found[request_].startswith(start), found[request_]


def test_many_threads_and_flat_memory(found):
    assert found["threads"]
    assert found["growth"] < 30e6  # of 200 MB that went through


def test_a_process_holds_one_set_of_ops(found):
    assert found["text ops"] == []
    assert found["other set"].startswith("ValueError: A process holds one set of ops")


def test_tensorflow_is_not_imported(found):
    assert found["imported"] == []


def test_another_set_of_ops_is_refused():
    with pytest.raises(ValueError, match=r"text_ops=.2\.13."):
        load_text_ops("2.13")


def test_a_package_that_is_absent(monkeypatch):
    monkeypatch.setattr(c_library.importlib.util, "find_spec", lambda name: None)
    c_library.library.cache_clear()
    with pytest.raises(ImportError, match="tensorflow must be installed"):
        c_library.library()


def test_strings_are_bytes():
    assert np.dtype(object) == c_library.messages.dtype_of(7)
