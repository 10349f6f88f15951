"""The table of weight names: our path beside the name that each format gives to the same weight."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from keras_bert_kit.config import BertConfig


@dataclasses.dataclass(frozen=True)
class Row:
    """One weight, or one weight of every layer where the names hold `{i}`.

    A name is empty where a format does not have the weight.

    Attributes:
        path: Path below the encoder or below the model, as `weight_path` gives it.
        kind: "plain"; "kernel", a matrix [in, out]; "head_kernel", the same of a head;
            "query_kernel" and "query_bias", whose outputs are the attention heads; and
            "merge_kernel", whose inputs are.
        huggingface: Tensor name of PyTorch transformers, without the `bert.` prefix.
        tf1: Variable name of google-research/bert.
        tf_transformers: Weight name of transformers' TFBert classes, below the model's own name.
        keras_hub: Variable path in KerasHub's `BertBackbone`, `BertMaskedLM`, `BertTextClassifier`.
        model_garden: Object paths of TF Model Garden: below the encoder, which was written in two
            ways, and below a head, after the head's name here, for its place depends on the model.
    """

    path: str
    kind: str
    huggingface: str
    tf1: str
    tf_transformers: str
    keras_hub: str
    model_garden: tuple[str, ...]


# The last parts of the names of a dense layer's and of a normalisation's two weights: ours (also
# that of TF1, of KerasHub and of Model Garden), and Hugging Face's.
_DENSE = (("kernel", "weight"), ("bias", "bias"))
_NORM = (("gamma", "weight"), ("beta", "bias"))


def _pair(
    leaves, kinds, path, huggingface, tf1, keras_hub="", model_garden=(), tf_transformers=None
) -> Iterator[Row]:
    """Gives the two rows of a layer."""
    if tf_transformers is None:
        tf_transformers = tf1.replace("layer_{i}", "layer_._{i}")
    for (leaf, hf_leaf), kind in zip(leaves, kinds, strict=True):
        yield Row(
            f"{path}/{leaf}",
            kind,
            huggingface and f"{huggingface}.{hf_leaf}",
            tf1 and f"{tf1}/{leaf}",
            tf_transformers and f"{tf_transformers}/{leaf}",
            keras_hub and f"{keras_hub}/{leaf}",
            tuple(f"{name}/{leaf}" for name in model_garden),
        )


def _dense(*names, kinds=("kernel", "plain"), **more) -> Iterator[Row]:
    return _pair(_DENSE, kinds, *names, **more)


def _norm(*names, **more) -> Iterator[Row]:
    return _pair(_NORM, ("plain", "plain"), *names, **more)


def _head(path, huggingface, tf1, keras_hub="", model_garden=(), tf_transformers="") -> tuple:
    """Gives the two rows of a head's last layer; TF1 has names of its own for its weights."""
    kernel, bias = _dense(
        path,
        huggingface,
        "",
        keras_hub,
        model_garden,
        tf_transformers,
        kinds=("head_kernel", "plain"),
    )
    return (
        dataclasses.replace(kernel, tf1=f"{tf1}output_weights"),
        dataclasses.replace(bias, tf1=f"{tf1}output_bias"),
    )


_EMBEDDINGS = "embeddings/{}_embeddings"
_BLOCK, _HF, _TF1 = "encoder/block_{i}", "encoder.layer.{i}", "bert/encoder/layer_{i}"
_HUB = "transformer_layer_{i}"
# Model Garden's encoder as a class, and as a functional model, where layer i is number i + 4.
_MG = ("_transformer_layers/{i}", "layer_with_weights-{i+4}")
_QUERY = {"kinds": ("query_kernel", "query_bias")}


def _of_each(prefixes: tuple[str, ...], *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}/{name}" for prefix in prefixes for name in names)


#: Weights of the encoder, whose paths may stand below `bert/` (Hugging Face: `bert.`).
ENCODER: tuple[Row, ...] = (
    Row(
        _EMBEDDINGS.format("word") + "/embeddings",
        "plain",
        "embeddings.word_embeddings.weight",
        "bert/embeddings/word_embeddings",
        "bert/embeddings/word_embeddings/weight",
        "token_embedding/embeddings",
        # The masked-LM head shares it, and may be the one that it is saved with.
        (
            "_embedding_layer/embeddings",
            "layer_with_weights-0/embeddings",
            "masked_lm/embedding_table",
        ),
    ),
    Row(
        _EMBEDDINGS.format("position") + "/embeddings",
        "plain",
        "embeddings.position_embeddings.weight",
        "bert/embeddings/position_embeddings",
        "bert/embeddings/position_embeddings/embeddings",
        "position_embedding/embeddings",
        ("_position_embedding_layer/embeddings", "layer_with_weights-1/embeddings"),
    ),
    Row(
        _EMBEDDINGS.format("token_type") + "/embeddings",
        "plain",
        "embeddings.token_type_embeddings.weight",
        "bert/embeddings/token_type_embeddings",
        "bert/embeddings/token_type_embeddings/embeddings",
        "segment_embedding/embeddings",
        ("_type_embedding_layer/embeddings", "layer_with_weights-2/embeddings"),
    ),
    *_norm(
        "embeddings/layer_norm",
        "embeddings.LayerNorm",
        "bert/embeddings/LayerNorm",
        "embeddings_layer_norm",
        ("_embedding_norm_layer", "layer_with_weights-3"),
    ),
    *(
        row
        for name in ("query", "key", "value")
        for row in _dense(
            f"{_BLOCK}/attention/{name}",
            f"{_HF}.attention.self.{name}",
            f"{_TF1}/attention/self/{name}",
            f"{_HUB}/self_attention_layer/{name}",
            _of_each(_MG, f"_attention_layer/_{name}_dense"),
            **_QUERY,
        )
    ),
    *_dense(
        f"{_BLOCK}/attention/output_dense",
        f"{_HF}.attention.output.dense",
        f"{_TF1}/attention/output/dense",
        f"{_HUB}/self_attention_layer/attention_output",
        _of_each(_MG, "_attention_layer/_output_dense", "_attention_output_dense"),
        kinds=("merge_kernel", "plain"),
    ),
    *_norm(
        f"{_BLOCK}/attention_layer_norm",
        f"{_HF}.attention.output.LayerNorm",
        f"{_TF1}/attention/output/LayerNorm",
        f"{_HUB}/self_attention_layer_norm",
        _of_each(_MG, "_attention_layer_norm"),
    ),
    *_dense(
        f"{_BLOCK}/intermediate_dense",
        f"{_HF}.intermediate.dense",
        f"{_TF1}/intermediate/dense",
        f"{_HUB}/feedforward_intermediate_dense",
        _of_each(_MG, "_intermediate_dense"),
    ),
    *_dense(
        f"{_BLOCK}/output_dense",
        f"{_HF}.output.dense",
        f"{_TF1}/output/dense",
        f"{_HUB}/feedforward_output_dense",
        _of_each(_MG, "_output_dense"),
    ),
    *_norm(
        f"{_BLOCK}/output_layer_norm",
        f"{_HF}.output.LayerNorm",
        f"{_TF1}/output/LayerNorm",
        f"{_HUB}/feedforward_layer_norm",
        _of_each(_MG, "_output_layer_norm"),
    ),
    # Of pre-norm encoders alone, which no other format has.
    *_norm("encoder/final_layer_norm", "encoder.LayerNorm", ""),
    *_dense(
        "pooler/dense",
        "pooler.dense",
        "bert/pooler/dense",
        "pooled_dense",
        # The encoder's; and that of a head, which counts where both are there.
        ("_pooler_layer", "layer_with_weights-{L+4}", "next_sentence/dense", "classifier/dense"),
    ),
)

#: Weights of the heads; they stand beside the encoder, without its prefix.
HEADS: tuple[Row, ...] = (
    # Model Garden: `ClassificationHead`, `Classification`, and the bare layer over each token.
    *_head(
        "classifier/dense",
        "classifier",
        "",
        "logits",
        ("classifier/out_proj", "classifier/layer_with_weights-0", "classifier"),
        "classifier",
    ),
    # Of token classifiers, which no other format has; the first three are named as in pytorch-crf.
    *(
        Row(f"crf/{name}", "plain", f"crf.{name}", "", "", "", ())
        for name in ("transitions", "start_transitions", "end_transitions")
    ),
    *(
        Row(f"lstm/{way}_lstm/lstm_cell/{leaf}", "plain", f"lstm.{way}.{leaf}", "", "", "", ())
        for way in ("forward", "backward")
        for leaf in ("kernel", "recurrent_kernel", "bias")
    ),
    # Of models of long texts, which no other format has.
    *_dense("window_pooling/dense", "window_pooling.dense", ""),
    Row("window_pooling/score/kernel", "kernel", "window_pooling.score.weight", "", "", "", ()),
    *_head(
        "span/dense",
        "qa_outputs",
        "cls/squad/",
        "",
        ("span/layer_with_weights-0",),
        "qa_outputs",
    ),
    *_dense(
        "masked_lm/dense",
        "cls.predictions.transform.dense",
        "cls/predictions/transform/dense",
        "mlm_head/intermediate_dense",
        ("masked_lm/dense",),
        "mlm___cls/predictions/transform/dense",
    ),
    *_norm(
        "masked_lm/layer_norm",
        "cls.predictions.transform.LayerNorm",
        "cls/predictions/transform/LayerNorm",
        "mlm_head/intermediate_layer_norm",
        ("masked_lm/layer_norm",),
        "mlm___cls/predictions/transform/LayerNorm",
    ),
    Row(
        "masked_lm/bias",
        "plain",
        "cls.predictions.bias",
        "cls/predictions/output_bias",
        "mlm___cls/predictions/bias",
        "mlm_head/output_bias",
        ("masked_lm/output_bias.Sbias", "masked_lm/bias"),
    ),
    *_head(
        "next_sentence/dense",
        "cls.seq_relationship",
        "cls/seq_relationship/",
        "",
        ("next_sentence/out_proj", "next_sentence/layer_with_weights-0"),
        "nsp___cls/seq_relationship",
    ),
)


# The axes of attention weights where heads are kept apart; together D outputs of N heads are H.
_HEAD_AXES = {"query_kernel": "HND", "query_bias": "ND", "merge_kernel": "NDH"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a format lays weights out.

    Attributes:
        column: The field of `Row` with the format's names.
        transposed: The kinds of matrices that it stores [out, in].
        split_heads: Whether attention weights have an axis of heads.
    """

    column: str
    transposed: tuple[str, ...] = ()
    split_heads: bool = False

    def names(self, row: Row) -> tuple[str, ...]:
        """Gives the names that a weight may have; none where the format does not have it."""
        names = getattr(row, self.column)
        return names if isinstance(names, tuple) else (names,) if names else ()

    def to_ours(self, array: np.ndarray, row: Row, config: BertConfig) -> np.ndarray:
        """Turns an array of the format into ours; one of another size is left to be refused."""
        if row.kind in _HEAD_AXES:  # with heads apart or not, whichever way the file has it
            shape = (config.hidden_size,) * (1 if row.kind == "query_bias" else 2)
            array = array.reshape(shape) if array.size == math.prod(shape) else array
        return array.T if row.kind in self.transposed else array

    def from_ours(self, array: np.ndarray, row: Row, config: BertConfig) -> np.ndarray:
        """Turns an array of ours into the format's."""
        array = array.T if row.kind in self.transposed else array
        if self.split_heads and row.kind in _HEAD_AXES:
            heads = config.num_attention_heads
            sizes = {"H": config.hidden_size, "N": heads, "D": config.hidden_size // heads}
            array = array.reshape([sizes[axis] for axis in _HEAD_AXES[row.kind]])
        return array


_KERNELS = ("kernel", "head_kernel", "query_kernel", "merge_kernel")

HUGGINGFACE = Layout("huggingface", transposed=_KERNELS)
TF1 = Layout("tf1", transposed=("head_kernel",))
TF_TRANSFORMERS = Layout("tf_transformers")
KERAS_HUB = Layout("keras_hub", split_heads=True)
MODEL_GARDEN = Layout("model_garden", split_heads=True)


def rows(table: tuple[Row, ...], num_hidden_layers: int) -> Iterator[Row]:
    """Gives the rows of a table with `{i}` filled in for each layer."""

    def filled(name: str, index: int) -> str:
        name = name.replace("{i}", str(index)).replace("{i+4}", str(index + 4))
        return name.replace("{L+4}", str(num_hidden_layers + 4))

    for row in table:
        fields = dataclasses.asdict(row)
        for index in range(num_hidden_layers if "{i}" in row.path else 1):
            yield Row(
                **{
                    field: tuple(filled(name, index) for name in value)
                    if isinstance(value, tuple)
                    else filled(value, index)
                    for field, value in fields.items()
                }
            )


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
