"""Pictures of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def plot_training_curves(
    history: Sequence[dict[str, float]], path: str | Path, metric: str = "accuracy"
):
    """Draws the loss and a score of each epoch, training beside validation.

    Args:
        history: One row an epoch, with `epoch`, `loss` and what else there is of the score and of
            validation: `accuracy`, `val_loss`, `val_accuracy`.
        path: The PNG file.
        metric: The score.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", metric), strict=True):
        _plot_log(axes, history, name)
    figure.savefig(path, dpi=120)


def _plot_log(axes: Axes, history: Sequence[dict[str, float]], name: str):
    epochs = [row["epoch"] for row in history]
    for log, style, label in ((name, "o-", "training"), (f"val_{name}", "s-", "validation")):
        if log in history[0]:
            axes.plot(epochs, [row[log] for row in history], style, label=label)
    axes.set(xlabel="epoch", title=name.replace("_", " "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


def plot_confusion_matrix(matrix: Sequence[Sequence[int]], names: Sequence[str], path: str | Path):
    """Draws a confusion matrix with its counts, coloured by the share of the true class.

    Args:
        matrix: Counts; rows are the true classes, columns the predicted ones.
        names: The classes' names, in order.
        path: The PNG file.
    """
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.6 * len(names)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=30, ha="right")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="predicted", ylabel="true")
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of the true class")
    figure.savefig(path, dpi=120)
