"""The page that lies beside LiteRT models."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from keras_bert_kit._version import __version__
from keras_bert_kit.export.from_template import from_template
from keras_bert_kit.export.lite.result import LiteRTExport
from keras_bert_kit.tasks.served import Served


def write_card(
    folder: Path, done: LiteRTExport, served: Served, template: str, values: Mapping[str, Any]
):
    """Writes README.md.

    Args:
        folder: Where it goes.
        done: What was written.
        served: What the model computes.
        template: Name of the template.
        values: What the kind of model puts into it.
    """
    scores = next(iter(done.models.values())).scores
    text = from_template(
        template,
        name=done.path.name,
        kit_version=__version__,
        max_length=done.max_length,
        parameters=f"{served.model.count_params():,}",
        tensorflow_version=version("tensorflow"),
        litert_version=version("ai-edge-litert"),
        quantizer_version=version("ai-edge-quantizer"),
        models="\n".join(
            f"| `{name}` | {model.format} | {model.bytes / 1e6:.2f} | {model.milliseconds} | "
            f"{_accuracy(model.scores.accuracy)} | {model.scores.mean_difference:.1e} | "
            f"{model.scores.largest_difference:.1e} |"
            for name, model in done.models.items()
        ),
        keras_accuracy=_accuracy(scores.keras_accuracy),
        texts=scores.texts,
        notes="".join(f"\n{note}\n" for note in done.notes),
        machine=f"{os.cpu_count()} cores of {platform.machine()}",
        **values,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
