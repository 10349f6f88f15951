"""The command line: thin calls to the public API, with errors in one line."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

app = typer.Typer(
    name="keras-bert-kit",
    help="BERT for TensorFlow, from raw text to production.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
finetune_app = typer.Typer(help="Train a pretrained BERT for a task.", no_args_is_help=True)
app.add_typer(finetune_app, name="finetune")

# What people wrote is shown as it is, brackets and colons too.
_out = Console(markup=False, emoji=False, highlight=False)
_err = Console(markup=False, emoji=False, highlight=False, stderr=True)


class _Reported(SystemExit):
    """The end of the program, after its cause was printed."""


def main():
    """Runs the command line; an error is one line on standard error and exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what fails, Python reports
    try:
        app(prog_name="keras-bert-kit")
    except _Reported:
        raise
    except SystemExit as stop:  # Typer makes one of Ctrl-C, and says nothing
        if stop.code == 130:
            _fail("Interrupted.", 130)
        raise
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("KERAS_BERT_KIT_TRACEBACK"):
            raise
        _fail(_one_line(error), 2)


@app.callback()
def _options():
    """BERT for TensorFlow, from raw text to production."""


@finetune_app.command("text-classification")
def finetune_text_classification(
    model: Annotated[
        str, typer.Option(help="Pretrained BERT: folder, hf://, kaggle:// or package:// handle.")
    ],
    train: Annotated[Path, typer.Option(help="Labelled texts: TSV, CSV or JSONL.")],
    output: Annotated[Path, typer.Option(help="Folder of the trained model.")],
    validation: Annotated[
        Path | None, typer.Option(help="Labelled texts that choose the best epoch.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak of the learning rate.")] = 5e-5,
    max_length: Annotated[int, typer.Option(help="Longest sequence in tokens.")] = 128,
    precision: Annotated[
        str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16.")
    ] = "float32",
    xla: Annotated[
        bool | None, typer.Option("--xla/--no-xla", help="Compile with XLA. Default: on a GPU.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides order, new weights and dropout.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace the output folder.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
):
    """Train a classifier of texts, or of pairs of texts."""
    from keras_bert_kit.training import FinetuningRecipe
    from keras_bert_kit.training import finetune_text_classification as finetune
    from keras_bert_kit.training.run_state import RunState

    recipe = FinetuningRecipe(
        model=model,
        train=str(train),
        validation=None if validation is None else str(validation),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        precision=precision,
        xla=xla,
        seed=seed,
    )
    try:
        result = finetune(recipe, output, overwrite=overwrite, resume=resume)
    except KeyboardInterrupt:
        kept = RunState.beside(output)
        if kept.latest is None:
            _fail("Interrupted before the first whole epoch; nothing is kept.", 130)
        _fail(
            f"Interrupted. The state after the last whole epoch is kept in {kept.folder}; "
            "the same command with --resume goes on.",
            130,
        )
    if as_json:
        _print_json(
            {
                "output": str(result.output),
                "best_epoch": result.best_epoch,
                "scores": result.scores,
                "history": result.history,
                "data": result.data,
            }
        )
        return
    _out.print(_table(result.data))
    if result.scores is not None:
        _print_scores(result.scores)
    _say(f"Kept the weights after epoch {result.best_epoch} in {result.output}")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a trained classifier.")],
    data: Annotated[Path, typer.Option(help="Labelled texts: TSV, CSV or JSONL.")],
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
):
    """Score a trained classifier on labelled texts."""
    from keras_bert_kit.data import read_examples
    from keras_bert_kit.training import evaluate_classifier, load_labelled_texts

    examples = read_examples(data)
    classifier = _load_classifier(model)
    labelled = load_labelled_texts(classifier, examples, classifier.max_length)
    scores = evaluate_classifier(classifier, labelled.texts, labelled.labels, batch_size)
    if as_json:
        _print_json({"data": labelled.summary(), **scores})
        return
    _out.print(_table([labelled.summary()]))
    _print_scores(scores)


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Folder of a trained classifier.")],
    output: Annotated[Path, typer.Option(help="Folder to make, such as NAME-serving/1.")],
    format_: Annotated[str, typer.Option("--format", help="saved-model.")] = "saved-model",
    max_length: Annotated[int | None, typer.Option(help="Longest sequence in tokens.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output folder.")] = False,
):
    """Write an artefact for serving, with the tokenizer inside."""
    if format_ != "saved-model":
        raise ValueError(f"--format must be saved-model. Received: {format_!r}")
    from keras_bert_kit.export import saved_model

    saved_model(_load_classifier(model), output, max_length=max_length, overwrite=overwrite)
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    _say(f"Wrote {output} ({size / 1e6:.1f} MB): text in, label and probabilities out")


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

    with _err.status("Loading") as status:
        report = check(
            path,
            requests=requests,
            threads=threads,
            fuzz=fuzz,
            tolerance=tolerance,
            on_row=lambda row: status.update(f"{row.name}: done"),
        )
    if as_json:
        _print_json(report.as_dict())
    else:
        words = {True: "passed", False: "FAILED", None: "not applicable"}
        _out.print(
            _table(
                [{"check": r.name, "": words[r.passed], "found": r.detail} for r in report.rows]
            )
        )
    if not report.passed:
        raise _Reported(1)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="Any BERT checkpoint: folder or handle.")],
    output: Annotated[Path, typer.Argument(help="Folder to make.")],
    to: Annotated[str, typer.Option(help="huggingface, tf1 or keras-hub.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Load both sides and compare their outputs.")
    ] = False,
    hidden_act: Annotated[
        str | None, typer.Option(help="Replace the activation, on purpose: gelu or gelu_new.")
    ] = None,
    layer_norm_eps: Annotated[
        float | None, typer.Option(help="Replace the epsilon, on purpose: 1e-12.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
):
    """Write a checkpoint in another format."""
    from keras_bert_kit.models.conversion import TOLERANCE, convert_checkpoint

    given = {"hidden_act": hidden_act, "layer_norm_eps": layer_norm_eps}
    changes = {name: value for name, value in given.items() if value is not None}
    done = convert_checkpoint(source, output, to, verify, overwrite, **changes)
    if as_json:
        _print_json(dataclasses.asdict(done))
        return
    _say(
        f"Wrote {done.output} ({done.to}): {done.architecture}, {done.weights} weights, "
        f"{done.parameters:,} parameters"
    )
    if verify:
        _say(f"Largest difference of outputs: {done.largest_difference:.3g} (at most {TOLERANCE})")


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

        classifier = TextClassifier(serving_functions(_load_classifier(model)))
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
        _say("No texts came in.")
        return
    for row in rows:
        row.update({name: f"{p:.4f}" for name, p in row.pop("probabilities").items()})
        del row["score"]
    _out.print(_table(rows))


def _load_classifier(path: Path):
    from keras_bert_kit.models import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(path, new_head=False)


def _read_texts(path: Path) -> tuple[list[str], list[str] | None]:
    from keras_bert_kit.data import read_examples, read_lines

    if str(path) == "-":
        return read_lines(sys.stdin.buffer, "standard input"), None
    examples = read_examples(path, labelled=False)
    return examples.texts, examples.text_pairs


def _print_scores(scores: dict[str, Any]):
    rows = [
        {"label": name, **{key: f"{value:.4g}" for key, value in row.items()}}
        for name, row in scores["labels"].items()
    ]
    _out.print(_table(rows))
    _say(
        f"accuracy {scores['accuracy']:.4f}  macro F1 {scores['macro_f1']:.4f}  "
        f"loss {scores['loss']:.4f}  ({scores['rows']} texts)"
    )


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    return table


def _print_json(values: Any):
    print(json.dumps(values, indent=2, ensure_ascii=False))


def _say(text: str):
    _out.print(text, soft_wrap=True)


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _fail(message: str, code: int):
    _err.print("Error:", style="bold red", end=" ")
    _err.print(message, soft_wrap=True)
    raise _Reported(code)


if __name__ == "__main__":
    main()
