"""KerasTuner chooses the trials."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from sklearn.exceptions import ConvergenceWarning

from keras_bert_kit.search.space import SearchSpace

_ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
}
STRATEGIES = tuple(_ORACLES)
_TRIALS = 10  # of a search that has no end of its own


class _Tuner(keras_tuner.Tuner):
    """Asks a function for the score of each trial."""

    def run_trial(self, trial, score):
        """Gives the trial's score; an error ends the search."""
        try:
            return {"score": score(trial.hyperparameters.values)}
        except Exception as error:
            raise keras_tuner.errors.FatalError from error


def planned_trials(space: SearchSpace, strategy: str, trials: int | None) -> int:
    """Gives the number of trials of a search.

    Args:
        space: The space.
        strategy: One of `STRATEGIES`.
        trials: The most that are wanted; `None` takes all of a grid, and else 10.

    Raises:
        ValueError: There is no such strategy, fewer than 1 trial, or a range in a grid.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}. Received: {strategy!r}")
    if trials is not None and trials < 1:
        raise ValueError(f"trials must be at least 1. Received: trials={trials}")
    if strategy == "grid" and space.size is None:
        raise ValueError(
            "A grid must have choices, and no range. Give the values one by one, or take the "
            "strategy random or bayesian. Received: strategy='grid'"
        )
    usual = space.size if strategy == "grid" else _TRIALS
    wanted = usual if trials is None else trials
    return wanted if strategy == "bayesian" else min(wanted, space.size or wanted)


def run_trials(
    space: SearchSpace,
    strategy: str,
    trials: int,
    folder: Path,
    score: Callable[[Mapping[str, Any]], float],
):
    """Lets KerasTuner try recipes, each with what it has learnt from those before.

    Args:
        space: The space.
        strategy: One of `STRATEGIES`.
        trials: Number of trials.
        folder: Where KerasTuner keeps its files.
        score: Gives the score for KerasTuner's values, the higher the better; a NaN means that
            the trial failed.
    """
    oracle = _ORACLES[strategy](
        objective=keras_tuner.Objective("score", "max"),
        max_trials=trials,
        hyperparameters=space.hyperparameters(),
        seed=space.recipe.seed % 2**31 + 1,  # KerasTuner takes 0 for none
        max_consecutive_failed_trials=sys.maxsize,
    )
    oracle.verbose = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"keras_tuner\.")
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        tuner = _Tuner(
            oracle, directory=str(folder.parent), project_name=folder.name, overwrite=True
        )
        try:
            tuner.search(score)
        except keras_tuner.errors.FatalError as error:
            raise error.__cause__ or error from None
