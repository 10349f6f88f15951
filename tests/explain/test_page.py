import base64
import dataclasses
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from keras_bert_kit.explain import AttentionMaps, attention_maps, attributions, write_page
from keras_bert_kit.explain.page import page

NASTY = "<script>alert(1)</script> </p> <img src=x onerror='a'> & \"good\" -->"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of each kind of element."""

    VOID = ("meta", "img", "link", "input", "br")

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.texts = [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag] = self.texts.get(tag, "") + data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def maps(classifier, found):
    return attention_maps(classifier, found.text)


def data_of(text):
    held = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    return json.loads(held[1])


def test_the_page_is_whole_and_asks_for_nothing(found, maps, tmp_path):
    path = write_page(tmp_path / "explain.html", found, maps)
    text = path.read_text(encoding="utf-8")
    elements = Elements(text)
    assert elements.open == []
    assert "$" not in text
    for _, attributes in elements.found:
        assert not {"src", "href", "action"} & attributes.keys()
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", text)
    policy = elements.all("meta")[-1]["content"]
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert len(script) == 1
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_words_are_coloured_by_what_they_added(found):
    text = page(found)
    colours = re.findall(r'<span class="(for|against)" style="--a: ([\d.]+)" title="([^"]+)"', text)
    largest = max(abs(word.score) for word in found.words)
    assert {word.score < 0 for word in found.words} == {True, False}
    for word, (side, share, title) in zip(found.words, colours, strict=True):
        assert side == ("against" if word.score < 0 else "for")
        assert float(share) == pytest.approx(abs(word.score) / largest, abs=1e-3)
        assert float(title) == pytest.approx(word.score, abs=1e-4)
    assert f"({100 * found.probability:.1f} %)" in text
    assert f"{found.delta:+.1e}" in text


def test_the_text_stands_there_as_it_was_written(found):
    shown = re.search(r'<p class="text" dir="auto">(.*?)</p>', page(found), re.DOTALL)[1]
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == found.text


def test_the_attributions_need_no_script(found):
    text = page(found)
    assert "<script></script>" in text
    assert "application/json" not in text
    assert all(f"{word.score:+.4f}</td>" in text for word in found.words)


def test_nothing_in_a_text_or_a_label_becomes_an_element(make):
    model = make(id2label={0: "<b>bad</b>", 1: "</script>", 2: "good"})
    found = attributions(model, NASTY[:18], NASTY[17:], target="</script>", steps=2)
    maps = attention_maps(model, found.text, found.text_pair)
    maps = dataclasses.replace(maps, tokens=["</script><b>", *maps.tokens[1:]])
    text = page(found, maps)
    elements = Elements(text)
    assert len(elements.all("script")) == 2
    assert not elements.all("img")
    assert not elements.all("b")
    assert data_of(text)["tokens"] == maps.tokens
    assert "alert" in elements.texts["p"]


def test_the_attention_comes_with_the_page(found, maps):
    data = data_of(page(found, maps))
    assert (data["tokens"], data["layers"], data["heads"]) == (maps.tokens, [1, 2], 3)
    for name, expected in (("weights", maps.weights), ("rollout", maps.rollout())):
        stored = np.frombuffer(base64.b64decode(data[name]), "uint8") / 255
        np.testing.assert_allclose(stored**2, expected.ravel(), atol=0.005)
    assert 0 < data["held"] < len(maps.tokens) - 1


def test_of_many_weights_the_mean_of_the_heads_is_shown(found, maps, monkeypatch):
    monkeypatch.setattr("keras_bert_kit.explain.page._MOST_WEIGHTS", 10)
    text = page(found, maps)
    data = data_of(text)
    stored = np.frombuffer(base64.b64decode(data["weights"]), "uint8") / 255
    assert data["heads"] == 1
    np.testing.assert_allclose(stored**2, maps.weights.mean(1).ravel(), atol=0.005)
    assert "means over the heads" in text
    assert "means over the heads" not in page(found, AttentionMaps(["a"], np.ones((1,) * 4), [1]))


def test_what_was_cut_is_marked(classifier):
    found = attributions(classifier, "good " * 21 + "kettle", steps=1)
    text = page(found)
    assert '<span class="unread"> kettle</span>' in text
    assert "was cut" in text


def test_a_words_label_and_a_number_have_their_headings(tagger, make):
    text = page(attributions(tagger, "the film is bad", target=(1, "B-PER"), steps=1))
    assert re.search(r"<h1>What speaks for <bdi>film</bdi> as <bdi>B-PER</bdi> \(", text)
    assert text.count(' asked"') == 1
    model = make(problem_type="regression", id2label={0: "stars"})
    found = attributions(model, "the film is bad", steps=1)
    assert f"What makes <bdi>stars</bdi> {found.output:.4g}<" in page(found)


def test_of_many_labels_the_likeliest_are_shown(make):
    model = make(id2label={n: f"label {n}" for n in range(20)})
    found = attributions(model, "the film is bad", target="label 3", steps=1)
    text = page(found)
    assert text.count('<td class="share">') == 12
    assert "and 8 more" in text
    likeliest = max(found.probabilities, key=found.probabilities.get)
    assert likeliest != "label 3"
    assert f"the likeliest label is <bdi>{likeliest}</bdi>" in text
