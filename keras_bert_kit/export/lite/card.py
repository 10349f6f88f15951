"""The page that lies beside LiteRT models."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from keras_bert_kit._version import __version__
from keras_bert_kit.export.from_template import from_template
from keras_bert_kit.export.lite.graphs import LiteClassifier
from keras_bert_kit.export.lite.result import LiteRTExport


def write_card(folder: Path, done: LiteRTExport, served: LiteClassifier):
    """Writes README.md.

    Args:
        folder: Where it goes.
        done: What was written.
        served: The classifier.
    """
    config, tokenizer = served.model.config, served.model.tokenizer
    scores = next(iter(done.models.values())).scores
    text = from_template(
        "litert.md",
        name=done.path.name,
        kit_version=__version__,
        labels=", ".join(config.label_names),
        problem=served.kind,
        max_length=done.max_length,
        parameters=f"{served.model.count_params():,}",
        output="scores" if served.kind == "regression" else "probabilities",
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
        measure="Accuracy is the share of right labels"
        if done.labelled
        else "The texts had no labels, so the accuracy is the share of texts that get the Keras "
        "model's label",
        notes="".join(f"\n{note}\n" for note in done.notes),
        machine=f"{os.cpu_count()} cores of {platform.machine()}",
        mediapipe="Its tokenizer lower-cases and leaves accents, as this model's does: it fits."
        if tokenizer.do_lower_case and tokenizer.strip_accents is False
        else "Its tokenizer always lower-cases and never strips accents; this model's "
        + ("strips accents" if tokenizer.do_lower_case else "does not lower-case")
        + ", so answers differ where a text has "
        + ("accents." if tokenizer.do_lower_case else "capitals. Use `tokenizer.json` instead."),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
