"""The model card: what a trained model is, in one page."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from keras_bert_kit.tasks.scores import score_tables, scores_line
from keras_bert_kit.tasks.task import Task
from keras_bert_kit.training.recipe import FinetuningRecipe, FinetuningResult

_PACKAGES = ("keras-bert-kit", "tensorflow", "keras", "tensorflow-text", "tokenizers")

_PAGE = """\
---
library_name: keras
pipeline_tag: {task}
tags: [bert, keras-bert-kit]
---
# {title}

A BERT that {purpose}, fine-tuned with keras_bert_kit.

## Data

{data}

## Scores

{scores}

![training curves](training_curves.png)
{confusion}
## How it was made

{recipe}

The weights are those after epoch {best_epoch} of {epochs}{reason}.

| epoch | {columns} |
|---|{rules}
{history}

Versions: {versions}.

## How to use it

```
keras-bert-kit predict {name} "a text"
keras-bert-kit export {name} --format saved-model --output {name}-serving/1
```
"""


_CONFUSION = "\n![confusion matrix](confusion_matrix.png)\n"


def write_model_card(
    path: Path, task: Task, recipe: FinetuningRecipe, result: FinetuningResult, names: list[str]
):
    """Writes the model card.

    Args:
        path: The Markdown file.
        task: The task.
        recipe: The run's recipe.
        result: What the run gave.
        names: The classes' names.
    """
    columns = [name for name in result.history[0] if name != "epoch"]
    validated = result.scores is not None
    text = _PAGE.format(
        title=result.output.name,
        name=result.output.name,
        task=task.name,
        purpose=task.purpose.format(labels=", ".join(f"`{name}`" for name in names)),
        data=_table(result.data),
        scores=_scores(result.scores) if validated else "No validation texts were given.",
        confusion=_CONFUSION if validated and "confusion_matrix" in result.scores else "",
        recipe=_table([{"setting": key, "value": value} for key, value in _fields(recipe)]),
        best_epoch=result.best_epoch,
        epochs=recipe.epochs,
        reason=f", the one with the best {recipe.metric} in validation" if validated else "",
        columns=" | ".join(columns),
        rules="---|" * len(columns),
        history="\n".join(
            f"| {row['epoch']} | " + " | ".join(f"{row[name]:.4g}" for name in columns) + " |"
            for row in result.history
        ),
        versions=", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    )
    path.write_text(text, encoding="utf-8")


def _scores(scores: dict[str, Any]) -> str:
    head = f"On {scores['rows']} validation rows: {scores_line(scores)}."
    return "\n\n".join([head, *map(_table, score_tables(scores))])


def _fields(recipe: FinetuningRecipe):
    return [(name, value) for name, value in vars(recipe).items() if value is not None]


def _table(rows: list[dict[str, Any]]) -> str:
    head = f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}\n"
    return head + "\n".join(f"| {' | '.join(str(v) for v in row.values())} |" for row in rows)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
