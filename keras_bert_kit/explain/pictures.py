"""Attributions and attention as PNG."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure

from keras_bert_kit.explain.attention import AttentionMaps
from keras_bert_kit.explain.attributions import Attributions

# Blue and orange are told apart by eyes that do not see red or green.
FOR, AGAINST = "#2f78c4", "#e08214"

# Fonts with Chinese, Japanese and Korean, of which a machine may have one.
_CJK_FONTS = """
Noto Sans CJK SC,Noto Sans CJK JP,Noto Sans SC,Noto Sans JP,Source Han Sans SC,WenQuanYi Micro Hei,
WenQuanYi Zen Hei,Droid Sans Fallback,PingFang SC,Hiragino Sans,Microsoft YaHei,SimHei,Yu Gothic,
Malgun Gothic,IPAexGothic,Arial Unicode MS
""".replace("\n", "").split(",")

_MOST_WORDS = 60
_MOST_LABELLED_TOKENS = 24


def plot_attributions(found: Attributions, path: str | Path):
    """Draws the attribution of each word as a bar, in the order of the text.

    Args:
        found: The attributions; of more than 60 words the 60 that added most are drawn.
        path: The PNG file.
    """
    kept = sorted(range(len(found.words)), key=lambda n: -abs(found.words[n].score))
    words = [found.words[n] for n in sorted(kept[:_MOST_WORDS])]
    scores = np.array([word.score for word in words])
    with _fonts():
        figure = Figure(figsize=(7, 1.4 + 0.28 * len(words)), layout="constrained")
        axes = figure.subplots()
        bars = axes.barh(range(len(words)), scores, color=np.where(scores < 0, AGAINST, FOR))
        axes.bar_label(bars, [f"{score:+.3f}" for score in scores], padding=3, fontsize=8)
        axes.set_yticks(range(len(words)), [_plain(word.text) for word in words])
        axes.invert_yaxis()
        axes.margins(x=0.16, y=0.01)
        axes.axvline(0, color="grey", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_title(_title(found), fontsize=11)
        axes.set_xlabel("attribution: blue for, orange against", fontsize=9)
        figure.savefig(path, dpi=120)


def plot_attention(maps: AttentionMaps, path: str | Path):
    """Draws a heat map of each head, the layers in rows, and their rollout beside them.

    Args:
        maps: The attention maps.
        path: The PNG file.
    """
    layers, heads = maps.weights.shape[:2]
    side = min(1.0, 16 / heads)
    height = max(0.7 + side * layers, 4.4)
    with _fonts():
        figure = Figure(figsize=(1 + side * heads + 4.6, height), layout="constrained")
        grid, beside = figure.subfigures(1, 2, width_ratios=[side * heads + 0.6, 4.8])
        axes = grid.subplots(layers, heads, squeeze=False)
        for layer, head in np.ndindex(layers, heads):
            _heat(axes[layer, head], maps.weights[layer, head])
        for head in range(heads):
            axes[0, head].set_title(head + 1, fontsize=8)
        for layer, number in enumerate(maps.layers):
            axes[layer, 0].set_ylabel(number, fontsize=8, rotation=0, ha="right", va="center")
        grid.suptitle("attention: layers down, heads across", fontsize=10)
        _plot_rollout(beside.subplots(), maps)
        figure.savefig(path, dpi=120)


def _plot_rollout(axes, maps: AttentionMaps):
    _heat(axes, maps.rollout())
    axes.set_title("rollout: rows from columns", fontsize=10)
    places = range(len(maps.tokens))
    if len(places) <= _MOST_LABELLED_TOKENS:
        names = [_plain(token) for token in maps.tokens]
        axes.set_xticks(places, names, rotation=90, fontsize=8)
        axes.set_yticks(places, names, fontsize=8)
        axes.tick_params(length=0)


def _heat(axes, weights: np.ndarray):
    axes.imshow(weights, cmap="Blues", vmin=0, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def _title(found: Attributions) -> str:
    target = _plain(found.target)
    if found.word is not None:
        target = f"{_plain(found.words[found.word].text)} as {target}"
    if found.probability is None:
        return f"What makes {target} {found.output:.4g}"
    return f"What speaks for {target} ({100 * found.probability:.1f} %)"


def _plain(text: str) -> str:
    """Gives a text that matplotlib does not read as a formula."""
    return text.replace("$", r"\$")


@contextmanager
def _fonts() -> Iterator[None]:
    """Adds an installed font with CJK characters; what no font has is a box without a warning."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fallbacks = [name for name in _CJK_FONTS if name in installed][:1]
    with mpl.rc_context({"font.family": ["DejaVu Sans", *fallbacks]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        yield
