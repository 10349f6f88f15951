"""The command that writes artefacts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_bert_kit.cli.console import err, out, print_json, say, table
from keras_bert_kit.cli.models import load_model

if TYPE_CHECKING:
    from keras_bert_kit.export import LiteRTExport

app = typer.Typer()

# The options that each format has, beside those that all have.
_OPTIONS = {
    "saved-model": ("max_length", "weights", "xla", "texts"),
    "litert": ("max_length", "quantize", "data", "texts", "max_drop", "allow_drop"),
    "onnx": ("max_length", "opset"),
}
_TAKES = {"saved-model": "text in, answer out", "onnx": "tokens in, answer out"}


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    output: Annotated[
        Path,
        typer.Option(help="What to make: NAME-serving/1, a folder NAME-litert, or NAME.onnx."),
    ],
    format_: Annotated[
        str, typer.Option("--format", help="saved-model, litert or onnx.")
    ] = "saved-model",
    overwrite: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
    max_length: Annotated[int | None, typer.Option(help="Longest sequence in tokens.")] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="Texts like those to come: for warm-up, or to measure activations on."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="saved-model: float32, or bfloat16 for half the size.")
    ] = None,
    xla: Annotated[
        bool, typer.Option("--xla", help="saved-model: for a server that is started with XLA on.")
    ] = False,
    quantize: Annotated[
        str | None, typer.Option(help="litert: none, float16, dynamic-int8, int8 or int16x8.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="litert: labelled texts to measure accuracy on.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(min=0, help="litert: points of accuracy that may be lost.")
    ] = None,
    allow_drop: Annotated[
        bool, typer.Option("--allow-drop", help="litert: write it even if it loses more.")
    ] = False,
    opset: Annotated[int | None, typer.Option(help="onnx: its set of operations.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
):
    """Write an artefact that answers without Keras."""
    given = {
        "max_length": max_length,
        "texts": texts,
        "weights": weights,
        "xla": xla,
        "quantize": quantize,
        "data": data,
        "max_drop": max_drop,
        "allow_drop": allow_drop,
        "opset": opset,
    }
    options = {name: value for name, value in given.items() if value not in (None, False)}
    _check(format_, options)
    _read_files(format_, options)
    from keras_bert_kit import export as exporters

    functions = {
        "saved-model": exporters.saved_model,
        "litert": exporters.litert,
        "onnx": exporters.onnx_model,
    }
    with err.status("Loading the model") as status:
        trained = load_model(model)
        done = functions[format_](
            trained, output, overwrite=overwrite, on_step=status.update, **options
        )
    if format_ == "litert":
        _print_litert(done, as_json)
        return
    files = [output, *output.rglob("*")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    if as_json:
        print_json({"path": str(output), "format": format_, "bytes": size})
    else:
        say(f"Wrote {output} ({size / 1e6:.1f} MB): {_TAKES[format_]}")


def _check(format_: str, options: dict[str, Any]):
    if format_ not in _OPTIONS:
        raise ValueError(f"--format must be one of {', '.join(_OPTIONS)}. Received: {format_!r}")
    for name in options:
        if name not in _OPTIONS[format_]:
            formats = " or ".join(one for one, names in _OPTIONS.items() if name in names)
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} belongs to --format {formats}. Received: {format_!r}")


def _read_files(format_: str, options: dict[str, Any]):
    """Reads the files that options name."""
    from keras_bert_kit.data import read_examples

    if "data" in options:
        options["examples"] = read_examples(options.pop("data"))
    if "texts" in options:
        texts = read_examples(options.pop("texts"), labelled=False)
        options |= {"calibration": texts} if format_ == "litert" else {"texts": texts.texts}


def _print_litert(done: LiteRTExport, as_json: bool):
    if as_json:
        print_json({**dataclasses.asdict(done), "path": str(done.path)})
        return
    rows = [
        {
            "file": name,
            "format": model.format,
            "MB": f"{model.bytes / 1e6:.2f}",
            "ms": f"{model.milliseconds:.1f}",
            "accuracy": "" if model.scores.accuracy is None else f"{model.scores.accuracy:.4f}",
            "difference": f"{model.scores.mean_difference:.1e}",
        }
        for name, model in done.models.items()
    ]
    shown = table(rows)
    shown.columns[0].no_wrap = True
    out.print(shown)
    scores = next(iter(done.models.values())).scores
    if scores.keras_accuracy is not None and done.labelled:
        say(f"The Keras model's accuracy is {scores.keras_accuracy:.4f} ({scores.texts} texts)")
    for note in done.notes:
        say(note)
    say(f"Wrote {done.path}")
