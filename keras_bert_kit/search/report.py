"""The files that a search leaves: a table, a picture and a page."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_bert_kit.search.plots import plot_search
from keras_bert_kit.search.result import SearchResult, SearchTrial, shown, trial_row
from keras_bert_kit.tasks import TASKS
from keras_bert_kit.training.recipe import FinetuningRecipe

_PACKAGES = ("keras-bert-kit", "keras-tuner", "tensorflow", "keras", "scikit-learn")

_PAGE = """\
# {title}

A search for the hyper-parameters that fine-tune a BERT best, made with keras_bert_kit and
KerasTuner.

Task: {task} ({summary}) Best trial: {best}, {metric} {score}, {how}.

{trials}

![the trials](search.png)

## The best recipe

{recipe}

{refit}

```
{command}
```

## How it was searched

{settings}

Versions: {versions}.
"""


def write_report(folder: Path, result: SearchResult, settings: Mapping[str, Any]):
    """Writes `trials.csv`, `search.json`, `search.png` and `README.md`.

    Args:
        folder: An empty folder, which will become the result's.
        result: What the search gave.
        settings: What decided the trials.
    """
    _write_csv(folder / "trials.csv", result.trials)
    values = json.dumps(result_as_json(result, settings), indent=2)
    (folder / "search.json").write_text(values + "\n", encoding="utf-8")
    plot_search(result, settings["space"], folder / "search.png")
    (folder / "README.md").write_text(_page(result, settings), encoding="utf-8")


def result_as_json(
    result: SearchResult, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Gives a result as JSON can hold it.

    Args:
        result: What the search gave.
        settings: What decided the trials, to be told as well.
    """
    return {
        "output": str(result.output),
        "metric": result.metric,
        "best": _as_json(result.best),
        "recipe": dataclasses.asdict(result.recipe),
        "command": finetune_command(result.recipe, result.output / "best"),
        "refitted": None if result.refitted is None else str(result.refitted),
        "trials": [_as_json(trial) for trial in result.trials],
        **({} if settings is None else {"search": settings}),
    }


def finetune_command(recipe: FinetuningRecipe, output: Path) -> str:
    """Gives the command that fine-tunes with a recipe.

    Args:
        recipe: The recipe.
        output: The folder of the model.
    """
    usual = FinetuningRecipe(model="", train="", task=recipe.task)
    options = {**vars(recipe), "output": str(output), **recipe.options}
    own = {
        name: value
        for name, value in options.items()
        if name not in ("task", "options") and value != getattr(usual, name, None)
    }
    words = [word for name, value in own.items() for word in _option(name, value)]
    return shlex.join(["keras-bert-kit", "finetune", recipe.task, *words])


def _option(name: str, value: Any) -> list[str]:
    name = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]


def _as_json(trial: SearchTrial) -> dict[str, Any]:
    return {**dataclasses.asdict(trial), "score": trial.score, "std": trial.std}


def _write_csv(path: Path, trials: list[SearchTrial]):
    folds = max(len(trial.scores) for trial in trials)
    names = [f"fold_{number + 1}" for number in range(folds)] if folds > 1 else []
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", *trials[0].values, "score", "std", *names, "seconds", "error"])
        for trial in trials:
            scores = trial.scores or [None] * folds
            writer.writerow(
                [trial.number, *trial.values.values(), trial.score, trial.std]
                + (scores if names else [])
                + [round(trial.seconds, 3), trial.error]
            )


def _page(result: SearchResult, settings: Mapping[str, Any]) -> str:
    best, recipe = result.best, result.recipe
    spread = "" if best.std is None else f" ± {best.std:.4f}"
    folds = settings["folds"]
    by_folds = f"mean and standard deviation over {folds} folds of the training file"
    trials = [trial_row(trial) for trial in result.ranked]
    others = {"strategy": settings["strategy"], "folds": folds}
    space = {f"{name} among": _space(part) for name, part in settings["space"].items()}
    return _PAGE.format(
        title=result.output.name,
        task=recipe.task,
        summary=TASKS[recipe.task].summary,
        best=best.number,
        metric=result.metric,
        score=f"{best.score:.4f}{spread}",
        how=by_folds if folds else "the best epoch on the validation file",
        trials=_table([{name: row.get(name, "") for name in trials[0]} for row in trials]),
        recipe=_table(_rows(vars(recipe))),
        refit="The model is in `best/`, made by" if result.refitted else "The model is made by",
        command=finetune_command(recipe, result.output / "best"),
        settings=_table(_rows({**others, **space})),
        versions=", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
    )


def _space(part: list[Any] | Mapping[str, Any]) -> str:
    if isinstance(part, list):
        return ", ".join(map(shown, part))
    return f"{shown(part['min'])} to {shown(part['max'])}{', log' if part['log'] else ''}"


def _rows(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"setting": name, "value": v} for name, v in values.items() if v not in (None, {})]


def _table(rows: list[dict[str, Any]]) -> str:
    head = f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}\n"
    return head + "\n".join(f"| {' | '.join(str(v) for v in row.values())} |" for row in rows)
