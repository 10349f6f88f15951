"""Keras callbacks of the training runs: a progress bar, and checkpoints that are whole."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from keras_bert_kit.training.run_state import RunState


class ProgressBar(keras.callbacks.Callback):
    """A bar an epoch with loss, metrics and the time left.

    To be used as a context around `fit`, so that the terminal is put right after an interruption.

    Args:
        steps: Batches of an epoch.
        epochs: Epochs of the whole run.
        console: Where to draw; standard error where there is none.
    """

    def __init__(self, steps: int, epochs: int, console: Console | None = None):
        super().__init__()
        self.steps = steps
        self.epochs = epochs
        self.console = console or Console(stderr=True)
        self.progress: Progress | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_: Any):
        if self.progress is not None:
            self.progress.stop()

    def on_epoch_begin(self, epoch, logs=None):
        """Draws a new bar."""
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[logs]}"),
            console=self.console,
        )
        self.task = self.progress.add_task(
            f"epoch {epoch + 1}/{self.epochs}", total=self.steps, logs=""
        )
        self.progress.start()

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        self.progress.update(self.task, completed=batch + 1, logs=_text(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Shows the epoch's results, validation included, and leaves the bar standing."""
        self.progress.update(self.task, logs=_text(logs))
        self.progress.stop()


class EpochCheckpoint(keras.callbacks.Callback):
    """Keeps the state after each epoch, and the best model.

    The best epoch has the highest `val_accuracy`, and among equals the lowest `val_loss`; without
    validation it is the last one.

    Args:
        state: Where they are kept.
    """

    def __init__(self, state: RunState):
        super().__init__()
        self.state = state

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the epoch."""
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        self.state.keep(self.model, row, self.model.write_files, _merit)


def _merit(row: dict[str, float]) -> tuple[float, ...]:
    if "val_accuracy" not in row:
        return (row["epoch"],)
    return row["val_accuracy"], -row["val_loss"]


def _text(logs: dict[str, Any] | None) -> str:
    return "  ".join(f"{name} {float(value):.4f}" for name, value in sorted((logs or {}).items()))
