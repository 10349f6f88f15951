"""Commands that check and use artefacts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_bert_kit.cli.console import Reported, err, out, print_json, say, table

app = typer.Typer()


@app.command("serve-check")
def serve_check(
    path: Annotated[Path, typer.Argument(help="Folder of a SavedModel, such as NAME-serving/1.")],
    requests: Annotated[int, typer.Option(min=0, help="Requests of a load test.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Its threads.")] = 8,
    fuzz: Annotated[int, typer.Option(min=0, help="Nasty inputs to try.")] = 0,
    tolerance: Annotated[float, typer.Option(help="Largest difference of numbers.")] = 1e-5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
):
    """Load a SavedModel as TensorFlow Serving does, and compare its answers with the model's."""
    from keras_bert_kit.serving import serve_check as check

    with err.status("Loading") as status:
        report = check(
            path,
            requests=requests,
            threads=threads,
            fuzz=fuzz,
            tolerance=tolerance,
            on_row=lambda row: status.update(f"{row.name}: done"),
        )
    if as_json:
        print_json(report.as_dict())
    else:
        words = {True: "passed", False: "FAILED", None: "not applicable"}
        out.print(
            table([{"check": r.name, "": words[r.passed], "found": r.detail} for r in report.rows])
        )
    if not report.passed:
        raise Reported(1)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model or a SavedModel.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...")] = None,
    with_: Annotated[
        str | None, typer.Option("--with", help="Second text: of a pair, or a question's context.")
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Texts: TSV, CSV, JSONL or TXT; - reads lines.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
):
    """Answer for texts, as the model's task does."""
    from keras_bert_kit.pipelines import pipeline

    if bool(texts) == (input_ is not None):
        raise ValueError("predict needs either texts or --input FILE")
    second = None if with_ is None else [with_] * len(texts or ())
    texts, pairs = (texts, second) if texts else _read_texts(input_)
    columns = [texts] if pairs is None else [texts, pairs]
    answer = pipeline(model)
    answers = answer(*columns, batch_size=batch_size)
    names = ("text", "text_pair")
    rows = [
        {**dict(zip(names, row, strict=False)), **one}
        for *row, one in zip(*columns, answers, strict=True)
    ]
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    elif rows:
        out.print(table([_shown(row) for row in rows]))
    else:
        say("No texts came in.")


def _shown(row: dict[str, Any]) -> dict[str, str]:
    """Gives an answer as cells of a table."""
    if "probabilities" in row:
        row.pop("score", None)
        row |= row.pop("probabilities")
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(one)}" for name, one in value.items())
    if isinstance(value, list):
        separator = "\n" if value and isinstance(value[0], dict) else " "
        return separator.join(map(_cell, value))
    return str(value)


def _read_texts(path: Path) -> tuple[list[str], list[str] | None]:
    from keras_bert_kit.data import read_examples, read_lines

    if str(path) == "-":
        return read_lines(sys.stdin.buffer, "standard input"), None
    examples = read_examples(path, labelled=False)
    return examples.texts, examples.text_pairs
