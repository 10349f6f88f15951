"""Proves that a SavedModel works on the loader that TensorFlow Serving uses.

Each check runs in a process of its own, without TensorFlow's Python and without Keras, so that a
crash of the model is a failed check.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_bert_kit.serving.check.probes import PROBES
from keras_bert_kit.serving.check.rows import Row, Task

CHECKS = tuple(PROBES)
_SECONDS = 900, 1.0  # that a check may take: in all, and for each request more
_LOG_LINE = re.compile(r"[IW]\d{4} |WARNING: All log messages|$")  # said of a sound process too


@dataclasses.dataclass(frozen=True)
class Report:
    """The outcome of `serve_check`.

    Attributes:
        path: Folder of the SavedModel.
        rows: A row for each check, in order.
    """

    path: str
    rows: Sequence[Row]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(row.passed is not False for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Gives the report as plain values that JSON can hold."""
        return {**dataclasses.asdict(self), "passed": self.passed}


def serve_check(
    path: str | Path,
    requests: int = 0,
    threads: int = 8,
    fuzz: int = 0,
    tolerance: float = 1e-5,
    seed: int = 0,
    checks: Sequence[str] | None = None,
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Checks that TensorFlow Serving can serve a SavedModel.

    The checks: it loads (`loads`); the warm-up records get the answers that are stored with them
    (`warm-up`); so they do on a server without XLA (`xla-off`) and with the older ops of
    TensorFlow Serving 2.12 to 2.19 (`text-ops-2.12`); the batcher's padding changes no answer
    (`padding`); outputs have a row for each of the inputs (`batch-major`); many threads get the
    same answers in memory that does not grow (`load`); nasty inputs get an answer or a clean
    refusal (`fuzz`); and none of this imported TensorFlow or Keras (`stands-alone`).

    Args:
        path: Folder of the SavedModel, with saved_model.pb in it.
        requests: Requests of the load; 0 leaves it out.
        threads: Threads of the load.
        fuzz: Nasty inputs to try; 0 leaves them out.
        tolerance: Largest difference of floats that counts as equal.
        seed: Where the randomness of `load` and `fuzz` starts.
        checks: Names of the checks to make; `None` makes all.
        on_row: Called with each row as soon as it is there.

    Returns:
        The report. `passed` of a row is `None` where the check does not apply.

    Raises:
        FileNotFoundError: The folder is no SavedModel.
        ValueError: There is no such check, or a number is too small.
    """
    if not (Path(path) / "saved_model.pb").is_file():
        raise FileNotFoundError(f"{path} must be a SavedModel, with saved_model.pb in it")
    _check_arguments(requests, threads, fuzz, checks)
    rows, imported = [], set()

    def add(row: Row):
        rows.append(row)
        if on_row is not None:
            on_row(row)

    left_out = {"load": not requests, "fuzz": not fuzz}
    for name in CHECKS if checks is None else checks:
        if left_out.get(name):
            continue
        if rows and rows[0].name == "loads" and not rows[0].passed:
            add(Row(name, None, "not tried, because it does not load"))
            continue
        row, modules = _checked(
            Task(name, str(path), "", "", requests, threads, fuzz, seed, tolerance)
        )
        imported.update(modules)
        add(row)
    detail = (
        f"imported {', '.join(sorted(imported))}" if imported else "neither TensorFlow nor Keras"
    )
    add(Row("stands-alone", not imported, detail))
    return Report(str(path), rows)


def _check_arguments(requests: int, threads: int, fuzz: int, checks: Sequence[str] | None):
    if min(requests, fuzz) < 0 or threads < 1:
        raise ValueError(
            "requests and fuzz must be at least 0, threads at least 1. Received: "
            f"requests={requests}, fuzz={fuzz}, threads={threads}"
        )
    unknown = sorted(set(checks or ()) - set(CHECKS))
    if unknown:
        raise ValueError(f"checks must be of {', '.join(CHECKS)}. Received: {', '.join(unknown)}")


def _checked(task: Task) -> tuple[Row, list[str]]:
    """Makes one check in a process of its own; gives its row and what it imported."""
    with tempfile.TemporaryDirectory() as folder:
        result, journal = Path(folder, "row.json"), Path(folder, "journal")
        task = dataclasses.replace(task, result=str(result), journal=str(journal))
        seconds = _SECONDS[0] + _SECONDS[1] * (task.requests + task.fuzz)
        try:
            ran = _run(task, seconds)
        except subprocess.TimeoutExpired:
            return task.row(False, f"no end after {seconds:.0f} s{_last(journal)}"), []
        if not ran.returncode and result.is_file():
            outcome = json.loads(result.read_text(encoding="utf-8"))
            return Row(**outcome["row"]), outcome["imported"]
        return task.row(False, f"{_end(ran)}{_last(journal)}"), []


def _run(task: Task, seconds: float) -> subprocess.CompletedProcess:
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    return subprocess.run(
        [sys.executable, "-m", "keras_bert_kit.serving.check.probes"],
        input=json.dumps(dataclasses.asdict(task)),
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
        timeout=seconds,
    )


def _end(ran: subprocess.CompletedProcess) -> str:
    lines = [line for line in map(str.strip, ran.stderr.splitlines()) if not _LOG_LINE.match(line)]
    said = f": {lines[-1][:300]}" if lines else ""
    if ran.returncode < 0:
        return f"the process died of {signal.Signals(-ran.returncode).name}{said}"
    return f"the process ended with code {ran.returncode}{said}"


def _last(journal: Path) -> str:
    text = journal.read_text(encoding="utf-8", errors="replace") if journal.is_file() else ""
    return f"; the last input was {text}" if text else ""
