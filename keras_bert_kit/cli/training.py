"""Commands that train and score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_bert_kit.cli.console import fail, out, print_json, say, table
from keras_bert_kit.cli.models import load_classifier

app = typer.Typer()
finetune_app = typer.Typer(help="Train a pretrained BERT for a task.", no_args_is_help=True)
app.add_typer(finetune_app, name="finetune")


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
            fail("Interrupted before the first whole epoch; nothing is kept.", 130)
        fail(
            f"Interrupted. The state after the last whole epoch is kept in {kept.folder}; "
            "the same command with --resume goes on.",
            130,
        )
    if as_json:
        print_json(
            {
                "output": str(result.output),
                "best_epoch": result.best_epoch,
                "scores": result.scores,
                "history": result.history,
                "data": result.data,
            }
        )
        return
    out.print(table(result.data))
    if result.scores is not None:
        _print_scores(result.scores)
    say(f"Kept the weights after epoch {result.best_epoch} in {result.output}")


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
    classifier = load_classifier(model)
    labelled = load_labelled_texts(classifier, examples, classifier.max_length)
    scores = evaluate_classifier(classifier, labelled.texts, labelled.labels, batch_size)
    if as_json:
        print_json({"data": labelled.summary(), **scores})
        return
    out.print(table([labelled.summary()]))
    _print_scores(scores)


def _print_scores(scores: dict[str, Any]):
    rows = [
        {"label": name, **{key: f"{value:.4g}" for key, value in row.items()}}
        for name, row in scores["labels"].items()
    ]
    out.print(table(rows))
    say(
        f"accuracy {scores['accuracy']:.4f}  macro F1 {scores['macro_f1']:.4f}  "
        f"loss {scores['loss']:.4f}  ({scores['rows']} texts)"
    )
