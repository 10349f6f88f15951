"""What a search tells while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from keras_bert_kit.search.result import SearchTrial, shown


class ProgressLines:
    """A line a trial on standard error, and under them one that says what runs.

    To be used as a context.

    Args:
        trials: Number of the trials.
        folds: Number of the folds, or `None`.
        metric: What the trials are compared by.
        visible: Whether to write anything.
    """

    def __init__(self, trials: int, folds: int | None, metric: str, visible: bool = True):
        self.trials, self.folds, self.metric = trials, folds, metric
        self.console = Console(
            stderr=True, quiet=not visible, markup=False, emoji=False, highlight=False
        )
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        runs = f" of {self.folds} folds" if self.folds else ""
        trials = f"{self.trials} trial{'' if self.trials == 1 else 's'}"
        self.console.print(f"{trials}{runs}, the highest {self.metric} wins")
        self._status = self._stack.enter_context(self.console.status(Text("")))
        return self

    def __exit__(self, *_: Any):
        self._stack.close()

    def begin(self, number: int, values: Mapping[str, Any], fold: int):
        """Says which run begins.

        Args:
            number: The trial's number.
            values: Its hyper-parameters.
            fold: The fold's number, from 0.
        """
        of_fold = f", fold {fold + 1} of {self.folds}" if self.folds else ""
        self._status.update(Text(f"trial {number} of {self.trials}{of_fold}: {_listed(values)}"))

    def end(self, trial: SearchTrial):
        """Says what a trial gave.

        Args:
            trial: The trial.
        """
        score = trial.error if trial.score is None else f"{self.metric} {trial.score:.4f}"
        spread = "" if trial.std is None else f" ± {trial.std:.4f}"
        self.console.print(
            f"trial {trial.number} of {self.trials}: {score}{spread}  "
            f"({_listed(trial.values)}; {trial.seconds:.1f} s)",
            soft_wrap=True,
        )


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())
