"""The state of a search on disk, so that it can go on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_bert_kit.checkpoints.folders import replaced_folder

_SETTINGS, _RUNS = "settings.json", "runs.json"


class SearchState:
    """The folder `<output>.search`.

    It holds `settings.json`; `runs.json`, the score of each training run that came to its end; and
    `tuner/`, KerasTuner's own folder. A search that goes on lets KerasTuner ask for the same trials
    again, and gives it the scores that are kept.

    Args:
        output: The folder that the search is to make.

    Attributes:
        folder: The folder.
    """

    def __init__(self, output: str | Path):
        output = Path(output)
        self.folder = output.with_name(output.name + ".search")
        self._runs: list[dict[str, Any]] = []

    @property
    def count(self) -> int:
        """How many runs are kept."""
        path = self.folder / _RUNS
        return len(_read_json(path)) if path.is_file() else 0

    def check(self, settings: Mapping[str, Any], overwrite: bool, resume: bool):
        """Checks that a search may start, or go on, in this folder; changes nothing.

        Args:
            settings: What decides the trials.
            overwrite: Whether an interrupted search may be dropped.
            resume: Whether to go on with one.

        Raises:
            FileNotFoundError: There is nothing to resume.
            FileExistsError: An interrupted search, or something else, is in the way.
            ValueError: The interrupted search had other settings, or its files are damaged.
        """
        kept = (self.folder / _SETTINGS).is_file()
        if (
            not kept
            and self.folder.exists()
            and (self.folder.is_file() or any(self.folder.iterdir()))
        ):
            raise FileExistsError(
                f"{self.folder} is where the search keeps its state, and something else is there. "
                "Move it away, or choose another output."
            )
        if resume and not kept:
            raise FileNotFoundError(
                f"There is no interrupted search to resume in {self.folder}. "
                "Start it without resuming."
            )
        if resume:
            self._check_settings(settings)
        elif kept and not overwrite and self.count:
            raise FileExistsError(
                f"An interrupted search is kept in {self.folder}. Go on with it (resume=True, or "
                "--resume), or start anew (overwrite=True, or --overwrite)."
            )

    def start(self, settings: Mapping[str, Any]):
        """Makes the folder anew.

        Args:
            settings: What decides the trials.
        """
        with replaced_folder(self.folder, overwrite=True) as folder:
            _write_json(folder / _SETTINGS, settings)
        self._runs = []

    def load(self):
        """Reads the runs that are kept.

        Raises:
            ValueError: The file is damaged.
        """
        path = self.folder / _RUNS
        self._runs = _read_json(path) if path.is_file() else []

    def find(self, values: Mapping[str, Any], fold: int) -> dict[str, Any] | None:
        """Gives what is kept of a run, or `None`.

        Args:
            values: The trial's values.
            fold: The fold's number, from 0.
        """
        same = (run for run in self._runs if run["fold"] == fold and run["values"] == values)
        return next(same, None)

    def keep(self, run: dict[str, Any]):
        """Keeps a run.

        Args:
            run: `values`, `fold`, and what came of it.
        """
        self._runs.append(run)
        _write_json(self.folder / _RUNS, self._runs)

    def remove(self):
        """Removes the folder."""
        shutil.rmtree(self.folder)

    def _check_settings(self, settings: Mapping[str, Any]):
        kept = _read_json(self.folder / _SETTINGS)
        changed = [
            f"{name}={value!r}, was {_flat(kept).get(name)!r}"
            for name, value in _flat(settings).items()
            if value != _flat(kept).get(name)
        ]
        changed += [f"no {name}" for name in _flat(kept) if name not in _flat(settings)]
        if changed:
            raise ValueError(
                "A search is resumed with the settings that it was started with. "
                f"Received: {'; '.join(changed)}"
            )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the settings with those of the recipe among them."""
    settings = json.loads(json.dumps(settings))
    return {**settings.pop("recipe"), **settings}


def _write_json(path: Path, values: Any):
    """Writes a file that is whole at every moment."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} must be a whole JSON file. Received: {error}") from error
