"""From one checkpoint format to another, with proof that nothing was lost."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_kit import models
from keras_bert_kit.checkpoints import Checkpoint, load_checkpoint, write_checkpoint
from keras_bert_kit.checkpoints.folders import check_free, replaced_folder
from keras_bert_kit.checkpoints.matching import shape_of

#: The largest difference between outputs that a verified conversion may have.
TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        output: The folder that was written.
        to: Its format.
        architecture: The model class that the weights are for.
        weights: Number of weights.
        parameters: Number of numbers in them.
        largest_difference: Between the outputs of both sides; `None` where it was not asked for.
    """

    output: str
    to: str
    architecture: str
    weights: int
    parameters: int
    largest_difference: float | None = None


def convert_checkpoint(
    source: Any,
    output: str | Path,
    to: str = "huggingface",
    verify: bool = False,
    overwrite: bool = False,
    **changes: Any,
) -> Conversion:
    """Writes a checkpoint in another format.

    The folder appears whole or not at all.

    Args:
        source: Whatever `load_checkpoint` reads.
        output: The folder to make.
        to: "huggingface", "tf1" or "keras-hub".
        verify: Whether to load both sides and to compare weights and outputs.
        overwrite: Whether the folder may replace one that is there.
        **changes: Fields of the config that replace the source's, such as `hidden_act="gelu_new"`
            for a model with the erf form of GELU and a format that has the tanh form alone.

    Raises:
        FileExistsError: The folder exists, and `overwrite` is false.
        ValueError: The source cannot be read, the format cannot express it, or the outputs differ
            by more than `TOLERANCE`.

    Example:
        >>> convert_checkpoint("uncased_L-12_H-768_A-12", "bert-base", verify=True)
    """
    check_free(output, overwrite)
    checkpoint = load_checkpoint(source)
    config = dataclasses.replace(checkpoint.config, **changes)
    checkpoint = dataclasses.replace(checkpoint, config=config)
    with replaced_folder(output, overwrite) as folder:
        write_checkpoint(folder, checkpoint, to)
        written = load_checkpoint(folder)
        difference = largest_difference(checkpoint, written) if verify else None
        if difference is not None and not difference <= TOLERANCE:
            raise ValueError(
                f"The outputs of both sides must agree to {TOLERANCE}. "
                f"Received: largest difference {difference:.3g}. Nothing was written."
            )
        shapes = [shape_of(written.weights, path) for path in written.weights]
    return Conversion(
        str(output),
        to,
        written.architecture,
        len(shapes),
        sum(map(math.prod, shapes)),
        difference,
    )


def largest_difference(one: Checkpoint, other: Checkpoint) -> float:
    """Gives the largest difference between the outputs of two checkpoints on fixed inputs.

    Args:
        one: A checkpoint.
        other: One that holds the same weights, or those of fewer heads.

    Raises:
        ValueError: The weights do not fill the model.
    """
    both = one if set(one.weights) <= set(other.weights) else other
    outputs, others = (_outputs(both.architecture, checkpoint) for checkpoint in (one, other))
    return max(float(np.abs(outputs[name] - others[name]).max()) for name in outputs)


def _outputs(architecture: str, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    model_class = getattr(models, architecture, models.BertModel)
    options: dict[str, Any] = {}
    if model_class is models.BertModel:
        options["add_pooling_layer"] = any(
            path.startswith("pooler/") for path in checkpoint.weights
        )
    model = model_class.from_pretrained(checkpoint, new_head=False, **options)
    config = checkpoint.config
    random = np.random.default_rng(0)
    shape = (4, min(64, config.max_position_embeddings))
    if model_class is models.BertForMultipleChoice:
        shape = (2, *shape)
    outputs = model(
        {
            "input_ids": random.integers(0, config.vocab_size, shape),
            "token_type_ids": random.integers(0, config.type_vocab_size, shape),
            "attention_mask": (random.random(shape) < 0.8).astype("int32"),
        }
    )
    return {name: np.asarray(value) for name, value in outputs.items()}
