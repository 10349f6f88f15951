"""The options of a fine-tuning run, as the commands that make one take them."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str, typer.Option(help="Pretrained BERT: folder, hf://, kaggle:// or package:// handle.")
]
Train = Annotated[Path, typer.Option(help="File to train on.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Times the file is gone through.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Rows of a step.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak of the learning rate.")]
HeadLearningRate = Annotated[
    float | None, typer.Option(help="The same for the layers on top of BERT.")
]
WarmupRatio = Annotated[float, typer.Option(help="Share of the steps in which the rate rises.")]
WeightDecay = Annotated[float, typer.Option(help="Decoupled weight decay.")]
MaxLength = Annotated[int | None, typer.Option(help="Longest sequence in tokens.")]
Precision = Annotated[str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16.")]
Xla = Annotated[
    bool | None, typer.Option("--xla/--no-xla", help="Compile with XLA. Default: on a GPU.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
