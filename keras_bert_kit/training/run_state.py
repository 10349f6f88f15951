"""The state of a training run on disk: whole at every moment, so that the run can go on."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.training.model_state import read_model_state, write_model_state

_RECIPE, _STATE, _TENSORS, HISTORY = "recipe.json", "state.json", "state.safetensors", "history.csv"


@dataclasses.dataclass
class RunState:
    """The folder `<output>.training` of one run.

    It holds `recipe.json`; `epoch-N/`, the state after the last whole epoch: weights, optimizer,
    random state and history; `best-M/`, the best model so far, as `save_pretrained` writes it; and
    `tensorboard/`. A folder appears under its number in one step, before its forerunner goes.

    Attributes:
        folder: The folder.
        history: Logs of the epochs that are done.
        best_epoch: The epoch of the best model so far, 0 before the first.
    """

    folder: Path
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best_epoch: int = 0

    @classmethod
    def beside(cls, output: str | Path) -> RunState:
        """Gives the state of the run that makes an output.

        Args:
            output: The folder that the run is to make.
        """
        output = Path(output)
        return cls(output.with_name(output.name + ".training"))

    @property
    def best(self) -> Path:
        """The folder of the best model so far."""
        return self.folder / f"best-{self.best_epoch}"

    @property
    def latest(self) -> Path | None:
        """The folder of the last whole epoch, or `None` before the first."""
        epochs = [path for path in self.folder.glob("epoch-*") if (path / _STATE).is_file()]
        return max(epochs, key=lambda path: int(path.name.partition("-")[2]), default=None)

    @property
    def tensorboard(self) -> Path:
        """The folder of the TensorBoard logs."""
        return self.folder / "tensorboard"

    def check(self, recipe: dict[str, Any], overwrite: bool, resume: bool):
        """Checks that a run may start, or go on, in this folder; changes nothing.

        Args:
            recipe: The run's settings.
            overwrite: Whether an interrupted run may be dropped.
            resume: Whether to go on with one.

        Raises:
            FileNotFoundError: There is nothing to resume.
            FileExistsError: An interrupted run, or something else, is in the way.
            ValueError: The interrupted run had other settings, or its files are damaged.
        """
        is_free = not self.folder.exists() or (self.folder / _RECIPE).is_file()
        if not is_free and (self.folder.is_file() or any(self.folder.iterdir())):
            raise FileExistsError(
                f"{self.folder} is where the run keeps its state, and something else is there. "
                "Move it away, or choose another output."
            )
        if resume:
            self._check_recipe(recipe)
        elif self.latest is not None and not overwrite:
            raise FileExistsError(
                f"An interrupted run is kept in {self.folder}. Go on with it (resume=True, or "
                "--resume), or start anew (overwrite=True, or --overwrite)."
            )

    def start(self, recipe: dict[str, Any]):
        """Makes the folder anew, with the run's settings.

        Args:
            recipe: The settings.
        """
        with replaced_folder(self.folder, overwrite=True) as folder:
            (folder / _RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")

    def restore(self, model: keras.Model) -> int:
        """Puts a compiled model into the kept state, if there is one.

        Args:
            model: The model.

        Returns:
            The number of epochs that are done.

        Raises:
            ValueError: A file is damaged, or does not fit the model.
        """
        latest = self.latest
        if latest is None:
            return 0
        kept = _read_json(latest / _STATE)
        read_model_state(latest / _TENSORS, model)
        self.history, self.best_epoch = kept["history"], kept["best_epoch"]
        return len(self.history)

    def keep(
        self,
        model: keras.Model,
        row: dict[str, float],
        write_model: Callable[[Path], None],
        merit: Callable[[dict[str, float]], Any],
    ):
        """Keeps the state after an epoch.

        Args:
            model: The model in training.
            row: The epoch's logs, with its number as `epoch`.
            write_model: Writes the model into a folder.
            merit: What of the logs makes the best epoch, the higher the better.

        Raises:
            OSError: The files cannot be written; the state before stays whole.
        """
        history = [*self.history, row]
        best = max(history, key=merit)["epoch"]
        if best != self.best_epoch:
            with replaced_folder(self.folder / f"best-{best}", overwrite=True) as folder:
                write_model(folder)
        with replaced_folder(self.folder / f"epoch-{row['epoch']}", overwrite=True) as folder:
            self._write(folder, model, {"history": history, "best_epoch": best})
        self.history, self.best_epoch = history, best
        for path in (*self.folder.glob("epoch-*"), *self.folder.glob("best-*")):
            if path not in (self.best, self.latest):
                shutil.rmtree(path)

    def _check_recipe(self, recipe: dict[str, Any]):
        if not (self.folder / _RECIPE).is_file():
            raise FileNotFoundError(
                f"There is no interrupted run to resume in {self.folder}. "
                "Start it without resuming."
            )
        kept = _read_json(self.folder / _RECIPE)
        changed = [
            f"{name}={value!r}, was {kept.get(name)!r}"
            for name, value in recipe.items()
            if value != kept.get(name)
        ]
        if changed:
            raise ValueError(
                "A run is resumed with the settings that it was started with. "
                f"Received: {'; '.join(changed)}"
            )

    @staticmethod
    def _write(folder: Path, model: keras.Model, state: dict[str, Any]):
        write_model_state(folder / _TENSORS, model)
        with (folder / HISTORY).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(state["history"][0]))
            writer.writeheader()
            writer.writerows(state["history"])
        (folder / _STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} must be a whole JSON file. Received: {error}") from error
