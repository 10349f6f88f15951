import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks" / "speed"


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("run")


def answers(*seconds, **others):
    return [{"seconds": one, "peak_bytes": 100, **others} for one in seconds]


def test_a_ratio_is_the_median_of_the_rounds(speed):
    runs = {speed.KIT: answers(2, 2, 4), "PyTorch": answers(4, 6, 4)}
    found = speed.summary(speed.MEASURES["predict"], runs, dict.fromkeys(runs))
    [row] = found["rows"]
    assert (row["beside"], row["ratio"], row["least"], row["most"]) == ("PyTorch", 2, 1, 3)
    assert found["sides"]["PyTorch"]["rate"] == 256 / 4


def test_what_a_side_says_it_did_counts(speed):
    runs = {speed.KIT: answers(2, items=100), "PyTorch": answers(2, items=50)}
    [row] = speed.summary(speed.MEASURES["pretrain"], runs, dict.fromkeys(runs))["rows"]
    assert row["ratio"] == 2
    assert row["goal"] == 1.5


def test_beside_the_machine_operations_are_compared(speed):
    found = speed.MEASURES["encoder"]
    work = speed.work_of(found, speed.KIT, {})
    token = 6 * (2 * (4 * 384 * 384 + 2 * 384 * 1536) + 4 * 128 * 384)
    assert work == 32 * 128 * token
    runs = {speed.KIT: answers(4), speed.MACHINE: answers(1)}
    outputs = {speed.KIT: None, speed.MACHINE: {"operations": work / 2}}
    [row] = speed.summary(found, runs, outputs)["rows"]
    assert row["ratio"] == 0.5


def test_of_single_requests_median_and_p99_are_compared(speed):
    kit, other = (
        speed.with_percentiles({"peak_bytes": 1, "times": [scale * i for i in range(1, 101)]})
        for scale in (1, 3)
    )
    runs = {speed.KIT: [kit], "ONNX Runtime": [other]}
    rows = speed.summary(speed.MEASURES["latency"], runs, dict.fromkeys(runs))["rows"]
    assert [row["what"].rpartition(": ")[2] for row in rows] == ["time", "p99"]
    assert all(row["ratio"] == pytest.approx(3) for row in rows)


def test_memory_is_compared_where_it_is_the_measure(speed):
    runs = {speed.KIT: answers(1), "PyTorch": answers(1)}
    runs["PyTorch"][0]["peak_bytes"] = 150
    rows = speed.summary(speed.MEASURES["memory"], runs, dict.fromkeys(runs))["rows"]
    assert [(row["what"].rpartition(": ")[2], row["ratio"]) for row in rows] == [("memory", 1.5)]


def test_answers_are_compared(speed):
    labels = {speed.KIT: ["a", "b"], "PyTorch": ["a", "a"], "KerasHub": None}
    assert speed.agreement(speed.KIT, labels) == {"PyTorch": 0.5}
    numbers = {speed.KIT: [[0.5, 1.0]], "PyTorch": [[0.5, 1.25]]}
    assert speed.agreement(speed.KIT, numbers) == {"PyTorch": 0.25}


def test_a_worker_tells_of_an_error_and_goes_on():
    asked = [{"prepare": "nothing"}, {"prepare": "encoder", "dtype": "float32"}, {"run": 0},
             {"check": True}]  # fmt: skip
    done = subprocess.run(
        [sys.executable, FOLDER / "worker.py", "machine"],
        input="".join(json.dumps(one) + "\n" for one in asked),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    error, ready, ran, outputs = map(json.loads, done.stdout.splitlines())
    assert "nothing" in error["error"]
    assert ready["peak_bytes"] > 0
    assert ran["seconds"] > 0
    assert outputs["outputs"]["operations"] == 8 * 2 * 2048**3
