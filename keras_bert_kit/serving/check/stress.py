"""The checks that last: many threads at once, and nasty inputs."""

from __future__ import annotations

import dataclasses
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_bert_kit.messages import Request, kind_of
from keras_bert_kit.serving.c_api import Session
from keras_bert_kit.serving.c_library import TensorFlowError
from keras_bert_kit.serving.check import samples
from keras_bert_kit.serving.check.comparison import rows_of, timed
from keras_bert_kit.serving.check.fuzz import FuzzedRequest, fuzzed_request
from keras_bert_kit.serving.check.rows import Row, Task

MOST_GROWTH = 64e6, 0.1  # of resident memory: bytes, or part of what there was


def load(task: Task) -> Row:
    """Whether many threads get the same answers, in memory that does not grow."""
    with Session(task.path) as session:
        requests = [
            one if one.outputs else dataclasses.replace(one, outputs=_run(session, one))
            for one in samples.sample_requests(session, task.path)
        ]
        if not requests:
            return task.row(None, "no signature takes texts or tokens")
        rng = random.Random(task.seed)
        with ThreadPoolExecutor(task.threads) as pool:
            few = max(task.requests // 10, 10 * task.threads)
            list(pool.map(lambda one: _run(session, one), requests + rng.choices(requests, k=few)))
            resident = [_resident_bytes()]
            chosen = rng.choices(requests, k=task.requests)
            start = time.perf_counter()
            outcomes = list(pool.map(lambda one: timed(session, one, task.tolerance), chosen))
            seconds = time.perf_counter() - start
        resident.append(_resident_bytes())
    return _load_row(task, outcomes, sum(map(rows_of, chosen)), seconds, resident)


def _run(session: Session, request: Request) -> dict[str, np.ndarray]:
    return session.run(request.signature, request.inputs)


def _load_row(
    task: Task,
    outcomes: list[tuple[float, float, str]],
    texts: int,
    seconds: float,
    resident: list[int],
) -> Row:
    times, gaps, problems = zip(*outcomes, strict=True)
    problems = [problem for problem in problems if problem]
    p50, p99 = (1e3 * float(np.percentile(times, part)) for part in (50, 99))
    before, after = resident
    flat = after - before <= max(MOST_GROWTH[0], MOST_GROWTH[1] * before)
    detail = (
        f"{task.requests} requests on {task.threads} threads, {len(problems)} wrong; memory "
        f"{'stays' if flat else 'GROWS'}, {before / 1e6:.0f} to {after / 1e6:.0f} MB; "
        f"{task.requests / seconds:.0f} requests/s, {texts / seconds:.0f} texts/s, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )
    return task.row(
        flat and not problems,
        "; first: ".join([detail, *problems[:1]]),
        requests=task.requests,
        threads=task.threads,
        wrong=len(problems),
        largest_difference=max(gaps),
        requests_per_second=task.requests / seconds,
        texts_per_second=texts / seconds,
        p50_ms=p50,
        p99_ms=p99,
        resident_mb=[before / 1e6, after / 1e6],
    )


def fuzz(task: Task) -> Row:
    """Whether nasty inputs get an answer or a clean refusal."""
    kinds: dict[str, Counter] = defaultdict(Counter)
    with Session(task.path) as session, open(task.journal, "w+b") as journal:
        for index in range(task.fuzz):
            fuzzed = fuzzed_request(session, task.seed, index)
            if fuzzed is None:
                return task.row(None, "no signature takes texts or tokens")
            _note(journal, _described(task.seed, index, fuzzed))
            outcome, problem = _survived(session, fuzzed)
            if problem:
                return task.row(False, f"{problem}; {_described(task.seed, index, fuzzed)}")
            kinds[fuzzed.kind][outcome] += 1
    outcomes = {kind: dict(counts) for kind, counts in kinds.items()}
    total = Counter()
    for counts in kinds.values():
        total.update(counts)
    detail = ", ".join(f"{count} {outcome}" for outcome, count in total.most_common())
    return task.row(True, f"{task.fuzz} inputs from seed {task.seed}: {detail}", outcomes=outcomes)


def _survived(session: Session, fuzzed: FuzzedRequest) -> tuple[str, str]:
    """Gives the outcome, and what is wrong with it, if so."""
    request = fuzzed.request
    try:
        answer = session.run(request.signature, request.inputs)
    except TensorFlowError as error:
        return error.code, ""
    except ValueError:
        return "refused by name", ""
    if fuzzed.refused:
        return "answered", f"{fuzzed.kind} gets an answer, and must be refused"
    for name, array in answer.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return "answered", f"{name} is not finite"
        if fuzzed.batch is not None and array.shape[:1] != (fuzzed.batch,):
            return "answered", f"{name} is {kind_of(array)} for a batch of {fuzzed.batch}"
    return "answered", ""


def _note(journal: BinaryIO, text: str):
    journal.seek(0)
    journal.truncate()
    journal.write(text.encode(errors="replace"))
    journal.flush()


def _described(seed: int, index: int, fuzzed: FuzzedRequest) -> str:
    inputs = ", ".join(
        f"{name}={kind_of(array)} {[v[:40] if isinstance(v, bytes) else v for v in array.flat[:4]]}"
        for name, array in fuzzed.request.inputs.items()
    )
    return f"seed {seed}, input {index}, {fuzzed.kind}: {fuzzed.request.signature!r} with {inputs}"


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
