"""The configuration of a BERT model: the fields of its checkpoint's config file."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Activations by the name that config files use. "gelu" is the exact erf form, as in Hugging Face;
#: "gelu_new" and "gelu_pytorch_tanh" are the tanh form of google-research/bert.
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish", "tanh")

POSITION_EMBEDDING_TYPES = ("absolute", "sinusoidal")

POOLING_MODES = ("mean", "cls", "max")

WINDOW_POOLING_MODES = ("mean", "max", "attention")

PROBLEM_TYPES = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)

# Keys of other writers' files that do not change what the model computes.
_HARMLESS = frozenset(
    """
    _name_or_path _num_labels architectures attn_implementation backward_compatible bos_token_id
    directionality dtype eos_token_id language model_max_length model_type
    name_or_path num_labels output_attentions output_hidden_states output_past pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type return_dict
    sep_token_id task_specific_params tokenizer_class torch_dtype torchscript
    transformers_version use_cache
    """.split()  # noqa: SIM905, one name a line would be forty lines
)

# Keys that would change what the model computes, with the values under which they do not.
_ONLY_WHEN: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False, None),
    "chunk_size_feed_forward": (0, None),
    "cross_attention_hidden_size": (None,),
    "embedding_size": (None,),
    "is_decoder": (False, None),
    "is_encoder_decoder": (False, None),
    "position_embedding_type": (*POSITION_EMBEDDING_TYPES, None),
    "pruned_heads": ({}, None),
    "tie_word_embeddings": (True, None),
    "tie_encoder_decoder": (False, None),
}

# Relatives of BERT that compute otherwise.
_OTHERS = {
    "albert": "ALBERT",
    "camembert": "CamemBERT, a RoBERTa,",
    "deberta-v2": "DeBERTa",
    "distilbert": "DistilBERT",
    "electra": "ELECTRA",
    "mobilebert": "MobileBERT",
    "modernbert": "ModernBERT",
    "roberta": "RoBERTa",
    "xlm-roberta": "XLM-RoBERTa",
}

# What `model_type` says of a BERT with sinusoidal or pre-norm layers, or with a masked-LM head that
# is not like the encoder: not "bert", for transformers computes otherwise under that name.
_OWN_MODEL_TYPE = "keras-bert-kit"

# Fields that are left out of written files at these values, so that a plain BERT's file is plain.
_USUAL = {
    "position_embedding_type": "absolute",
    "norm_first": False,
    "gradient_checkpointing": False,
    "mlm_hidden_act": None,
    "mlm_layer_norm_eps": None,
    "window_pooling": None,
    "window_stride": None,
    "use_crf": False,
    "lstm_hidden_size": None,
    "finetuning_task": None,
}


# Those of them that transformers' BERT does not have.
_SHARED_FIELDS = ("gradient_checkpointing", "finetuning_task")
_OWN_FIELDS = tuple(name for name in _USUAL if name not in _SHARED_FIELDS)


@dataclasses.dataclass(frozen=True)
class PoolingConfig:
    """How a sentence's embedding is made of its tokens' hidden states.

    Args:
        mode: "mean" of the tokens, "cls" for the first one, or "max" in each dimension.
        normalize: Whether the embedding is scaled to length 1.

    Raises:
        ValueError: The mode is unknown.

    Reference:
        Reimers and Gurevych 2019, Sentence-BERT, section 3 (https://arxiv.org/abs/1908.10084).
    """

    mode: str = "mean"
    normalize: bool = False

    def __post_init__(self):
        _check_choice("mode", self.mode, POOLING_MODES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
    """What a BERT checkpoint says of itself, under the names of Hugging Face's `config.json`.

    Google's `bert_config.json` has the same names. The object is immutable and checked when it
    is made; `dataclasses.replace(config, ...)` gives a changed copy.

    Args:
        vocab_size: Rows of the token table.
        hidden_size: Width of the hidden states (H in the paper).
        num_hidden_layers: Transformer blocks (L).
        num_attention_heads: Attention heads (A); must divide `hidden_size`.
        intermediate_size: Width of the feed-forward layer.
        hidden_act: One of `ACTIVATIONS`.
        hidden_dropout_prob: Dropout rate after embeddings and sub-layers.
        attention_probs_dropout_prob: Dropout rate of the attention probabilities.
        max_position_embeddings: Rows of the position table, the longest sequence in tokens.
        type_vocab_size: Rows of the segment table.
        initializer_range: Standard deviation of the truncated normal initialiser.
        layer_norm_eps: Epsilon of every layer normalisation.
        pad_token_id: Id of the padding token.
        classifier_dropout: Dropout rate before a classifier; `None` means `hidden_dropout_prob`.
        id2label: Class names by index, for models with a classifier.
        problem_type: One of `PROBLEM_TYPES`, or `None` for single-label classification.
        position_embedding_type: "absolute" for a learned position table, as BERT has it, or
            "sinusoidal".
        norm_first: Whether the encoder is pre-norm; BERT is not.
        gradient_checkpointing: Whether training computes each block again in the backward pass, to
            need less memory.
        mlm_hidden_act: Activation of the masked-LM head; `None` means `hidden_act`. KerasHub's head
            runs the erf form of GELU over an encoder with the tanh form.
        mlm_layer_norm_eps: Epsilon of the masked-LM head; `None` means `layer_norm_eps`.
        window_pooling: Of a model of long texts, how one vector is made of those of its windows:
            "mean", "max" or "attention"; `None` means "mean".
        window_stride: Of such a model, how many tokens each window shares with the one before it.
        use_crf: Whether a token classifier has a conditional random field over its logits.
        lstm_hidden_size: Of a token classifier, units in each direction of an LSTM between the
            encoder and the classifier; `None` means that there is none.
        finetuning_task: Name of the task that the model was trained for, if known.

    Raises:
        ValueError: A field is out of its range.

    Reference:
        Devlin et al. 2018, BERT, section 3 (https://arxiv.org/abs/1810.04805).
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    classifier_dropout: float | None = None
    id2label: Mapping[int, str] = dataclasses.field(
        default_factory=lambda: {0: "LABEL_0", 1: "LABEL_1"}
    )
    problem_type: str | None = None
    position_embedding_type: str = "absolute"
    norm_first: bool = False
    gradient_checkpointing: bool = False
    mlm_hidden_act: str | None = None
    mlm_layer_norm_eps: float | None = None
    window_pooling: str | None = None
    window_stride: int | None = None
    use_crf: bool = False
    lstm_hidden_size: int | None = None
    finetuning_task: str | None = None

    def __post_init__(self):
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0. Received: {value!r}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                "hidden_size must be divisible by num_attention_heads. "
                f"Received: hidden_size={self.hidden_size}, "
                f"num_attention_heads={self.num_attention_heads}"
            )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if not (value is None and name == "classifier_dropout") and not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1. Received: {value!r}")
        for name in ("initializer_range", "layer_norm_eps", "mlm_layer_norm_eps"):
            value = getattr(self, name)
            if not (value is None and name == "mlm_layer_norm_eps") and not 0 < value < math.inf:
                raise ValueError(f"{name} must be finite and above 0. Received: {value!r}")
        _check_choice("hidden_act", self.hidden_act, ACTIVATIONS)
        _check_choice("mlm_hidden_act", self.mlm_hidden_act, (*ACTIVATIONS, None))
        _check_choice("problem_type", self.problem_type, (*PROBLEM_TYPES, None))
        _check_choice(
            "position_embedding_type", self.position_embedding_type, POSITION_EMBEDDING_TYPES
        )
        _check_choice("window_pooling", self.window_pooling, (*WINDOW_POOLING_MODES, None))
        stride = self.window_stride
        if stride is not None and (type(stride) is not int or stride < 0):
            raise ValueError(
                f"window_stride must be a whole number from 0 on, or None. Received: {stride!r}"
            )
        units = self.lstm_hidden_size
        if units is not None and (type(units) is not int or units < 1):
            raise ValueError(
                f"lstm_hidden_size must be a whole number above 0, or None. Received: {units!r}"
            )
        if not isinstance(self.finetuning_task, str | None):
            raise ValueError(
                f"finetuning_task must be a name, or None. Received: {self.finetuning_task!r}"
            )
        for name in ("norm_first", "gradient_checkpointing", "use_crf"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False. Received: {getattr(self, name)!r}")
        labels = {int(index): str(name) for index, name in dict(self.id2label).items()}
        if sorted(labels) != list(range(len(labels))) or not labels:
            raise ValueError(
                f"id2label must number its labels 0, 1, 2, ... Received: {dict(self.id2label)!r}"
            )
        if len(set(labels.values())) < len(labels):
            raise ValueError(f"Each label must have a name of its own. Received: {labels!r}")
        object.__setattr__(self, "id2label", dict(sorted(labels.items())))

    @property
    def model_type(self) -> str:
        """What the config file calls the model; "bert" where transformers' BERT is the same."""
        own = [name for name in _OWN_FIELDS if getattr(self, name) != _USUAL[name]]
        return _OWN_MODEL_TYPE if own else "bert"

    @property
    def head_dropout(self) -> float:
        """Dropout rate before a classifier."""
        unset = self.classifier_dropout is None
        return self.hidden_dropout_prob if unset else self.classifier_dropout

    @property
    def num_labels(self) -> int:
        """Number of classes of the classifier."""
        return len(self.id2label)

    @property
    def label_names(self) -> list[str]:
        """Class names in the order of the logits."""
        return list(self.id2label.values())

    @property
    def label2id(self) -> dict[str, int]:
        """Class indices by name."""
        return {name: index for index, name in self.id2label.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BertConfig:
        """Makes a config from the content of a config file.

        Args:
            values: The file's keys and values. Keys known not to change the maths are passed over.

        Raises:
            ValueError: `values` describes another kind of model, or holds a key that changes what
                the model computes and that is not honoured here.
        """
        values = dict(values)
        for key, usual in _USUAL.items():
            if values.get(key) is None:
                values[key] = usual
        model_type = values.get("model_type")
        if model_type not in ("bert", _OWN_MODEL_TYPE, None):
            raise ValueError(
                f"The model must be a BERT. Received: model_type={model_type!r}. "
                f"{_OTHERS.get(model_type, 'Another architecture')} is not loaded, so that nothing "
                "is loaded half."
            )
        fields = {field.name for field in dataclasses.fields(cls)}
        known = (fields | _HARMLESS | {"label2id"}) - _ONLY_WHEN.keys()
        refused = sorted(
            f"{key}={value!r}"
            for key, value in values.items()
            if key not in known and not _is_neutral(key, value)
        )
        if refused:
            raise ValueError(
                "Every key that changes what the model computes must be implemented. "
                f"Received: {', '.join(refused)}. Use a checkpoint of plain BERT."
            )
        if values.get("id2label") is None:
            values["id2label"] = default_labels(values.get("num_labels") or 2)
        config = cls(**{key: value for key, value in values.items() if key in fields})
        if model_type == "bert" and config.model_type != "bert":
            received = ", ".join(f"{name}={getattr(config, name)!r}" for name in _OWN_FIELDS)
            raise ValueError(
                f"What transformers' BERT does not have must stand in a config of "
                f"model_type={_OWN_MODEL_TYPE!r}: {', '.join(_OWN_FIELDS)}. "
                f"Received: model_type={model_type!r}, {received}"
            )
        return config

    @classmethod
    def from_file(cls, path: str | Path) -> BertConfig:
        """Reads `config.json` (Hugging Face) or `bert_config.json` (Google).

        Args:
            path: The file.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is not JSON, or not the config of a BERT.
        """
        path = Path(path)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} must be a JSON file. Received: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{path} must hold a JSON object. Received: {type(values).__name__}")
        if "model_type" not in values and "hidden_size" not in values:
            raise ValueError(
                f"{path} must be the config of a BERT, with hidden_size. "
                f"Received keys: {', '.join(sorted(values)) or 'none'}"
            )
        try:
            return cls.from_dict(values)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Gives the content of Hugging Face's `config.json`, without `architectures`.

        The fields from `position_embedding_type` on are in it where they are not what BERT usually
        has.
        """
        values = dataclasses.asdict(self)
        values["id2label"] = {str(index): name for index, name in self.id2label.items()}
        values = {k: v for k, v in values.items() if k not in _USUAL or v != _USUAL[k]}
        return {"model_type": self.model_type, **values, "label2id": self.label2id}


def default_labels(num_labels: int) -> dict[int, str]:
    """Names that Hugging Face gives to unnamed classes: LABEL_0, LABEL_1, ..."""
    if not isinstance(num_labels, int) or num_labels < 1:
        raise ValueError(f"num_labels must be a whole number above 0. Received: {num_labels!r}")
    return {index: f"LABEL_{index}" for index in range(num_labels)}


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]):
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}. Got: {value!r}")


def _is_neutral(key: str, value: Any) -> bool:
    return value in _ONLY_WHEN.get(key, ())
