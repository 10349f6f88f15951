"""What goes into a fine-tuning run, and what comes out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningRecipe:
    """All that decides a fine-tuning run.

    Args:
        model: The pretrained model: a folder or a handle, see `load_checkpoint`.
        train: File of labelled texts.
        validation: Another such file; with it the best epoch is kept, without it the last.
        epochs: Times the training texts are gone through.
        batch_size: Texts of a batch.
        learning_rate: The peak of the learning rate.
        max_length: Longest sequence in tokens, specials included; longer texts are cut.
        warmup_ratio: Share of the steps in which the learning rate rises.
        weight_decay: Decoupled weight decay.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        xla: Whether XLA compiles the training step; `None` does so on a GPU.
        seed: Decides the order of the texts, the new weights and the dropout.

    Raises:
        ValueError: A number is out of its range.
    """

    model: str
    train: str
    validation: str | None = None
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    max_length: int = 128
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    precision: str = "float32"
    xla: bool | None = None
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch_size", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0. Received: {self.learning_rate}")
        if not 0 <= self.warmup_ratio <= 1:
            raise ValueError(
                f"warmup_ratio must lie between 0 and 1. Received: {self.warmup_ratio}"
            )
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be at least 0. Received: {self.weight_decay}")
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}. Received: {self.precision!r}"
            )


@dataclasses.dataclass(frozen=True)
class FinetuningResult:
    """What a run gave.

    Attributes:
        output: The folder of the trained model.
        history: Logs, one row an epoch.
        best_epoch: The epoch whose weights were kept.
        scores: `evaluate_classifier` on the validation texts, or `None` without any.
        data: Counts of the training and validation files.
    """

    output: Path
    history: list[dict[str, float]]
    best_epoch: int
    scores: dict[str, Any] | None
    data: list[dict[str, Any]]
