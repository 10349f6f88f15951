"""Keras callbacks of the training runs: a progress bar, and checkpoints that are whole."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from keras_bert_kit.checkpoints.folders import replaced_folder

_WEIGHTS, _STATE, _HISTORY = "model.weights.h5", "state.json", "history.csv"


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
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
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
    """Keeps the state after the last whole epoch, and the best model, each as a whole folder.

    `latest/` holds weights, optimizer state, random state and the history so far; `best/` holds
    the model as `save_pretrained` writes it. Each takes the place of its forerunner by renaming,
    so that an interruption at any moment leaves a whole one.

    The best epoch has the highest `val_accuracy`, and among equals the lowest `val_loss`; without
    validation it is the last one.

    Args:
        folder: Where the two folders go.
    """

    def __init__(self, folder: str | Path):
        super().__init__()
        self.folder = Path(folder)
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0

    def restore(self, model: keras.Model) -> int:
        """Puts a compiled model into the kept state, if there is one.

        Returns:
            The number of epochs that are done.
        """
        latest = self.folder / "latest"
        if not latest.is_dir():
            return 0
        state = json.loads((latest / _STATE).read_text(encoding="utf-8"))
        model.optimizer.build(model.trainable_variables)
        model.load_weights(latest / _WEIGHTS)
        self.history, self.best_epoch = state["history"], state["best_epoch"]
        return len(self.history)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the two folders."""
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        self.history.append(row)
        best = max(self.history, key=_merit)["epoch"]
        if best != self.best_epoch:
            self.best_epoch = best
            with replaced_folder(self.folder / "best", overwrite=True) as folder:
                self.model.write_files(folder)
        with replaced_folder(self.folder / "latest", overwrite=True) as folder:
            self._write_state(folder)

    def _write_state(self, folder: Path):
        try:
            self.model.save_weights(folder / _WEIGHTS)
        except RuntimeError as error:  # h5py's way of saying that the disk took no more
            raise OSError(f"{folder / _WEIGHTS} could not be written: {error}") from error
        state = {"history": self.history, "best_epoch": self.best_epoch}
        (folder / _STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        with (folder / _HISTORY).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.history[0]))
            writer.writeheader()
            writer.writerows(self.history)


def _merit(row: dict[str, float]) -> tuple[float, ...]:
    if "val_accuracy" not in row:
        return (row["epoch"],)
    return row["val_accuracy"], -row["val_loss"]


def _text(logs: dict[str, Any] | None) -> str:
    return "  ".join(f"{name} {float(value):.4f}" for name, value in sorted((logs or {}).items()))
