"""Commands that train and score."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from keras_bert_kit.cli.console import fail, interruptible, out, print_json, say, table
from keras_bert_kit.cli.models import load_model
from keras_bert_kit.cli.recipe import (
    BatchSize,
    Epochs,
    HeadLearningRate,
    Json,
    LearningRate,
    MaxLength,
    Model,
    Precision,
    Train,
    WarmupRatio,
    WeightDecay,
    Xla,
)
from keras_bert_kit.tasks import TASKS, get_task

app = typer.Typer()


class _TaskCommand(TyperCommand):
    """The command of a task, which is made when it is run, since its options load TensorFlow."""

    def make_context(self, info_name, args, parent=None, **extra):
        """Reads the arguments of the command that was meant."""
        return _command(self.name).make_context(info_name, args, parent, **extra)


class _Tasks(TyperGroup):
    """The tasks as commands."""

    def list_commands(self, context):
        """Gives the names of the tasks."""
        return list(TASKS)

    def get_command(self, context, name):
        """Gives the command of a task."""
        return _TaskCommand(name, help=TASKS[name].summary) if name in TASKS else None


finetune_app = typer.Typer(
    cls=_Tasks, help="Train a pretrained BERT for a task.", no_args_is_help=True
)
app.add_typer(finetune_app, name="finetune")


@finetune_app.callback()
def _finetune():
    """Train a pretrained BERT for a task."""


def _finetune_task(
    task: str,
    model: Model,
    train: Train,
    output: Annotated[Path, typer.Option(help="Folder of the trained model.")],
    validation: Annotated[
        Path | None, typer.Option(help="File whose scores choose the best epoch.")
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    head_learning_rate: HeadLearningRate = None,
    warmup_ratio: WarmupRatio = 0.1,
    weight_decay: WeightDecay = 0.01,
    max_length: MaxLength = None,
    metric: Annotated[str | None, typer.Option(help="Score that chooses the best epoch.")] = None,
    precision: Precision = "float32",
    xla: Xla = None,
    seed: Annotated[int, typer.Option(help="Decides order, new weights and dropout.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace the output folder.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    as_json: Json = False,
    **options: Any,
):
    from keras_bert_kit.training import FinetuningRecipe, finetune
    from keras_bert_kit.training.run_state import RunState

    recipe = FinetuningRecipe(
        task=task,
        options=options,
        model=model,
        train=str(train),
        validation=None if validation is None else str(validation),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        head_learning_rate=head_learning_rate,
        warmup_ratio=warmup_ratio,
        weight_decay=weight_decay,
        max_length=max_length,
        metric=metric,
        precision=precision,
        xla=xla,
        seed=seed,
    )
    try:
        with interruptible():
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
        print_json({**dataclasses.asdict(result), "output": str(result.output)})
        return
    out.print(table(result.data))
    if result.scores is not None:
        _print_scores(result.scores)
    say(f"Kept the weights after epoch {result.best_epoch} in {result.output}")


def _command(name: str):
    """Makes the command of a task: what all tasks have, and the task's own options."""
    common = dict(inspect.signature(_finetune_task, eval_str=True).parameters)
    del common["task"], common["options"]
    defaults = get_task(name).defaults
    usual = {"epochs": 3, "batch_size": 32, "learning_rate": 5e-5, "max_length": 128, **defaults}
    for option, value in usual.items():
        common[option] = common[option].replace(default=value)
    task_class = type(get_task(name))
    hints = typing.get_type_hints(task_class)
    for field in dataclasses.fields(task_class):
        shown = typer.Option(help=field.metadata.get("help"))
        common[field.name] = inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[hints[field.name], shown],
        )
    in_order = sorted(common.values(), key=lambda p: p.default is not inspect.Parameter.empty)

    def run(**options):
        _finetune_task(name, **options)

    run.__signature__ = inspect.Signature(
        [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in in_order]
    )
    run.__annotations__ = {one.name: one.annotation for one in in_order}
    alone = typer.Typer(add_completion=False)
    alone.command(name, help=f"{TASKS[name].summary} Files: {TASKS[name].files}.")(run)
    return typer.main.get_command(alone)


@app.command()
def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
):
    """List the tasks that models can be trained for."""
    rows = [
        {"task": name, "does": entry.summary, "files": entry.files} for name, entry in TASKS.items()
    ]
    if as_json:
        print_json(rows)
    else:
        out.print(table(rows))


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    data: Annotated[Path, typer.Option(help="A file of the model's task, with answers.")],
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
):
    """Score a trained model."""
    from keras_bert_kit.training import evaluate as score

    scores = score(load_model(model), str(data), batch_size)
    if as_json:
        print_json(scores)
        return
    out.print(table([scores.pop("data")]))
    _print_scores(scores)


def _print_scores(scores: dict[str, Any]):
    from keras_bert_kit.tasks.scores import score_tables, scores_line

    for rows in score_tables(scores):
        out.print(table(rows))
    say(f"{scores_line(scores)}  ({scores['rows']} rows)")
