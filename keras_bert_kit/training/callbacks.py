"""Keras callbacks of the training runs: a progress bar, and checkpoints that are whole."""

from __future__ import annotations

import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.tasks.scores import numbers_of
from keras_bert_kit.tasks.task import Task, TaskData
from keras_bert_kit.training.model_state import read_model_state, write_model_state
from keras_bert_kit.training.run_state import RunState
from keras_bert_kit.training.strategies import is_chief


class ProgressBar(keras.callbacks.Callback):
    """A bar an epoch with loss, metrics and the time left.

    To be used as a context around `fit`, so that the terminal is put right after an interruption.

    Args:
        steps: Batches of an epoch.
        epochs: Epochs of the whole run.
        metric: The score to show beside the loss; `None` shows all logs.
        console: Where to draw; standard error where there is none.
    """

    def __init__(
        self,
        steps: int,
        epochs: int,
        metric: str | None = None,
        console: Console | None = None,
    ):
        super().__init__()
        self.steps = steps
        self.epochs = epochs
        self.metric = metric
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
        self.progress.update(self.task, completed=batch + 1, logs=self._text(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Shows the epoch's results, validation included, and leaves the bar standing."""
        self.progress.update(self.task, logs=self._text(logs))
        self.progress.stop()

    def _text(self, logs: dict[str, Any] | None) -> str:
        shown = ("loss", "val_loss", self.metric, f"val_{self.metric}")
        return "  ".join(
            f"{name} {float(value):.4f}"
            for name, value in sorted((logs or {}).items())
            if self.metric is None or name in shown
        )


class BetweenBatches(keras.callbacks.Callback):
    """Lets Ctrl-C strike between two batches, not in the midst of one.

    In its midst TensorFlow may be tracing. It then fails with an error of its own, or loses the
    interruption. So within this context the first Ctrl-C waits for the end of a batch, of an epoch
    or of the context; a second one strikes at once. As a callback it stands last, so that what an
    epoch gave is kept. It does nothing outside of the main thread, or where the program handles
    SIGINT itself.
    """

    def __init__(self):
        super().__init__()
        self.asked = self.handles = False

    def __enter__(self):
        mine = threading.current_thread() is threading.main_thread()
        self.handles = mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.handles:
            signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, error_type, error, traceback):
        if self.handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if error is None:
            self._strike()

    def on_train_batch_end(self, batch, logs=None):
        """Strikes, if it was asked for."""
        self._strike()

    def on_epoch_end(self, epoch, logs=None):
        """Strikes, if it was asked for."""
        self._strike()

    def _ask(self, number, frame):
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _strike(self):
        if self.asked:
            raise KeyboardInterrupt


class Validation(keras.callbacks.Callback):
    """Scores the model after each epoch, and adds the scores to the logs with `val_` in front.

    It stands before the callbacks that are to see them.

    Args:
        task: The task.
        data: What to score on.
        batch_size: Rows of a batch.
    """

    def __init__(self, task: Task, data: TaskData, batch_size: int):
        super().__init__()
        self.task, self.data, self.batch_size = task, data, batch_size

    def on_epoch_end(self, epoch, logs=None):
        """Scores."""
        scores = self.task.evaluate(self.model, self.data, self.batch_size)
        logs.update({f"val_{name}": score for name, score in numbers_of(scores).items()})


class EpochCheckpoint(keras.callbacks.Callback):
    """Keeps the state after each epoch, and the best model.

    The best epoch has the highest value of a log, and among equals the lowest `val_loss`; without
    validation it is the last one.

    Args:
        state: Where they are kept.
        monitor: Name of the log.

    Raises:
        ValueError: There is no such log after the first epoch.
    """

    def __init__(self, state: RunState, monitor: str):
        super().__init__()
        self.state = state
        self.monitor = monitor

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the epoch."""
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
        row["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        self.state.keep(self.model, row, self.model.write_files, self._merit)

    def _merit(self, row: dict[str, float]) -> tuple[float, ...]:
        if not any(name.startswith("val_") for name in row):
            return (row["epoch"],)
        if self.monitor not in row:
            scores = ", ".join(name[4:] for name in row if name.startswith("val_"))
            raise ValueError(
                f"metric must be one of the task's scores: {scores}. "
                f"Received: {self.monitor.removeprefix('val_')!r}"
            )
        return row[self.monitor], -row.get("val_loss", 0.0)


class BackupAndRestore(keras.callbacks.Callback):
    """Keeps the state after each epoch, so that a run that was killed goes on to the same result.

    The same script, started again, finds the state when `fit` begins and goes on with the next
    epoch. Unlike `keras.callbacks.BackupAndRestore` it also keeps the random state of dropout,
    and writes each state whole before the one before goes. With several workers the first one
    writes, and all read.

    The data must not depend on how often it was gone through before:
    `bucketed_batches(..., epochs=range(backup.epochs_done, epochs))`, with `steps_per_epoch`, gives
    each epoch its own order.

    Args:
        backup_dir: The folder; with several workers, on storage that all of them see.
        delete_checkpoint: Whether to delete it when `fit` has come to its end.

    Raises:
        ValueError: The state does not fit the model, or the workers see different folders.
    """

    def __init__(self, backup_dir: str | Path, delete_checkpoint: bool = True):
        super().__init__()
        self.backup_dir = Path(backup_dir)
        self.delete_checkpoint = delete_checkpoint

    @property
    def epochs_done(self) -> int:
        """Epochs after which the kept state was written; 0 where there is none."""
        done = (path.name.partition("-")[2] for path in self.backup_dir.glob("epoch-*"))
        return max((int(number) for number in done if number.isdecimal()), default=0)

    def on_train_begin(self, logs=None):
        """Puts the model into the kept state.

        Args:
            logs: Not looked at.
        """
        done = self.epochs_done
        _check_agreement(self.model.distribute_strategy, done, self.backup_dir)
        if done:
            read_model_state(self._state(done), self.model)
            self.model._initial_epoch = done  # as Keras' own callback tells `fit` where to start

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the state.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Not looked at.
        """
        if not is_chief(self.model.distribute_strategy):
            return
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        with replaced_folder(self._state(epoch + 1).parent, overwrite=True) as folder:
            write_model_state(folder / self._state(epoch + 1).name, self.model)
        for path in self.backup_dir.glob("epoch-*"):
            if path != self._state(epoch + 1).parent:
                shutil.rmtree(path)

    def on_train_end(self, logs=None):
        """Deletes the state, if that is wanted.

        Args:
            logs: Not looked at.
        """
        self.model._initial_epoch = 0
        if self.delete_checkpoint and is_chief(self.model.distribute_strategy):
            shutil.rmtree(self.backup_dir, ignore_errors=True)

    def _state(self, epoch: int) -> Path:
        return self.backup_dir / f"epoch-{epoch}" / "state.safetensors"


def _check_agreement(strategy: tf.distribute.Strategy, done: int, backup_dir: Path):
    total = strategy.reduce("SUM", strategy.run(lambda: tf.constant(done)), axis=None)
    if int(total) != done * strategy.num_replicas_in_sync:
        raise ValueError(
            "backup_dir must be a folder that all workers see, so that they go on from the same "
            f"epoch. Received: backup_dir={str(backup_dir)!r}, with {done} epochs here and another "
            "number elsewhere"
        )
