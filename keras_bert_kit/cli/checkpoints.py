"""The command that converts checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from keras_bert_kit.cli.console import print_json, say

app = typer.Typer()


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="Any BERT checkpoint: folder or handle.")],
    output: Annotated[Path, typer.Argument(help="Folder to make.")],
    to: Annotated[str, typer.Option(help="huggingface, tf1 or keras-hub.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Load both sides and compare their outputs.")
    ] = False,
    hidden_act: Annotated[
        str | None, typer.Option(help="Replace the activation, on purpose: gelu or gelu_new.")
    ] = None,
    layer_norm_eps: Annotated[
        float | None, typer.Option(help="Replace the epsilon, on purpose: 1e-12.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
):
    """Write a checkpoint in another format."""
    from keras_bert_kit.models.conversion import TOLERANCE, convert_checkpoint

    given = {"hidden_act": hidden_act, "layer_norm_eps": layer_norm_eps}
    changes = {name: value for name, value in given.items() if value is not None}
    done = convert_checkpoint(source, output, to, verify, overwrite, **changes)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    say(
        f"Wrote {done.output} ({done.to}): {done.architecture}, {done.weights} weights, "
        f"{done.parameters:,} parameters"
    )
    if verify:
        say(f"Largest difference of outputs: {done.largest_difference:.3g} (at most {TOLERANCE})")
