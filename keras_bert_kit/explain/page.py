"""One HTML page that shows attributions and attention, and needs no other file and no network.

Dimension letters: L layers, N heads, S sequence.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from keras_bert_kit.explain.attention import AttentionMaps
from keras_bert_kit.explain.attributions import Attributions, WordScore

# A page with more weights would be slow to open; its heads are averaged.
_MOST_WEIGHTS = 8_000_000
_MOST_LABELS = 12
_MOST_ROWS_UNASKED = 60


def write_page(path: str | Path, found: Attributions, maps: AttentionMaps | None = None) -> Path:
    """Writes the page.

    Args:
        path: The HTML file.
        found: The attributions.
        maps: The attention maps of the same text, or `None` to leave them out. Of more than 8
            million weights the mean of the heads is shown.

    Returns:
        The path.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(path)
    path.write_text(page(found, maps), encoding="utf-8")
    return path


def page(found: Attributions, maps: AttentionMaps | None = None) -> str:
    """Gives the page as text; see `write_page`.

    Args:
        found: The attributions.
        maps: The attention maps, or `None`.
    """
    script = _template("attention.js") if maps else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    largest = max(abs(word.score) for word in found.words)
    attention, data = _attention(found, maps) if maps else ("", "")
    return Template(_template("page.html")).substitute(
        script_hash=f"sha256-{digest}",
        script=script,
        title=html.escape(f"{found.target}: {found.text[:60]}"),
        heading=_heading(found),
        subtitle=_subtitle(found),
        probabilities=_probabilities(found),
        texts=_texts(found, largest),
        target=html.escape(found.target),
        largest=f"{largest:.3f}",
        sums=_sums(found),
        opened=" open" if len(found.words) <= _MOST_ROWS_UNASKED else "",
        rows="\n".join(_row(word, largest) for word in found.words),
        attention=attention,
        data=data,
    )


def _template(name: str) -> str:
    return (files("keras_bert_kit.explain") / "templates" / name).read_text(encoding="utf-8")


def _heading(found: Attributions) -> str:
    label = f"<bdi>{html.escape(found.target)}</bdi>"
    if found.word is not None:
        label = f"<bdi>{html.escape(found.words[found.word].text)}</bdi> as {label}"
    if found.probability is None:
        return f"What makes {label} {found.output:.4g}"
    return f"What speaks for {label} ({100 * found.probability:.1f} %)"


def _subtitle(found: Attributions) -> str:
    parts = [
        "Integrated gradients",
        f"{found.steps} steps",
        f"baseline {html.escape(found.baseline)}",
    ]
    if found.probabilities:
        likeliest = max(found.probabilities, key=found.probabilities.get)
        if likeliest != found.target:
            parts.append(f"the likeliest label is <bdi>{html.escape(likeliest)}</bdi>")
    if found.cut:
        parts.append("the text is longer than the model reads, and was cut")
    return " · ".join(parts)


def _probabilities(found: Attributions) -> str:
    ordered = sorted(found.probabilities.items(), key=lambda item: -item[1])
    if not ordered:
        return ""
    rows = [
        f"<tr><td><bdi>{html.escape(label)}</bdi></td>"
        f'<td class="share"><i style="--w: {value:.4f}"></i></td>'
        f'<td class="number">{100 * value:.1f} %</td></tr>'
        for label, value in ordered[:_MOST_LABELS]
    ]
    if len(ordered) > _MOST_LABELS:
        rows.append(f"<tr><td>and {len(ordered) - _MOST_LABELS} more</td></tr>")
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _texts(found: Attributions, largest: float) -> str:
    texts = [found.text] if found.text_pair is None else [found.text, found.text_pair]
    return "\n".join(
        f'<p class="text" dir="auto">{_coloured(text, number, found, largest)}</p>'
        for number, text in enumerate(texts)
    )


def _coloured(text: str, number: int, found: Attributions, largest: float) -> str:
    asked = None if found.word is None else found.words[found.word]
    parts, at = [], 0
    for word in (word for word in found.words if word.text_number == number):
        parts.append(html.escape(text[at : word.start]))
        marks = f"{_side(word)} asked" if word is asked else _side(word)
        parts.append(
            f'<span class="{marks}" style="--a: {_share(word, largest):.3f}" '
            f'title="{word.score:+.4f}">{html.escape(text[max(at, word.start) : word.end])}</span>'
        )
        at = max(at, word.end)
    rest = html.escape(text[at:])
    return "".join([*parts, f'<span class="unread">{rest}</span>' if found.cut else rest])


def _row(word: WordScore, largest: float) -> str:
    return (
        f'<tr><td><bdi>{html.escape(word.text)}</bdi></td><td class="number">{word.score:+.4f}</td>'
        f'<td class="signed"><i class="{_side(word)}" style="--a0: {_share(word, largest):.3f}">'
        "</i></td></tr>"
    )


def _side(word: WordScore) -> str:
    return "against" if word.score < 0 else "for"


def _share(word: WordScore, largest: float) -> float:
    return abs(word.score) / largest if largest else 0.0


def _sums(found: Attributions) -> str:
    total = sum(word.score for word in found.words)
    return (
        f"The words add up to {total:+.4f}: the model gives {found.output:+.4f} for the text and "
        f"{found.baseline_output:+.4f} for the baseline. The integral's error is "
        f'<span class="number">{found.delta:+.1e}</span>.'
    )


def _attention(found: Attributions, maps: AttentionMaps) -> tuple[str, str]:
    """Gives the viewer, and the data that it reads."""
    weights = maps.weights
    averaged = weights.size > _MOST_WEIGHTS
    if averaged:
        weights = weights.mean(axis=1, keepdims=True)  # (L, 1, S, S)
    data = {
        "tokens": maps.tokens,
        "layers": maps.layers,
        "heads": weights.shape[1],
        "weights": _packed(weights),
        "rollout": _packed(maps.rollout()),
        "held": int(np.abs(found.scores).argmax()),
    }
    text = json.dumps(data).replace("<", "\\u003c")  # no tag ends the element
    viewer = Template(_template("attention.html")).substitute(
        averaged=" The text is long: these are means over the heads." if averaged else ""
    )
    return viewer, f'<script type="application/json" id="attention-data">{text}</script>'


def _packed(weights: np.ndarray) -> str:
    """Gives probabilities as bytes of their roots, which keep the small ones apart, in base 64."""
    roots = np.rint(255 * np.sqrt(np.clip(weights, 0, 1))).astype("uint8")
    return base64.b64encode(roots.tobytes()).decode()
