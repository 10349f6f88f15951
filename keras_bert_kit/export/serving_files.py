"""What a server needs beside a SavedModel: configuration, warm-up, examples of requests, a card."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_kit._version import __version__
from keras_bert_kit.export.from_template import from_template
from keras_bert_kit.export.warm_up import BATCH_SIZES
from keras_bert_kit.messages import Example, Request, predict_record, write_records
from keras_bert_kit.tasks import get_task
from keras_bert_kit.tasks.served import Served

_ALWAYS_WRITTEN = ("models.config", "README.md")
_ONCE_WRITTEN = (
    "monitoring.config",
    "batching.config",
    "docker-compose.yaml",
    "kubernetes.yaml",
    "client_rest.py",
    "client_grpc.py",
)


def write_version_files(folder: Path, requests: Sequence[Request], compiled: bool):
    """Writes what belongs to one version: warm-up requests and sizes of batches.

    Args:
        folder: The SavedModel.
        requests: The warm-up requests, with their answers.
        compiled: Whether XLA compiles the model, for each size of batch anew.
    """
    (folder / "assets.extra").mkdir(exist_ok=True)
    write_records(
        folder / "assets.extra" / "tf_serving_warmup_requests",
        (predict_record(r.signature, r.inputs, r.outputs) for r in requests),
    )
    most = max(BATCH_SIZES)
    sizes = BATCH_SIZES if compiled else [1 << power for power in range(most.bit_length())]
    text = from_template(
        "batching_params.pbtxt",
        max_batch_size=most,
        allowed_batch_sizes="\n".join(f"allowed_batch_sizes: {size}" for size in sizes),
    )
    (folder / "batching_params.pbtxt").write_text(text, encoding="utf-8")


def write_serving_files(
    path: Path,
    served: Served,
    requests: Sequence[Request],
    measured: Sequence[dict[str, Any]],
    weights: str,
):
    """Writes what stands beside the versions of a model, in the folder above them.

    Args:
        path: The version's folder.
        served: The model.
        requests: Requests with their answers; the first of each signature becomes an example.
        measured: What `check_answers` gave.
        weights: The type of the weights on disk.
    """
    base = path.absolute().parent
    values = _values(path, served, measured, weights)
    examples = {request.signature: request for request in reversed(requests)}
    values["signatures"] = "\n".join(
        f"| `{name}` | {_columns(one.inputs)} | {_columns(one.outputs)} |"
        for name, one in sorted(examples.items())
    )
    values |= _client_values(examples["serving_default"])
    for name in (*_ALWAYS_WRITTEN, *_ONCE_WRITTEN):
        if name in _ALWAYS_WRITTEN or not (base / name).exists():
            (base / name).write_text(from_template(name, **values), encoding="utf-8")
    (base / "requests").mkdir(exist_ok=True)
    for name, request in examples.items():
        for end, content in (("", _rest_request(request)), (".answer", _rest_answer(request))):
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (base / "requests" / f"{name}{end}.json").write_text(text + "\n", encoding="utf-8")


def _client_values(request: Request) -> dict[str, str]:
    """Gives the names and the first values of a request's inputs, to stand in Python's quotes."""
    names = list(request.inputs)
    values = [np.ravel(request.inputs[name])[0].decode() for name in names]
    quoted = [json.dumps(value, ensure_ascii=False)[1:-1] for value in values]
    return {
        "names": " ".join(names),
        "values": '", "'.join(quoted),
        "usage": " ".join(name.upper() for name in names),
    }


def _rest_request(request: Request) -> dict[str, Any]:
    """Gives the body of a REST request, to `:predict`, or for examples to `:classify` and such."""
    named = {"signature_name": request.signature}
    if "inputs" in request.inputs:
        examples = [Example.FromString(one).features.feature for one in request.inputs["inputs"]]
        rows = [
            {name: f.bytes_list.value[0].decode() for name, f in one.items()} for one in examples
        ]
        return {**named, "examples": rows}
    return {**named, "instances": _rows(request.inputs)}


def _rest_answer(request: Request) -> dict[str, Any]:
    outputs = {name: array.tolist() for name, array in request.outputs.items()}
    if request.signature.startswith("classify"):
        pairs = zip(outputs["classes"], outputs["scores"], strict=True)
        return {
            "results": [
                list(map(list, zip(map(bytes.decode, c), s, strict=True))) for c, s in pairs
            ]
        }
    if request.signature.startswith("regress"):
        return {"results": [score for (score,) in outputs["outputs"]]}
    return {"predictions": _rows(request.outputs)}


def _rows(columns: dict[str, np.ndarray]) -> list[Any]:
    """Gives named arrays row by row; where there is one, without its name."""
    values = {name: _plain(array) for name, array in columns.items()}
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return [row.popitem()[1] for row in rows] if len(columns) == 1 else rows


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype == object:
        return np.vectorize(bytes.decode, otypes=[object])(array).tolist()
    return array.tolist()


def _columns(arrays: dict[str, np.ndarray]) -> str:
    axes = {1: "(B,)", 2: "(B, {})", 3: "(B, {}, H)"}
    second = {"input_ids": "S", "attention_mask": "S", "token_type_ids": "S"}
    second |= {"embedding": "H", "pooler_output": "H", "outputs": "1"}
    second |= {name: "N" for name in arrays if "." in name}
    second |= dict.fromkeys(("tags", "scores"), "S") if "tags" in arrays else {}
    return "; ".join(
        f"`{name}`, {'string' if array.dtype == object else array.dtype} "
        + axes[array.ndim].format(second.get(name, "C"))
        for name, array in arrays.items()
    )


def _values(path: Path, served: Served, measured, weights: str) -> dict[str, Any]:
    """Gives what the templates are filled with."""
    base, config = path.absolute().parent, served.model.config
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", base.name).strip("-") or "model"
    numbers = {int(entry.name) for entry in base.iterdir() if _is_version(entry)}
    newest = sorted(numbers)[-2:]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    compiled = bool(served.compiled_lengths)
    classes = "{labels}" in get_task(served.task).purpose
    flag = "--xla_cpu_compilation_enabled=true"
    return {
        "name": name,
        "dns_name": _dns_name(name),
        "version": path.name,
        "versions": " ".join(f"versions: {number}" for number in newest),
        "stable": newest[0],
        "canary": newest[-1],
        "xla": "yes" if compiled else "no",
        "xla_flag": f"\n      - {flag}" if compiled else "",
        "xla_argument": f"\n            - {flag}" if compiled else "",
        "xla_note": f"The server must be started with `{flag}` (on a GPU "
        "`--xla_gpu_compilation_enabled=true`), else every request fails."
        if compiled
        else "",
        "memory": f"{max(1, round(3 * size / 2**30 + 0.5))}Gi",
        "kit_version": __version__,
        "labels": ", ".join(config.label_names) if classes else "none",
        "task": served.task,
        "max_length": served.tokenizer.max_length,
        "parameters": f"{served.model.count_params():,}",
        "weights": weights,
        "size": f"{size / 1e6:.1f}",
        "special_tokens": "text" if served.tokenizer.split_special_tokens else "that token",
        "machine": f"{os.cpu_count()} cores of {platform.machine()}",
        "measured": "\n".join(
            "| {batch} | {tokens} | {milliseconds} |".format(**m) for m in measured
        ),
        **{
            f"{p.replace('-', '_')}_version": version(p)
            for p in ("tensorflow", "tensorflow-text", "keras")
        },
    }


def _dns_name(name: str) -> str:
    """Gives a name that Kubernetes takes (RFC 1035), with room for an ending."""
    name = name.lower().replace("_", "-").strip("-") or "model"
    return (name if name[0].isalpha() else f"model-{name}")[:50].rstrip("-")


def is_version(name: str) -> bool:
    """Tells whether a folder's name is a version: a whole number in ASCII digits."""
    return name.isascii() and name.isdecimal()


def _is_version(entry: Path) -> bool:
    return is_version(entry.name) and (entry / "saved_model.pb").is_file()
