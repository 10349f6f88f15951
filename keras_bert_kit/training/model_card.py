"""The model card: what a trained model is, in one page."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from keras_bert_kit.training.recipe import FinetuningRecipe, FinetuningResult

_PACKAGES = ("keras-bert-kit", "tensorflow", "keras", "tensorflow-text", "tokenizers")

_PAGE = """\
---
library_name: keras
pipeline_tag: text-classification
tags: [bert, keras-bert-kit]
---
# {title}

A BERT that sorts texts into {classes}, fine-tuned with keras_bert_kit.

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


def write_model_card(
    path: Path, recipe: FinetuningRecipe, result: FinetuningResult, names: list[str]
):
    """Writes the model card.

    Args:
        path: The Markdown file.
        recipe: The run's recipe.
        result: What the run gave.
        names: The classes' names.
    """
    columns = [name for name in result.history[0] if name != "epoch"]
    validated = result.scores is not None
    text = _PAGE.format(
        title=result.output.name,
        name=result.output.name,
        classes=", ".join(f"`{name}`" for name in names),
        data=_table(result.data),
        scores=_scores(result.scores) if validated else "No validation texts were given.",
        confusion="\n![confusion matrix](confusion_matrix.png)\n" if validated else "",
        recipe=_table([{"setting": key, "value": value} for key, value in _fields(recipe)]),
        best_epoch=result.best_epoch,
        epochs=recipe.epochs,
        reason=", the one with the best validation accuracy" if validated else "",
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
    rows = [
        {"label": name, **{key: f"{value:.4g}" for key, value in row.items()}}
        for name, row in scores["labels"].items()
    ]
    head = (
        f"On {scores['rows']} validation texts: accuracy {scores['accuracy']:.4f}, "
        f"macro F1 {scores['macro_f1']:.4f}, cross-entropy {scores['loss']:.4f}."
    )
    return f"{head}\n\n{_table(rows)}"


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
