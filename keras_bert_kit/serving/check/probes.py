"""What `serve_check` does in the processes that it starts: one check in each.

The task comes as JSON on standard input, and the row that is found goes to the task's file.
"""

from __future__ import annotations

import dataclasses
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError, Message

from keras_bert_kit import messages
from keras_bert_kit.messages import Request, difference, kind_of
from keras_bert_kit.serving.c_api import Session, TensorSpec
from keras_bert_kit.serving.c_library import (
    LATER_OPS,
    TensorFlowError,
    disable_xla,
    load_text_ops,
)
from keras_bert_kit.serving.check import batcher, samples
from keras_bert_kit.serving.check.comparison import (
    differ_by,
    label,
    one_line,
    replayed,
    rows_of,
    shapes_of,
    timed,
)
from keras_bert_kit.serving.check.rows import Row, Task
from keras_bert_kit.serving.check.stress import fuzz, load

MOST_RECORDS = 1000  # TensorFlow Serving refuses a warm-up file with more
STEADY_RUNS = 5
_TYPES = {1: "float32", 2: "float64", 3: "int32", 7: "string", 9: "int64", 10: "bool"}


def loads(task: Task) -> Row:
    """Whether it loads, and what it answers."""
    _meta_graphs(task.path)
    start = time.perf_counter()
    with Session(task.path) as session:
        seconds = time.perf_counter() - start
        signatures = {
            name: {
                "inputs": {key: _shown(spec) for key, spec in one.inputs.items()},
                "outputs": {key: _shown(spec) for key, spec in one.outputs.items()},
                "method_name": one.method_name,
            }
            for name, one in session.signatures.items()
        }
    detail = ", ".join(f"{name}({', '.join(one['inputs'])})" for name, one in signatures.items())
    detail = f"{len(signatures)} signatures: {detail}" if signatures else "no signature"
    return task.row(bool(signatures), detail, seconds=seconds, signatures=signatures)


def warm_up(task: Task) -> Row:
    """Whether each warm-up record gets the answer that is stored with it, and how fast."""
    records = samples.warm_up_requests(task.path)
    if not records:
        return task.row(None, f"there is no {samples.WARM_UP}; the other checks take own texts")
    if len(records) > MOST_RECORDS:
        return task.row(False, f"{len(records)} records; a server takes at most {MOST_RECORDS}")
    with Session(task.path) as session:
        start = time.perf_counter()
        session.run(records[0].signature, records[0].inputs)
        first = time.perf_counter() - start
        row = replayed(task, session, records)
        steady = {label(one): _steady_milliseconds(session, one) for one in records}
    numbers = {**row.numbers, "first_ms": 1e3 * first, "p50_ms": steady}
    return dataclasses.replace(row, numbers=numbers)


def xla_off(task: Task) -> Row:
    """Whether a server answers that was started without XLA, as is the rule."""
    try:
        disable_xla()
    except NotImplementedError as error:
        return task.row(None, str(error))
    with Session(task.path) as session:
        if _is_compiled(session.meta_graph):
            return task.row(
                None,
                "compiled with XLA: needs a server started with --xla_cpu_compilation_enabled "
                "or --xla_gpu_compilation_enabled; another refuses its first request",
            )
        return replayed(task, session, samples.sample_requests(session, task.path))


def text_ops(task: Task) -> Row:
    """Whether it runs with the ops that TensorFlow Serving 2.12 to 2.19 has."""
    known = load_text_ops("2.12")
    ops = {op for graph in _meta_graphs(task.path) for op in _ops(graph)}
    used, later = sorted(ops & known), sorted(ops & {*LATER_OPS})
    numbers = {"ops": used + later, "later_ops": later}
    if later:
        detail = f"TensorFlow Serving 2.12 to 2.19 has no {', '.join(later)}"
        return task.row(False, detail, **numbers)
    with Session(task.path, "2.12") as session:
        row = replayed(task, session, samples.sample_requests(session, task.path))
    return dataclasses.replace(
        row,
        detail=f"{row.detail}; ops of tensorflow-text: {', '.join(used) or 'none'}",
        numbers={**row.numbers, **numbers},
    )


def padding(task: Task) -> Row:
    """Whether answers stay the same when a server pads requests to the same length."""
    with Session(task.path) as session:
        requests = samples.sample_requests(session, task.path)
        names = [n for n, one in session.signatures.items() if samples.takes_tokens(one)]
        merged, largest = [], 0.0
        for name in names:
            own = samples.token_requests(session, name, samples.texts_of(requests)[:16])
            tasks = [one for one in requests if one.signature == name] + own
            if len({shapes_of(one.inputs) for one in tasks}) < 2:
                continue
            gap, problem = _padding_difference(session, name, tasks, task)
            if problem:
                return task.row(False, f"{name}: {problem}")
            merged.append(f"{name}: {len(tasks)} requests")
            largest = max(largest, gap)
    if not merged:
        return task.row(None, "no token signature with requests of different lengths")
    detail = f"{', '.join(merged)} padded with their first element; {differ_by(largest)}"
    return task.row(True, detail, largest_difference=largest)


def batch_major(task: Task) -> Row:
    """Whether each output has a row for each row of the inputs, and none for none."""
    with Session(task.path) as session:
        requests = samples.sample_requests(session, task.path)
        first = {one.signature: one for one in reversed(requests) if rows_of(one)}
        problems = []
        for request in first.values():
            for size in (1, 2, 5, 0):
                problems += _not_batch_major(session, request, size)
        left = sorted(session.signatures.keys() - first.keys())
    tried = f"{', '.join(sorted(first)) or 'none'} with batches of 1, 2, 5 and 0"
    if left:
        tried += f"; not tried: {', '.join(left)}"
    return task.row(not problems if first else None, "; ".join(problems[:3]) or tried)


PROBES: dict[str, Callable[[Task], Row]] = {
    "loads": loads,
    "warm-up": warm_up,
    "xla-off": xla_off,
    "text-ops-2.12": text_ops,
    "padding": padding,
    "batch-major": batch_major,
    "load": load,
    "fuzz": fuzz,
}


def main():
    """Makes the check that standard input asks for."""
    task = Task(**json.load(sys.stdin))
    try:
        row = PROBES[task.check](task)
    except (TensorFlowError, ValueError, OSError, ImportError) as error:
        row = task.row(False, one_line(error))
    kept = {"tensorflow", "tensorflow_text", "keras", "keras_nlp"} & sys.modules.keys()
    outcome = {"row": dataclasses.asdict(row), "imported": sorted(kept)}
    Path(task.result).write_text(json.dumps(outcome), encoding="utf-8")


def _padding_difference(
    session: Session, name: str, tasks: list[Request], task: Task
) -> tuple[float, str]:
    sizes = batcher.allowed_batch_sizes(task.path)
    random.Random(task.seed).shuffle(tasks)
    largest = 0.0
    for batch in _batches(tasks, sizes[-1]):
        inputs = batcher.merged([one.inputs for one in batch], sizes)
        answers = batcher.split(session.run(name, inputs), [rows_of(one) for one in batch])
        for one, together in zip(batch, answers, strict=True):
            alone = session.run(name, one.inputs)
            cut = {k: v[tuple(map(slice, alone[k].shape))] for k, v in together.items()}
            gap, problem = difference(cut, alone, task.tolerance)
            largest = max(largest, gap)
            if problem:
                return (
                    largest,
                    f"a request padded to {shapes_of(inputs)} gets another answer: {problem}",
                )
    return largest, ""


def _batches(tasks: Iterable[Request], most: int) -> list[list[Request]]:
    batches, rows = [[]], 0
    for one in tasks:
        rows += rows_of(one)
        if batches[-1] and rows > most:
            batches.append([])
            rows = rows_of(one)
        batches[-1].append(one)
    return batches


def _not_batch_major(session: Session, request: Request, size: int) -> list[str]:
    rows = np.arange(size) % rows_of(request)
    try:
        inputs = {name: np.take(array, rows, axis=0) for name, array in request.inputs.items()}
        outputs = session.run(request.signature, inputs)
    except (TensorFlowError, ValueError) as error:
        return [f"{request.signature} with a batch of {size}: {one_line(error)}"]
    return [
        f"{request.signature} with a batch of {size}: {name} is {kind_of(array)}"
        for name, array in outputs.items()
        if array.shape[:1] != (size,)
    ]


def _meta_graphs(path: str) -> list[Message]:
    file = Path(path) / "saved_model.pb"
    try:
        return list(messages.SavedModel.FromString(file.read_bytes()).meta_graphs)
    except DecodeError as error:
        raise ValueError(f"{file} must be a whole SavedModel. Received: {error}") from error


def _is_compiled(graph: Message) -> bool:
    functions = graph.graph_def.library.function
    owners = [*graph.graph_def.node, *functions]
    owners += [node for function in functions for node in function.node_def]
    return any("_XlaMustCompile" in one.attr and one.attr["_XlaMustCompile"].b for one in owners)


def _ops(graph: Message) -> set[str]:
    functions = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(node for one in functions for node in one.node_def)]
    return {node.op for node in nodes}


def _steady_milliseconds(session: Session, request: Request) -> float:
    times = [timed(session, request, np.inf)[0] for _ in range(STEADY_RUNS)]
    return 1e3 * statistics.median(times)


def _shown(spec: TensorSpec) -> str:
    shape = "any shape" if spec.shape is None else [n if n >= 0 else None for n in spec.shape]
    return f"{_TYPES.get(spec.type, f'type {spec.type}')} {shape}".replace("None", "?")


if __name__ == "__main__":
    main()
