"""The command that shows what a model looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_bert_kit.cli.console import err, out, print_json, say, table
from keras_bert_kit.cli.models import load_model

if TYPE_CHECKING:
    from keras_bert_kit.explain import Attributions, WordScore

app = typer.Typer()

_SUFFIXES = (".html", ".png")
_BAR = 16


@app.command()
def explain(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model that gives labels.")],
    text: Annotated[str, typer.Argument(help="The text.")],
    text_pair: Annotated[str | None, typer.Option(help="The second text of a pair.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A page NAME.html, or pictures NAME.png and NAME-attention.png."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The label to explain; the likeliest one without.")
    ] = None,
    word: Annotated[
        int | None,
        typer.Option(min=0, help="Labels of words: the number of the word, from 0."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Points on the path of the integral.")] = 50,
    baseline: Annotated[
        str, typer.Option(help="What stands for the words that are not there: [PAD] or [MASK].")
    ] = "[PAD]",
    layer: Annotated[
        list[int] | None,
        typer.Option(help="Layer whose attention is shown, from 1; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
):
    """Show what each word of a text added to a model's answer, and where its heads look."""
    if not text.strip():
        raise ValueError(f"The text must have at least one word. Received: {text!r}")
    if output is not None:
        _check_output(output)
    elif layer:
        raise ValueError("--layer is for what --output shows; name an --output too")
    from keras_bert_kit.explain import attributions

    with err.status("Loading"):
        loaded = load_model(model)
    chosen = _target(loaded, word, target)
    with err.status("Integrating gradients"):
        found = attributions(loaded, text, text_pair, chosen, steps, baseline)
    written = [] if output is None else _write(loaded, found, layer, output)
    if as_json:
        print_json({**found.as_dict(), "written": [str(path) for path in written]})
        return
    _print(found)
    for path in written:
        say(f"Wrote {path}")


def _check_output(output: Path):
    """Checks the output before the model is loaded."""
    if output.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"--output must end in {' or '.join(_SUFFIXES)}. Received: {output}")
    for path in _files(output):
        if path.is_dir():
            raise ValueError(f"--output must be a file. Received: {path}, a folder")
    if not output.parent.is_dir():
        raise ValueError(f"The folder of --output must exist. Received: {output.parent}")


def _files(output: Path) -> list[Path]:
    if output.suffix.lower() == ".html":
        return [output]
    return [output, output.with_name(f"{output.stem}-attention{output.suffix}")]


def _target(model, word: int | None, label: str | None):
    """Gives the target that `attributions` takes."""
    from keras_bert_kit.models import BertForTokenClassification

    if not isinstance(model, BertForTokenClassification):
        if word is not None:
            raise ValueError("--word is for models that give words labels; leave it out here")
        return label
    if word is None and label is not None:
        raise ValueError("--target needs --word NUMBER here: the model gives each word a label")
    return None if word is None else (word, label)


def _write(model, found: Attributions, layers: list[int] | None, output: Path) -> list[Path]:
    from keras_bert_kit.explain import (
        attention_maps,
        plot_attention,
        plot_attributions,
        write_page,
    )

    maps = attention_maps(model, found.text, found.text_pair)
    if layers:
        maps = maps.of_layers(layers)
    written = _files(output)
    if len(written) == 1:
        write_page(output, found, maps)
    else:
        plot_attributions(found, written[0])
        plot_attention(maps, written[1])
    return written


def _print(found: Attributions):
    largest = max(abs(word.score) for word in found.words)
    rows = [_row(number, one, largest) for number, one in enumerate(found.words)]
    if found.word is None:
        for row in rows:
            del row["number"]
    out.print(table(rows))
    about = (
        found.target if found.word is None else f"{found.words[found.word].text}, {found.target}"
    )
    sure = "" if found.probability is None else f", probability {found.probability:.4f}"
    say(f"For {about}{sure}: {found.output:+.4f}, for the baseline {found.baseline_output:+.4f}")
    say(f"The integral's error, with {found.steps} steps: {found.delta:+.1e}")
    if found.cut:
        say("The text is longer than the model reads; its end was cut off.")


def _row(number: int, word: WordScore, largest: float) -> dict[str, str | int]:
    length = round(_BAR * abs(word.score) / largest) if largest else 0
    bars = {"against": "", "for": ""}
    bars["against" if word.score < 0 else "for"] = "█" * length
    return {
        "number": number,
        "word": word.text,
        "attribution": f"{word.score:+.4f}",
        "against": bars["against"].rjust(_BAR),
        "for": bars["for"],
    }
