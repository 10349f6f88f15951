"""What a search gives."""

from __future__ import annotations

import dataclasses
import math
import statistics
from pathlib import Path
from typing import Any

from keras_bert_kit.training.recipe import FinetuningRecipe


@dataclasses.dataclass(frozen=True)
class SearchTrial:
    """A recipe that was tried.

    Attributes:
        number: Its number, from 1, in the order of the search.
        values: Its hyper-parameters by name.
        scores: The metric on each fold, or the one on the validation file; none where the trial
            failed.
        seconds: How long training and scoring took.
        error: Why it failed, or `None`.
    """

    number: int
    values: dict[str, Any]
    scores: list[float]
    seconds: float
    error: str | None = None

    @property
    def score(self) -> float | None:
        """The mean of the scores, or `None` where the trial failed."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def std(self) -> float | None:
        """The standard deviation over the folds (n - 1), or `None` where there is one score."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search gave.

    Attributes:
        output: Its folder.
        metric: What the trials were compared by, the higher the better.
        trials: The trials, in the order of the search.
        recipe: The recipe of the best one.
        refitted: The folder of the model that the best recipe made, or `None`.
    """

    output: Path
    metric: str
    trials: list[SearchTrial]
    recipe: FinetuningRecipe
    refitted: Path | None = None

    @property
    def ranked(self) -> list[SearchTrial]:
        """The trials, best first; among equals the one that was tried first."""
        return ranked(self.trials)

    @property
    def best(self) -> SearchTrial:
        """The best trial."""
        return self.ranked[0]


def ranked(trials: list[SearchTrial]) -> list[SearchTrial]:
    """Sorts trials, best first; among equals the one that was tried first.

    Args:
        trials: The trials; those that failed go to the end.
    """
    worst = -math.inf
    return sorted(trials, key=lambda one: worst if one.score is None else one.score, reverse=True)


def trial_row(trial: SearchTrial) -> dict[str, Any]:
    """Gives what a table shows of a trial.

    Args:
        trial: The trial.
    """
    std = {} if trial.std is None else {"std": f"{trial.std:.4f}"}
    score = trial.error or "failed" if trial.score is None else f"{trial.score:.4f}"
    values = {name: shown(value) for name, value in trial.values.items()}
    return {"trial": trial.number, **values, "score": score, **std, "s": f"{trial.seconds:.1f}"}


def shown(value: Any) -> str:
    """Gives a hyper-parameter's value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
