"""The training runs of a search."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_bert_kit.checkpoints.checkpoint import Checkpoint
from keras_bert_kit.data.rows import take
from keras_bert_kit.search.folds import fold_rows
from keras_bert_kit.search.progress import ProgressLines
from keras_bert_kit.search.result import SearchTrial
from keras_bert_kit.search.space import SearchSpace
from keras_bert_kit.search.state import SearchState
from keras_bert_kit.tasks.task import Task
from keras_bert_kit.training.callbacks import Validation
from keras_bert_kit.training.finetuning import compile_model, fit_model, new_model
from keras_bert_kit.training.recipe import FinetuningRecipe


class TrialScorer:
    """Trains the recipes of trials, as `finetune` does, and scores them.

    With folds a run is scored after its last epoch, since a model that is trained on all rows has
    no validation to choose an epoch by; with a validation file, at its best epoch.

    Args:
        space: The recipes.
        folds: Number of the folds, or `None` where the recipes have a validation file.
        state: Keeps the runs that are done.
        lines: Told of each run and trial.

    Attributes:
        trials: The trials so far.
        checkpoint: The pretrained model; to be set before the first trial.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be used, or not for so many folds.
    """

    checkpoint: Checkpoint

    def __init__(
        self, space: SearchSpace, folds: int | None, state: SearchState, lines: ProgressLines
    ):
        self.space, self.folds, self.state, self.lines = space, folds, state, lines
        self.trials: list[SearchTrial] = []
        self._read(space.recipe.make_task())

    def __call__(self, found: Mapping[str, Any]) -> float:
        """Gives a trial's score, a NaN where it failed; one that was tried before is no new trial.

        Args:
            found: Its values, as KerasTuner gave them.
        """
        values = self.space.values(found)
        known = next((one for one in self.trials if one.values == values), None)
        trial = known or self._trial(len(self.trials) + 1, values)
        return math.nan if trial.score is None else trial.score

    def _trial(self, number: int, values: dict[str, Any]) -> SearchTrial:
        runs = []
        for fold in range(self.folds or 1):
            self.lines.begin(number, values, fold)
            runs.append(self.state.find(values, fold) or self._run(values, fold))
            if runs[-1].get("error"):
                break
        error = runs[-1].get("error")
        scores = [] if error else [run["score"] for run in runs]
        seconds = sum(run["seconds"] for run in runs)
        trial = SearchTrial(number, values, scores, seconds, error)
        self.trials.append(trial)
        self.lines.end(trial)
        return trial

    def _run(self, values: Mapping[str, Any], fold: int) -> dict[str, Any]:
        start = time.monotonic()
        run = {"values": values, "fold": fold, "error": None}
        try:
            run["score"] = self._score(self.space.recipe_for(values), fold)
        except tf.errors.ResourceExhaustedError:
            run["error"] = "out of memory"
        _release()
        run["seconds"] = time.monotonic() - start
        if run["error"] is None and not math.isfinite(run["score"]):
            run["error"] = f"score {run['score']}"
        if run["error"] is None:
            self.state.keep(run)
        return run

    def _score(self, recipe: FinetuningRecipe, fold: int) -> float:
        keras.utils.set_random_seed(recipe.seed)
        task = recipe.make_task()
        self._read(task)
        model = new_model(task, recipe, self.checkpoint, self._config)
        train, held_out = (task.data(model, part, recipe.max_length) for part in self._parts[fold])
        compile_model(task, recipe, model, len(train.features))
        if self.folds:
            fit_model(recipe, model, train, [])
            return _metric(task.evaluate(model, held_out, recipe.batch_size), recipe.metric)
        watch = Validation(task, held_out, recipe.batch_size)
        logs = fit_model(recipe, model, train, [watch]).history
        scores = {name[4:]: values for name, values in logs.items() if name.startswith("val_")}
        return max(_metric(scores, recipe.metric))

    def _read(self, task: Task):
        """Reads the files, unless it was done for the same options just before."""
        if getattr(self, "_task", None) == task:
            return
        recipe = self.space.recipe
        train = task.read(recipe.train)
        self._config = task.config(train)
        if self.folds is None:
            validation = task.read(recipe.validation)
            task.check(train, validation)
            self._parts = [(train, validation)]
        else:
            self._parts = [
                tuple(take(train, rows) for rows in pair)
                for pair in fold_rows(task, train, self.folds, recipe.seed)
            ]
        self._task = task


def _metric(scores: Mapping[str, Any], metric: str) -> Any:
    numbers = [name for name, score in scores.items() if isinstance(score, float | list)]
    if metric not in numbers:
        raise ValueError(
            f"metric must be one of the task's scores: {', '.join(numbers)}. Received: {metric!r}"
        )
    return scores[metric]


def _release():
    """Gives back the memory of a model; the caller's dtype policy stays."""
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)
    gc.collect()
