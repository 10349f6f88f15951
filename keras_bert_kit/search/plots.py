"""The picture of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from keras_bert_kit.search.result import SearchResult, SearchTrial, shown


def plot_search(result: SearchResult, space: Mapping[str, Any], path: str | Path):
    """Draws the score of each trial, by its number and against each hyper-parameter.

    Bars are the standard deviation over the folds; the best trial is red.

    Args:
        result: What the search gave.
        space: The space as users write it.
        path: The PNG file.
    """
    trials = [trial for trial in reversed(result.ranked) if trial.score is not None]
    panels = 1 + len(space)
    columns = 2 if panels == 4 else min(3, panels)
    lines = -(-panels // columns)
    figure = Figure(figsize=(0.5 + 3.6 * columns, 3.2 * lines), layout="constrained")
    first, *others = figure.subplots(lines, columns, squeeze=False, sharey=True).flat
    _plot(first, trials, [trial.number for trial in trials], bars=True)
    first.set(xlabel="trial", ylabel=result.metric.replace("_", " "))
    first.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes, (name, part) in zip(others, space.items(), strict=False):
        _plot(axes, trials, _places(axes, [trial.values[name] for trial in trials], part))
        axes.set(xlabel=name.replace("_", " "))
    for axes in others[len(space) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


def _plot(axes: Axes, trials: Sequence[SearchTrial], places: Sequence[Any], bars: bool = False):
    """Draws trials, of which the last is the best."""
    for trial, place in zip(trials, places, strict=True):
        colour = "tab:red" if trial is trials[-1] else "tab:blue"
        spread = trial.std if bars else None
        axes.errorbar(place, trial.score, yerr=spread, fmt="o", color=colour, capsize=3)
    axes.grid(alpha=0.3)


def _places(axes: Axes, values: Sequence[Any], part: Any) -> Sequence[Any]:
    """Gives where values stand: choices side by side, numbers of a range by their size."""
    if isinstance(part, Mapping):
        if part["log"]:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda value, _: shown(value))
            axes.xaxis.set_minor_formatter(NullFormatter())
        return values
    choices = list(part)
    if all(isinstance(value, int | float) for value in choices):
        choices.sort()
    axes.set_xticks(range(len(choices)), [shown(value) for value in choices])
    axes.set_xlim(-0.5, len(choices) - 0.5)
    return [choices.index(value) for value in values]
