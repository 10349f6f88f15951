"""The command that looks for hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_bert_kit.cli.console import fail, interruptible, out, print_json, say, table
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

if TYPE_CHECKING:
    from keras_bert_kit.search import SearchResult

app = typer.Typer()

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


@app.command()
def search(
    task: Annotated[str, typer.Argument(help="What to train for; `tasks` lists them.")],
    model: Model,
    train: Train,
    output: Annotated[Path, typer.Option(help="Folder of the table, the picture and the page.")],
    validation: Annotated[Path | None, typer.Option(help="File to score the trials on.")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Folds of the training file to score on, instead.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="paper: batch size, learning rate and epochs of the paper.")
    ] = None,
    choices: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=A,B,...", help="Values to try.")
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="NAME=MIN:MAX[:log]", help="Numbers to try between."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of the task, for all trials."),
    ] = None,
    strategy: Annotated[str, typer.Option(help="grid, random or bayesian.")] = "grid",
    trials: Annotated[
        int | None, typer.Option(help="Most trials. Default: all of a grid, else 10.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Score that is to be high.")] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    head_learning_rate: HeadLearningRate = None,
    max_length: MaxLength = None,
    warmup_ratio: WarmupRatio = 0.1,
    weight_decay: WeightDecay = 0.01,
    precision: Precision = "float32",
    xla: Xla = None,
    seed: Annotated[int, typer.Option(help="Decides folds, trials, order and dropout.")] = 0,
    refit: Annotated[
        bool, typer.Option("--refit", help="Fine-tune with the best values into OUTPUT/best.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the output folder.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted search.")] = False,
    as_json: Json = False,
):
    """Look for the hyper-parameters that fine-tune best."""
    if task not in TASKS:
        raise ValueError(f"The task must be one of {', '.join(TASKS)}. Received: {task!r}")
    from keras_bert_kit.search import search as run
    from keras_bert_kit.search.state import SearchState
    from keras_bert_kit.training import FinetuningRecipe

    recipe = FinetuningRecipe(
        task=task,
        options=_options(task, option or []),
        model=model,
        train=str(train),
        validation=None if validation is None else str(validation),
        metric=metric,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        head_learning_rate=head_learning_rate,
        max_length=max_length,
        warmup_ratio=warmup_ratio,
        weight_decay=weight_decay,
        precision=precision,
        xla=xla,
        seed=seed,
    )
    space = _space(task, preset, choices or [], ranges or [])
    try:
        with interruptible():
            result = run(
                recipe,
                space,
                output,
                strategy=strategy,
                trials=trials,
                folds=folds,
                refit=refit,
                overwrite=overwrite,
                resume=resume,
            )
    except KeyboardInterrupt:
        kept = SearchState(output)
        if not kept.count:
            fail("Interrupted before the end of the first training run; nothing is kept.", 130)
        fail(
            f"Interrupted. The scores of {kept.count} training runs are kept in {kept.folder}; "
            "the same command with --resume goes on.",
            130,
        )
    _print(result, as_json)


def _print(result: SearchResult, as_json: bool):
    from keras_bert_kit.search.report import finetune_command, result_as_json
    from keras_bert_kit.search.result import trial_row

    if as_json:
        print_json(result_as_json(result))
        return
    rows = [trial_row(trial) for trial in result.ranked]
    out.print(table([{name: row.get(name, "") for name in rows[0]} for row in rows]))
    say(f"Best: trial {result.best.number}, {result.metric} {result.best.score:.4f}")
    say(f"Wrote {result.output}")
    if result.refitted is None:
        say(f"To train with it: {finetune_command(result.recipe, result.output / 'best')}")
    else:
        say(f"The model that it made is {result.refitted}")


def _options(task: str, given: Sequence[str]) -> dict[str, Any]:
    """Reads the options of a task; `get_task` refuses unknown ones."""
    pairs = dict(_pair("--option", one, "NAME=VALUE") for one in given)
    return {name: _value(task, name, text) for name, text in pairs.items()}


def _space(
    task: str, preset: str | None, choices: Sequence[str], ranges: Sequence[str]
) -> dict[str, Any]:
    """Reads the space; what is named overrides the preset."""
    from keras_bert_kit.search import PRESETS

    if preset is not None and preset not in PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(PRESETS)}. Received: {preset!r}")
    space = dict(PRESETS[preset]) if preset else {}
    for one in choices:
        name, text = _pair("--set", one, "NAME=A,B")
        space[name] = [_value(task, name, part.strip()) for part in text.split(",")]
    for one in ranges:
        name, text = _pair("--range", one, "NAME=MIN:MAX[:log]")
        least, _, rest = text.partition(":")
        most, _, log = rest.partition(":")
        if not most or log not in ("", "log"):
            raise ValueError(f"--range must be NAME=MIN:MAX or NAME=MIN:MAX:log. Received: {one!r}")
        ends = {"min": _value(task, name, least), "max": _value(task, name, most)}
        space[name] = {**ends, "log": log == "log"}
    return space


def _pair(option: str, text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise ValueError(f"{option} must be {form}. Received: {text!r}")
    return name.strip().replace("-", "_"), value.strip()


def _value(task: str, name: str, text: str) -> Any:
    """Reads a value as its hyper-parameter's type; what cannot be read stays a text."""
    from keras_bert_kit.search.space import kinds_of

    kind = kinds_of(get_task(task)).get(name, str)
    if kind is bool:
        return _BOOLEANS.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text
