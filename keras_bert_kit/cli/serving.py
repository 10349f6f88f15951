"""Commands that check and use artefacts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from keras_bert_kit.cli.console import Reported, err, out, print_json, say, table
from keras_bert_kit.cli.models import load_classifier

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
    model: Annotated[Path, typer.Argument(help="Folder of a trained classifier or a SavedModel.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...")] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Texts: TSV, CSV, JSONL or TXT; - reads lines.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
):
    """Classify texts."""
    from keras_bert_kit.serving import TextClassifier, is_saved_model

    if bool(texts) == (input_ is not None):
        raise ValueError("predict needs either texts or --input FILE")
    texts, pairs = (texts, None) if texts else _read_texts(input_)
    if is_saved_model(model):
        classifier = TextClassifier.load(model)
    else:
        from keras_bert_kit.export import serving_functions

        classifier = TextClassifier(serving_functions(load_classifier(model)))
    answers = classifier.predict(texts, pairs, batch_size)
    rows = [
        {"text": text, **({} if pairs is None else {"text_pair": pairs[index]}), **answer}
        for index, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    if not rows:
        say("No texts came in.")
        return
    for row in rows:
        row.update({name: f"{p:.4f}" for name, p in row.pop("probabilities").items()})
        del row["score"]
    out.print(table(rows))


def _read_texts(path: Path) -> tuple[list[str], list[str] | None]:
    from keras_bert_kit.data import read_examples, read_lines

    if str(path) == "-":
        return read_lines(sys.stdin.buffer, "standard input"), None
    examples = read_examples(path, labelled=False)
    return examples.texts, examples.text_pairs
