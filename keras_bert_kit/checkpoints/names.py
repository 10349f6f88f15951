"""The table of weight names: our path beside the name that each format gives to the same weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One weight, or one weight of every layer where the names hold `{i}`.

    Attributes:
        path: Path below the encoder or below the model, as `weight_path` gives it.
        huggingface: Tensor name in `model.safetensors`, without the `bert.` prefix.
        keras_hub: Variable path in KerasHub's `BertBackbone`; empty for what it does not have, and
            heads are not read from there.
        kind: "plain" (stored alike) or "kernel" (Hugging Face stores [out, in]).
    """

    path: str
    huggingface: str
    keras_hub: str
    kind: str = "plain"


def _dense(path: str, huggingface: str, keras_hub: str) -> tuple[Row, Row]:
    return (
        Row(f"{path}/kernel", f"{huggingface}.weight", f"{keras_hub}/kernel", "kernel"),
        Row(f"{path}/bias", f"{huggingface}.bias", f"{keras_hub}/bias"),
    )


def _norm(path: str, huggingface: str, keras_hub: str) -> tuple[Row, Row]:
    return (
        Row(f"{path}/gamma", f"{huggingface}.weight", f"{keras_hub}/gamma"),
        Row(f"{path}/beta", f"{huggingface}.bias", f"{keras_hub}/beta"),
    )


_BLOCK, _HF, _HUB = "encoder/block_{i}", "encoder.layer.{i}", "transformer_layer_{i}"

#: Weights of the encoder, whose paths may stand below `bert/` (Hugging Face: `bert.`).
ENCODER: tuple[Row, ...] = (
    Row(
        "embeddings/word_embeddings/embeddings",
        "embeddings.word_embeddings.weight",
        "token_embedding/embeddings",
    ),
    Row(
        "embeddings/position_embeddings/embeddings",
        "embeddings.position_embeddings.weight",
        "position_embedding/embeddings",
    ),
    Row(
        "embeddings/token_type_embeddings/embeddings",
        "embeddings.token_type_embeddings.weight",
        "segment_embedding/embeddings",
    ),
    *_norm("embeddings/layer_norm", "embeddings.LayerNorm", "embeddings_layer_norm"),
    *(
        row
        for name in ("query", "key", "value")
        for row in _dense(
            f"{_BLOCK}/attention/{name}",
            f"{_HF}.attention.self.{name}",
            f"{_HUB}/self_attention_layer/{name}",
        )
    ),
    *_dense(
        f"{_BLOCK}/attention/output_dense",
        f"{_HF}.attention.output.dense",
        f"{_HUB}/self_attention_layer/attention_output",
    ),
    *_norm(
        f"{_BLOCK}/attention_layer_norm",
        f"{_HF}.attention.output.LayerNorm",
        f"{_HUB}/self_attention_layer_norm",
    ),
    *_dense(
        f"{_BLOCK}/intermediate_dense",
        f"{_HF}.intermediate.dense",
        f"{_HUB}/feedforward_intermediate_dense",
    ),
    *_dense(f"{_BLOCK}/output_dense", f"{_HF}.output.dense", f"{_HUB}/feedforward_output_dense"),
    *_norm(
        f"{_BLOCK}/output_layer_norm", f"{_HF}.output.LayerNorm", f"{_HUB}/feedforward_layer_norm"
    ),
    # Of pre-norm encoders alone; transformers' BERT has none.
    Row("encoder/final_layer_norm/gamma", "encoder.LayerNorm.weight", ""),
    Row("encoder/final_layer_norm/beta", "encoder.LayerNorm.bias", ""),
    *_dense("pooler/dense", "pooler.dense", "pooled_dense"),
)

#: Weights of the heads; they stand beside the encoder, without its prefix.
HEADS: tuple[Row, ...] = (
    *_dense("classifier/dense", "classifier", ""),
    *_dense("masked_lm/dense", "cls.predictions.transform.dense", ""),
    *_norm("masked_lm/layer_norm", "cls.predictions.transform.LayerNorm", ""),
    Row("masked_lm/bias", "cls.predictions.bias", ""),
    *_dense("next_sentence/dense", "cls.seq_relationship", ""),
)


def rows(table: tuple[Row, ...], num_hidden_layers: int) -> Iterator[Row]:
    """Gives the rows of a table with `{i}` filled in for each layer."""
    for row in table:
        if "{i}" not in row.path:
            yield row
            continue
        for index in range(num_hidden_layers):
            filled = (part.replace("{i}", str(index)) for part in row[:3])
            yield Row(*filled, row.kind)


def weight_path(variable_path: str, model_path: str) -> str:
    """Gives a variable's path below its model, and below `bert/` for the encoder's weights.

    Args:
        variable_path: Keras' path of the variable, such as `bert/pooler/dense/kernel`.
        model_path: Keras' path of the model; what stands before its last part is the name scope
            that the model was made in.
    """
    scope, _, name = model_path.rpartition("/")
    path = variable_path.removeprefix(f"{scope}/") if scope else variable_path
    return path.removeprefix(f"{name}/").removeprefix("bert/")


def convert(array: np.ndarray, kind: str) -> np.ndarray:
    """Turns an array between our layout and Hugging Face's; the same step both ways."""
    return array.T if kind == "kernel" else array
