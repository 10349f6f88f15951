"""The page in a browser: its script runs, and a script in the text does not."""

import html
import re
import shutil
import subprocess

import pytest

from keras_bert_kit.explain import attention_maps, attributions, write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-sync", "--disable-background-networking", "--disable-component-update"]
QUIET += ["--virtual-time-budget=3000"]
pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]


def shown(path, profile):
    """Gives the document as it is after its script ran."""
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()]
    result = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return result.stdout.decode()


def test_the_viewer_shows_where_the_token_looks_that_added_most(classifier, tmp_path):
    text = "not <script>document.body.remove()</script> bad"
    found = attributions(classifier, text, steps=2)
    maps = attention_maps(classifier, text)
    dom = shown(write_page(tmp_path / "page.html", found, maps), tmp_path / "profile")
    assert re.search(r'<div id="attention">', dom), "the viewer is still hidden"
    assert dom.count(' title="layer ') == 2 * 3
    row = maps.weights[-1].mean(0)[abs(found.scores).argmax()]
    said = re.search(r'id="said"[^>]*>(.*?)</p>', dom)[1]
    token, most = maps.tokens[abs(found.scores).argmax()], maps.tokens[row.argmax()]
    assert html.unescape(said).startswith(f"{token} looks at {most} ")
    percent = float(re.search(r"([\d.]+) %", said)[1])
    assert percent == pytest.approx(100 * row.max(), abs=0.5)


def test_without_attention_no_script_is_needed(found, tmp_path):
    dom = shown(write_page(tmp_path / "page.html", found), tmp_path / "profile")
    assert "What each word added" in dom
    assert 'id="attention"' not in dom
