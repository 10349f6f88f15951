import dataclasses
import logging
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from keras_bert_kit.explain import (
    AttentionMaps,
    WordScore,
    attention_maps,
    plot_attention,
    plot_attributions,
)
from keras_bert_kit.explain.pictures import AGAINST, FOR


def near(picture, colour):
    """How many pixels have a colour."""
    wanted = np.array(mpl.colors.to_rgb(colour))
    return int((np.abs(picture[..., :3] - wanted).max(-1) < 0.01).sum())


@pytest.mark.parametrize("sign", [1, -1])
def test_bars_are_blue_for_and_orange_against(found, tmp_path, sign):
    words = [WordScore(w.text, w.start, w.end, sign * abs(w.score)) for w in found.words]
    plot_attributions(dataclasses.replace(found, words=words), tmp_path / "a.png")
    picture = imread(tmp_path / "a.png")
    blue, orange = near(picture, FOR), near(picture, AGAINST)
    assert (blue > 1000, orange > 1000) == (sign > 0, sign < 0)


def test_of_a_long_text_the_words_that_added_most_are_drawn(found, tmp_path):
    words = [WordScore("good", 0, 4, 1.0 + n) for n in range(200)]
    plot_attributions(dataclasses.replace(found, words=words), tmp_path / "long.png")
    assert imread(tmp_path / "long.png").shape[0] < 2500


def test_characters_without_a_font_and_formulas_are_drawn_without_a_word(
    found, tmp_path, caplog, monkeypatch
):
    from keras_bert_kit.explain import pictures

    monkeypatch.setattr(pictures, "_CJK_FONTS", ["No Such Font"])
    words = [WordScore(text, 0, 1, 1.0) for text in ("电", "$x_$", "$", "\\frac", "日本")]
    before = dict(mpl.rcParams)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        plot_attributions(dataclasses.replace(found, words=words, target="电$"), tmp_path / "a.png")
    assert caplog.records == []
    assert dict(mpl.rcParams) == before


def test_every_head_has_a_map(classifier, tmp_path):
    maps = attention_maps(classifier, "not bad")
    plot_attention(maps, tmp_path / "a.png")
    assert near(imread(tmp_path / "a.png"), mpl.colormaps["Blues"](1.0)[:3]) > 6 * 50


def test_a_long_text_has_maps_without_names(tmp_path):
    weights = np.full((1, 1, 40, 40), 1 / 40, "float32")
    plot_attention(AttentionMaps(["电"] * 40, weights, [1]), tmp_path / "a.png")
    assert imread(tmp_path / "a.png").shape[0] > 100
