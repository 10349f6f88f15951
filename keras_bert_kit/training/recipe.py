"""What goes into a fine-tuning run, and what comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_bert_kit.tasks import get_task
from keras_bert_kit.tasks.task import Task

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

# google-research/bert, run_classifier.py: its defaults, and the paper's range (appendix A.3).
_USUAL = {"epochs": 3, "batch_size": 32, "learning_rate": 5e-5, "max_length": 128}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningRecipe:
    """All that decides a fine-tuning run.

    Args:
        model: The pretrained model: a folder or a handle, see `load_checkpoint`.
        train: File with answers, of the kind that the task reads.
        validation: Another such file; with it the best epoch is kept, without it the last.
        task: One of `keras_bert_kit.tasks.TASKS`.
        options: The task's options.
        metric: The score that chooses the best epoch, the higher the better; `None` takes the
            task's.
        epochs: Times the training rows are gone through; `None` takes the task's usual number, as
            in the next three.
        batch_size: Rows of a batch.
        learning_rate: The peak of the learning rate.
        head_learning_rate: The peak for the layers on top of BERT; `None` takes the task's, or else
            `learning_rate`.
        max_length: Longest sequence in tokens, specials included; longer texts are cut.
        warmup_ratio: Share of the steps in which the learning rate rises.
        weight_decay: Decoupled weight decay.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        xla: Whether XLA compiles the training step; `None` does so on a GPU.
        seed: Decides the order of the texts, the new weights and the dropout.

    Raises:
        ValueError: A number is out of its range, or there is no such task, or no such option.
    """

    model: str
    train: str
    validation: str | None = None
    task: str = "text-classification"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metric: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    head_learning_rate: float | None = None
    max_length: int | None = None
    warmup_ratio: float = 0.1
    weight_decay: float = 0.01
    precision: str = "float32"
    xla: bool | None = None
    seed: int = 0

    def __post_init__(self):
        task = self.make_task()
        for name, usual in {**_USUAL, "metric": task.metric, **task.defaults}.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        object.__setattr__(self, "options", dict(self.options))
        for name in ("epochs", "batch_size", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {getattr(self, name)}")
        for name in ("learning_rate", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise ValueError(f"{name} must be above 0. Received: {rate}")
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

    def make_task(self) -> Task:
        """Gives the task with its options."""
        return get_task(self.task, self.options)


@dataclasses.dataclass(frozen=True)
class FinetuningResult:
    """What a run gave.

    Attributes:
        output: The folder of the trained model.
        history: Logs, one row an epoch.
        best_epoch: The epoch whose weights were kept.
        scores: The task's scores on the validation file, or `None` without any.
        data: Counts of the training and validation files.
    """

    output: Path
    history: list[dict[str, float]]
    best_epoch: int
    scores: dict[str, Any] | None
    data: list[dict[str, Any]]
