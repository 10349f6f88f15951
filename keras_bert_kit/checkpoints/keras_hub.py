"""KerasHub's layout: preset folders, handles of Kaggle, and the models of keras-nlp themselves.

A preset holds a backbone and at most one task, which gives it a head. keras-nlp reads and writes
it; here its models are turned into a checkpoint, and a checkpoint into them.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers

from keras_bert_kit.checkpoints.checkpoint import Checkpoint, Weights
from keras_bert_kit.checkpoints.matching import match
from keras_bert_kit.checkpoints.names import ENCODER, HEADS, KERAS_HUB, Row, rows
from keras_bert_kit.config import BertConfig, PoolingConfig, default_labels
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

logger = logging.getLogger("keras_bert_kit")

# The models of keras-nlp, and ours that have the same heads.
_ARCHITECTURES = {
    "BertBackbone": "BertModel",
    "BertMaskedLM": "BertForMaskedLM",
    "BertTextClassifier": "BertForSequenceClassification",
    "BertTextEmbedder": "BertSentenceEncoder",
}

# What a `BertBackbone` computes with, whatever it is given, and what a `BertMaskedLM` adds to it.
_TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
_EPSILON = 1e-12
_MLM_ACTIVATION, _MLM_EPSILON = "gelu", 1e-5

# Our names of the activations that Keras' functions of these names compute.
_ACTIVATIONS = {"gelu_approximate": "gelu_new"} | {n: n for n in ("gelu", "relu", "silu", "tanh")}


def matches(folder: Path) -> bool:
    """Tells whether a folder looks like a preset."""
    weights = ("model.weights.h5", "model.weights.json")
    return (folder / "metadata.json").is_file() and any((folder / n).is_file() for n in weights)


def is_live(model: Any) -> bool:
    """Tells whether an object is a model of keras-nlp; keras-nlp is not loaded for it."""
    names = [c.__name__ for c in type(model).__mro__ if c.__module__.startswith("keras_hub.")]
    return "Backbone" in names or "Task" in names


def read(source: str | Path) -> Checkpoint:
    """Reads a preset, with the head of its task if it has one.

    Args:
        source: A preset folder, or a handle such as
            `kaggle://keras/bert/keras/bert_tiny_en_uncased`.

    Raises:
        FileNotFoundError: The handle cannot be fetched.
        ValueError: A file is damaged, or the preset is not that of a BERT.
    """
    folder = _fetched(str(source))
    name = _model_name(folder)
    for path in sorted(folder.glob("*.weights.h5")):
        _check_whole(path)
    import keras_nlp  # heavy, and only wanted here

    try:
        model = getattr(keras_nlp.models, name).from_preset(str(folder))
        tokenizer = _tokenizer_layer(model)
        if tokenizer is None and (folder / "tokenizer.json").is_file():
            tokenizer = keras_nlp.models.BertTokenizer.from_preset(str(folder))
    except Exception as error:  # damaged files lead to errors of many kinds
        raise ValueError(
            f"{source} must be a preset that keras-nlp loads as {name}. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    return _checkpoint(str(source), model, tokenizer)


def read_model(model: Any) -> Checkpoint:
    """Reads a model of keras-nlp.

    Args:
        model: A `BertBackbone`, `BertMaskedLM`, `BertTextClassifier` or `BertTextEmbedder`; the
            tokenizer is that of its preprocessor.

    Raises:
        ValueError: It is another model, or computes what the kit's models do not.
    """
    return _checkpoint(_class_name(model), model, _tokenizer_layer(model))


def to_backbone(checkpoint: Checkpoint, dtype: Any = None):
    """Makes a `keras_nlp.models.BertBackbone` with the encoder's weights.

    Args:
        checkpoint: The checkpoint.
        dtype: Keras dtype policy; `None` takes the global one.

    Raises:
        ValueError: KerasHub's backbone cannot compute what the config says, or weights are
            missing or do not fit.
    """
    backbone = _new_backbone(checkpoint.config, dtype)
    _assign(backbone, checkpoint)
    return backbone


def write(folder: Path, checkpoint: Checkpoint):
    """Writes a preset, with a task where KerasHub has one that computes the same.

    What has no place in it is left out and named in a warning of the log.

    Args:
        folder: An existing folder.
        checkpoint: What to write.

    Raises:
        ValueError: KerasHub's backbone cannot compute what the config says, or weights are
            missing or do not fit.
    """
    model = _new_model(checkpoint)
    left_out = [*_assign(model, checkpoint), *_settings_left_out(model, checkpoint)]
    tokenizer = _new_tokenizer(checkpoint)
    model.save_to_preset(str(folder))
    if tokenizer is not None and _tokenizer_layer(model) is None:
        tokenizer.save_to_preset(str(folder))
    if left_out:
        logger.warning(
            "%s as a preset of KerasHub: left out, for it has no place for them: %s",
            checkpoint.source,
            ", ".join(left_out),
        )


# From KerasHub


def _fetched(source: str) -> Path:
    """Gives the folder of a preset, fetched first if it is on Kaggle."""
    if not source.startswith("kaggle://"):
        return Path(source)
    import kagglehub  # the client that keras-nlp fetches with

    try:
        return Path(kagglehub.model_download(source.removeprefix("kaggle://")))
    except Exception as error:  # the client raises errors of several libraries
        raise FileNotFoundError(
            f"{source} could not be fetched from Kaggle: "
            f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        ) from error


def _model_name(folder: Path) -> str:
    """Gives the class that a preset is loaded as: that of its task, or else the backbone."""
    backbone = _saved_class(folder / "config.json")
    if backbone != "BertBackbone":
        raise ValueError(f"{folder} must be the preset of a BertBackbone. Received: {backbone!r}")
    if not (folder / "task.json").is_file():
        return backbone
    task = _saved_class(folder / "task.json")
    if task not in _ARCHITECTURES:
        raise ValueError(
            f"{folder} must be the preset of a backbone or of a task that is known: "
            f"{', '.join(_ARCHITECTURES)}. Received: {task!r}. "
            "Without task.json, its backbone is read by itself."
        )
    return task


def _saved_class(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("class_name")
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} must be a JSON file with the class_name of a Keras object. Received: {error}"
        ) from error


def _check_whole(path: Path):
    import h5py  # Keras writes such files with it

    try:
        h5py.File(path).close()
    except OSError as error:
        raise ValueError(
            f"{path} must be a whole HDF5 file. Received: {error}. Copy it again."
        ) from error


def _class_name(model: Any) -> str:
    """Gives the class of a model, or of keras-nlp's class that it was derived from."""
    names = [c.__name__ for c in type(model).__mro__]
    name = next((n for n in names if n in _ARCHITECTURES), None)
    if name is None:
        raise ValueError(
            f"A model of keras-nlp must be one of {', '.join(_ARCHITECTURES)}. Received: {names[0]}"
        )
    return name


def _tokenizer_layer(model: Any) -> Any:
    return getattr(getattr(model, "preprocessor", None), "tokenizer", None)


def _checkpoint(source: str, model: Any, tokenizer: Any) -> Checkpoint:
    name = _class_name(model)
    config = _config(name, model)
    variables = _variables(model, config)
    length = getattr(getattr(model, "preprocessor", None), "sequence_length", None)
    pooling = None
    if name == "BertTextEmbedder":
        pooling = PoolingConfig(model.pooling_mode, model.normalize)
    return Checkpoint(
        source,
        config,
        Weights(
            KERAS_HUB,
            config,
            {name: tuple(variable.shape) for name, variable in variables.items()},
            lambda name: np.asarray(variables[name].value),
        ),
        tokenizer and _tokenizer(tokenizer, config, length),
        _ARCHITECTURES[name],
        pooling,
    )


def _config(name: str, model: Any) -> BertConfig:
    values = (model if name == "BertBackbone" else model.backbone).get_config()
    more: dict[str, Any] = {}
    if name == "BertMaskedLM":
        head = model.masked_lm_head
        _check_linear("The masked-LM head", head.activation)
        activation = head.intermediate_activation.__name__
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"The masked-LM head must have one of the activations "
                f"{', '.join(_ACTIVATIONS)}. Received: {activation!r}"
            )
        more["mlm_hidden_act"] = _ACTIVATIONS[activation]
        more["mlm_layer_norm_eps"] = head.layer_norm_epsilon
    if name == "BertTextClassifier":
        _check_linear("The classifier", model.output_dense.activation)
        more["classifier_dropout"] = model.dropout
        more["id2label"] = default_labels(model.num_classes)
    return BertConfig(
        vocab_size=values["vocabulary_size"],
        hidden_size=values["hidden_dim"],
        num_hidden_layers=values["num_layers"],
        num_attention_heads=values["num_heads"],
        intermediate_size=values["intermediate_dim"],
        hidden_act=_TANH_GELU[0],
        hidden_dropout_prob=values["dropout"],
        attention_probs_dropout_prob=values["dropout"],
        max_position_embeddings=values["max_sequence_length"],
        type_vocab_size=values["num_segments"],
        layer_norm_eps=_EPSILON,
        **more,
    )


def _check_linear(what: str, activation: Any):
    if activation is not None and activation.__name__ != "linear":
        raise ValueError(
            f"{what} of keras-nlp must give logits, as activation=None does. "
            f"Received: activation={activation.__name__!r}"
        )


def _table(config: BertConfig) -> dict[str, Row]:
    table = rows(ENCODER + HEADS, config.num_hidden_layers)
    return {row.keras_hub: row for row in table if row.keras_hub}


def _variables(model: Any, config: BertConfig) -> dict[str, Any]:
    """Gives a model's weights by the name in our table, or by their own where it is not there."""
    table = _table(config)

    def name_of(path: str) -> str:  # the name scope that the model was made in is left away
        parts = path.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((end for end in ends if end in table), path)

    return {name_of(v.path): v for v in model.variables if v.name != "seed_generator_state"}


def _tokenizer(layer: Any, config: BertConfig, length: int | None) -> BertTokenizer:
    for name, value in {"split": True, "suffix_indicator": "##", "oov_token": "[UNK]"}.items():
        if getattr(layer, name) != value:
            raise ValueError(
                f"The tokenizer of keras-nlp must have {name}={value!r}. "
                f"Received: {getattr(layer, name)!r}"
            )
    tokens = layer.get_vocabulary()
    # KerasHub leaves accents on by default, where BERT takes them off with lower-casing. To a
    # vocabulary that was learned without accents, as Google's were, each such word is unknown.
    as_bert = not layer.strip_accents and not _has_accents(tokens)
    return BertTokenizer(
        tokens,
        do_lower_case=layer.lowercase,
        strip_accents=None if as_bert else layer.strip_accents,
        tokenize_chinese_chars=layer.split_on_cjk,
        model_max_length=min(
            length or config.max_position_embeddings, config.max_position_embeddings
        ),
    )


def _has_accents(tokens: list[str]) -> bool:
    strip = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    ).normalize_str
    return any(strip(token) != token for token in tokens)


# To KerasHub


def _new_backbone(config: BertConfig, dtype: Any):
    problems = {
        "hidden_act": config.hidden_act not in _TANH_GELU,
        "layer_norm_eps": config.layer_norm_eps != _EPSILON,
        "position_embedding_type": config.position_embedding_type != "absolute",
        "norm_first": config.norm_first,
    }
    received = [f"{name}={getattr(config, name)!r}" for name, wrong in problems.items() if wrong]
    if received:
        raise ValueError(
            "KerasHub's BertBackbone computes the tanh form of GELU (hidden_act='gelu_new'), "
            f"layer_norm_eps={_EPSILON}, learned positions and post-norm layers, and nothing else. "
            f"Received: {', '.join(received)}. Change the config on purpose, for example to "
            "hidden_act='gelu_new', to accept that the outputs will be others."
        )
    import keras_nlp  # heavy, and only wanted here

    return keras_nlp.models.BertBackbone(
        vocabulary_size=config.vocab_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        hidden_dim=config.hidden_size,
        intermediate_dim=config.intermediate_size,
        dropout=config.hidden_dropout_prob,
        max_sequence_length=config.max_position_embeddings,
        num_segments=config.type_vocab_size,
        dtype=dtype,
    )


def _new_model(checkpoint: Checkpoint):
    """Makes the task that computes the same as the checkpoint's model, or else a backbone."""
    config, weights = checkpoint.config, checkpoint.weights
    backbone = _new_backbone(config, "float32")
    from keras_nlp import models

    layer = _new_tokenizer(checkpoint)
    limit = config.max_position_embeddings
    length = min((checkpoint.tokenizer and checkpoint.tokenizer.model_max_length) or limit, limit)

    def task(name: str, **kwargs: Any):
        preprocessor = getattr(models, f"{name}Preprocessor")
        inputs = layer and preprocessor(layer, sequence_length=length)
        return getattr(models, name)(backbone, preprocessor=inputs, **kwargs)

    if checkpoint.pooling is not None:
        pooling = checkpoint.pooling
        return task("BertTextEmbedder", pooling_mode=pooling.mode, normalize=pooling.normalize)
    if checkpoint.architecture == "BertForSequenceClassification":
        dropout = config.classifier_dropout
        return task(
            "BertTextClassifier",
            num_classes=config.num_labels,
            dropout=config.hidden_dropout_prob if dropout is None else dropout,
        )
    if "masked_lm/bias" in weights and (
        config.mlm_hidden_act or config.hidden_act,
        config.mlm_layer_norm_eps or config.layer_norm_eps,
    ) == (_MLM_ACTIVATION, _MLM_EPSILON):
        return task("BertMaskedLM")
    return backbone


def _assign(model: Any, checkpoint: Checkpoint) -> list[str]:
    """Sets a model's weights, and gives the paths of those that it has no place for."""
    config, table = checkpoint.config, _table(checkpoint.config)
    variables = _variables(model, config)
    if "pooler/dense/kernel" not in checkpoint.weights:
        raise ValueError(
            f"KerasHub's BertBackbone has a pooler, so the checkpoint must hold one. "
            f"{checkpoint.source} lacks pooler/dense. Take it from the checkpoint that this one "
            "was trained from."
        )
    sizes = {name: tuple(variable.shape) for name, variable in variables.items()}
    wanted = Weights(KERAS_HUB, config, sizes, variables.__getitem__)
    shapes = {path: wanted.shape(path) for path in wanted}
    report = match(checkpoint.source, shapes, checkpoint.weights, heads=())
    for name, variable in variables.items():
        array = np.asarray(checkpoint.weights[table[name].path], "float32")
        variable.assign(KERAS_HUB.from_ours(array, table[name], config))
    return list(report.unused)


def _settings_left_out(model: Any, checkpoint: Checkpoint) -> list[str]:
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    left_out = []
    if config.attention_probs_dropout_prob != config.hidden_dropout_prob:
        left_out.append(f"attention_probs_dropout_prob={config.attention_probs_dropout_prob}")
    if _class_name(model) == "BertTextClassifier" and (
        config.id2label != default_labels(config.num_labels)
    ):
        left_out.append(f"id2label={config.id2label}")
    if tokenizer is not None and not tokenizer.tokenize_chinese_chars:
        left_out.append("tokenize_chinese_chars=False")  # keras-nlp's file does not keep it
    return left_out


def _new_tokenizer(checkpoint: Checkpoint):
    tokenizer = checkpoint.tokenizer
    if tokenizer is None:
        return None
    from keras_nlp.models import BertTokenizer as Layer

    # Its ids are ours but for a few letters: it folds the case of ß into ss, which is kept here.
    strip = tokenizer.strip_accents
    return Layer(
        vocabulary=tokenizer.tokens,
        lowercase=tokenizer.do_lower_case,
        strip_accents=tokenizer.do_lower_case if strip is None else strip,
        split_on_cjk=tokenizer.tokenize_chinese_chars,
    )
