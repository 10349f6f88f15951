"""What every model of the kit shares: a config, a tokenizer, and the way in and out of folders."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_bert_kit.checkpoints import Checkpoint, load_checkpoint, write_checkpoint
from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.checkpoints.matching import LoadingReport
from keras_bert_kit.checkpoints.names import weight_path
from keras_bert_kit.config import BertConfig, default_labels
from keras_bert_kit.models.loading import assign, made_with_weights
from keras_bert_kit.models.outputs import ModelOutput
from keras_bert_kit.models.trainer import ReplicaTraining
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

logger = logging.getLogger("keras_bert_kit")


class PretrainedModel(ReplicaTraining, keras.Model):
    """Base of the models: made from a `BertConfig`, built at once, saved with their tokenizer.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Attributes:
        loading_report: What `from_pretrained` left new or unused; `None` for a new model.
        lora: The arguments of `enable_lora`, once it was called.
    """

    #: Prefixes of weight paths that a checkpoint may lack; they then start at random.
    heads: tuple[str, ...] = ("pooler/",)

    #: Arguments of the class, beside config and tokenizer, that `from_pretrained` passes on.
    options: tuple[str, ...] = ()

    def __init__(self, config: BertConfig, tokenizer: BertTokenizer | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.config = config
        self.tokenizer = tokenizer
        self.loading_report: LoadingReport | None = None
        self.lora: dict[str, Any] | None = None

    def __call__(self, *args, **kwargs):
        """Computes; see the class."""
        outputs = super().__call__(*args, **kwargs)
        symbolic = any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten(outputs))
        return outputs if symbolic else ModelOutput(outputs)

    @classmethod
    def from_pretrained(
        cls,
        source: Any,
        *,
        num_labels: int | None = None,
        id2label: Mapping[int, str] | Sequence[str] | None = None,
        new_head: bool | None = None,
        dtype: Any = None,
        **changes: Any,
    ):
        """Makes a model with the weights and the tokenizer of a checkpoint.

        Args:
            source: A local folder, `hf://owner/name`, `kaggle://...`, `package://name`, a model of
                keras-nlp, or a `Checkpoint`; see `load_checkpoint`.
            num_labels: Number of classes of a new classifier; their names are LABEL_0, LABEL_1...
            id2label: The names of the classes, in order or by index; instead of `num_labels`.
            new_head: `None` starts a head that the checkpoint lacks at random, and says so;
                `True` does so also with one of another shape; `False` wants the head to be there.
            dtype: Keras dtype policy, such as "mixed_bfloat16"; `None` takes the global one.
            **changes: Fields of the config that replace the checkpoint's, and the class' own
                arguments.

        Raises:
            FileNotFoundError: The checkpoint, or a file of it, is missing.
            ValueError: A file is damaged, the model is not a BERT, or the weights do not fill it:
                everything missing, unexpected or wrongly shaped in one error.
        """
        if num_labels is not None and id2label is not None and len(id2label) != num_labels:
            raise ValueError(
                "num_labels must be the number of labels in id2label; one of the two is enough. "
                f"Received: num_labels={num_labels}, id2label={id2label!r}"
            )
        checkpoint = load_checkpoint(source)
        if id2label is not None:
            named = id2label if isinstance(id2label, Mapping) else dict(enumerate(id2label))
            changes["id2label"] = named
        elif num_labels is not None and num_labels != checkpoint.config.num_labels:
            changes["id2label"] = default_labels(num_labels)
        options = {"pooling": checkpoint.pooling, **changes}
        options = {name: options[name] for name in cls.options if name in options}
        fields = {name: value for name, value in changes.items() if name not in options}
        config = dataclasses.replace(checkpoint.config, **fields)
        model, report = made_with_weights(
            lambda: cls(config, tokenizer=checkpoint.tokenizer, dtype=dtype, **options),
            checkpoint,
            new_head,
        )
        model.loading_report = report
        if report.new:
            logger.warning("%s from %s: %s", cls.__name__, checkpoint.source, report)
        return model

    def save_pretrained(self, path: str | Path, overwrite: bool = False):
        """Writes a folder in Hugging Face's layout, tokenizer included.

        The folder appears whole or not at all.

        Args:
            path: The folder to make.
            overwrite: Whether it may replace one that is there.

        Raises:
            FileExistsError: The folder exists, and `overwrite` is false.
            OSError: The files cannot be written, for example for want of space.
        """
        with replaced_folder(path, overwrite) as folder:
            self.write_files(folder)

    def write_files(self, folder: Path):
        """Writes config, weights and tokenizer into an existing folder; LoRA is merged in.

        Args:
            folder: The folder.

        Raises:
            ValueError: The model is quantized.
            OSError: The files cannot be written, for example for want of space.
        """
        write_checkpoint(folder, self.to_checkpoint())

    def to_checkpoint(self) -> Checkpoint:
        """Gives config, weights and tokenizer, free of the model; LoRA is merged in.

        Raises:
            ValueError: The model is quantized.
        """
        self._check_not_quantized()
        weights = {path: np.asarray(v.value) for path, v in self.weights_by_path().items()}
        for layer in self._flatten_layers():
            if getattr(layer, "lora_enabled", False):
                weights[weight_path(layer.variables[0].path, self.path)] = np.asarray(layer.kernel)
        return Checkpoint(
            source=self.name,
            config=self.config,
            weights=weights,
            tokenizer=self.tokenizer,
            architecture=type(self).__name__,
            pooling=getattr(self, "pooling", None),
        )

    @property
    def max_length(self) -> int:
        """The longest sequence, in tokens, that the model is meant for.

        The tokenizer's `model_max_length` where it has one, but no more than the position table.
        """
        limit = self.config.max_position_embeddings
        known = self.tokenizer and self.tokenizer.model_max_length
        return min(known or limit, limit)

    def check_length(self, max_length: int):
        """Checks that the model takes sequences of a length.

        Args:
            max_length: Longest sequence in tokens, specials included.

        Raises:
            ValueError: It is more than the position table holds.
        """
        limit = self.config.max_position_embeddings
        if max_length > limit:
            raise ValueError(
                f"max_length must be at most {limit}, the longest sequence that the model takes. "
                f"Received: max_length={max_length}"
            )

    def weights_by_path(self) -> dict[str, keras.Variable]:
        """Gives the model's weights, but for LoRA's, by the path that the table of names uses."""
        weights = (v for v in self.weights if not v.name.startswith("lora_"))
        return {weight_path(v.path, self.path): v for v in weights}

    def enable_lora(
        self,
        rank: int,
        alpha: float | None = None,
        targets: Sequence[str] = ("query", "value"),
    ):
        """Freezes the encoder and adds small trainable matrices to its attention; heads train on.

        To be called once, before `compile`. `save_pretrained` merges them into the weights.

        Args:
            rank: Rank of the added matrices' product.
            alpha: It is scaled by `alpha / rank`; `None` means `rank`.
            targets: Which of "query", "key", "value" and "output_dense" get them.

        Raises:
            ValueError: A target is none of these.

        Reference:
            Hu et al. 2021, LoRA (https://arxiv.org/abs/2106.09685).
        """
        known = ("query", "key", "value", "output_dense")
        if not targets or set(targets) - set(known):
            raise ValueError(
                f"targets must be some of {', '.join(known)}. Received: targets={targets!r}"
            )
        bert = getattr(self, "bert", self)
        for variable in bert.trainable_variables:
            variable.trainable = False
        for block in bert.encoder.blocks:
            for target in targets:
                getattr(block.attention, target).enable_lora(rank, lora_alpha=alpha)
        self.lora = {"rank": rank, "alpha": alpha, "targets": list(targets)}

    def assign_weights(
        self,
        weights: Mapping[str, np.ndarray],
        source: str = "weights",
        new_head: bool | None = None,
    ) -> LoadingReport:
        """Sets the model's weights.

        Args:
            weights: Arrays by the path that the table of names uses.
            source: Where they come from, for the error.
            new_head: As in `from_pretrained`.

        Raises:
            ValueError: The weights do not fill the model. Where the cause is that some are not
                finite, the others are set.
        """
        return assign(self, weights, source, new_head)

    def save(self, filepath, *args, **kwargs):
        """Writes a `.keras` file, as `keras.Model.save` does.

        Args:
            filepath: The file.
            *args: Of `keras.Model.save`.
            **kwargs: Of `keras.Model.save`.

        Raises:
            ValueError: The model is quantized.
        """
        self._check_not_quantized()
        super().save(filepath, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Gives what `.keras` files keep of the model."""
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "config": self.config.to_dict(),
            "lora": self.lora and dict(self.lora),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None):
        """Makes a model from what `get_config` gave."""
        values = dict(config)
        policy = keras.saving.deserialize_keras_object(values.pop("dtype"))
        lora = values.pop("lora", None)
        model = cls(BertConfig.from_dict(values.pop("config")), dtype=policy, **values)
        if lora:
            model.enable_lora(**lora)
        return model

    def _check_not_quantized(self):
        if any(getattr(layer, "quantization_mode", None) for layer in self._flatten_layers()):
            raise ValueError(
                "A quantized model cannot be saved as weights. Save it before "
                "model.quantize(...), and quantize what is loaded; export.saved_model takes both."
            )

    def save_assets(self, dir_path: str):
        """Lets `.keras` files carry the tokenizer."""
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(dir_path)

    def load_assets(self, dir_path: str | None):
        """Reads the tokenizer out of a `.keras` file, if it carries one."""
        if dir_path is not None and (Path(dir_path) / "vocab.txt").is_file():
            self.tokenizer = BertTokenizer.from_pretrained(dir_path)


def unpack_inputs(input_ids, **others) -> tuple:
    """Gives the inputs of a model that was called with a dict or with arguments.

    Args:
        input_ids: The first input, or a dict of inputs by name.
        **others: The other inputs that the model takes, as they were given.

    Returns:
        The inputs, in the order of the arguments.

    Raises:
        ValueError: The dict lacks `input_ids` or holds a name that is no input.
    """
    if not isinstance(input_ids, Mapping):
        return input_ids, *others.values()
    unknown = [name for name in input_ids if name not in ("input_ids", *others)]
    if unknown or "input_ids" not in input_ids:
        raise ValueError(
            f"The inputs must be input_ids and, if wanted, {' and '.join(others)}. "
            f"Received: {', '.join(map(str, input_ids)) or 'nothing'}"
        )
    return input_ids["input_ids"], *(input_ids.get(name, others[name]) for name in others)
