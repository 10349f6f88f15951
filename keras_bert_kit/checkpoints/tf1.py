"""Google's layout: a TensorFlow 1 checkpoint, `bert_config.json` and `vocab.txt`."""

from __future__ import annotations

import dataclasses
import glob
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_bert_kit.checkpoints.checkpoint import Checkpoint, Weights, architecture_of
from keras_bert_kit.checkpoints.names import ENCODER, HEADS, TF1, rows
from keras_bert_kit.config import BertConfig, default_labels
from keras_bert_kit.tokenization.tokenizer import BertTokenizer
from keras_bert_kit.tokenization.vocabulary import write_vocabulary

CONFIG_FILE = "bert_config.json"
WEIGHTS_FILE = "bert_model.ckpt"

#: The key under which TensorFlow 2 saves how its objects hang together; TensorFlow 1 has none.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

# What google-research/bert calls its activations, and our names for what it computes: its "gelu" is
# the tanh form. Its layer normalisation has one epsilon, whatever the config says.
_ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu", "tanh": "tanh"}
_TO_GOOGLE = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "relu": "relu", "tanh": "tanh"}
_EPSILON = 1e-12

# What is saved beside the weights: the number of steps, and what Adam and LAMB keep of each weight.
_STEPS = "global_step"
_SLOTS = ("/adam_m", "/adam_v", "/lamb_m", "/lamb_v")

_CONFIG_KEYS = (
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)


class CheckpointFile(Mapping[str, np.ndarray]):
    """A folder's TensorFlow checkpoint, each tensor read when it is asked for.

    Args:
        folder: A folder with one checkpoint, or with several of which its file `checkpoint` names
            one.

    Attributes:
        shapes: The tensors' shapes by name.

    Raises:
        FileNotFoundError: A file of the checkpoint is missing.
        ValueError: There are several checkpoints, or a file is damaged.
    """

    def __init__(self, folder: Path):
        found = checkpoints_in(folder)
        if not found:
            names = ", ".join(path.name for path in sorted(folder.glob("*.ckpt*")))
            raise FileNotFoundError(
                f"{folder} must hold a TensorFlow checkpoint with its .index file. Found: "
                f"{names or 'none'}. A checkpoint in a single file is in TensorFlow's first "
                "format: save it anew with tf.compat.v1.train.Saver."
            )
        if len(found) > 1:
            raise ValueError(
                f"{folder} must hold one TensorFlow checkpoint, or name one in its file "
                f"`checkpoint`. Found: {', '.join(path.name for path in found)}. Move the others "
                "away."
            )
        self.prefix = found[0]
        self._check_data_files()
        self.shapes = {
            name: tuple(shape) for name, shape in self._read("get_variable_to_shape_map").items()
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self._read("get_tensor", name)

    def __contains__(self, name: object) -> bool:
        return name in self.shapes  # without reading it

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def _check_data_files(self):
        """Checks that the data files are all there; each one's name says how many there are."""
        number = "[0-9]" * 5
        pattern = f"{glob.escape(self.prefix.name)}.data-{number}-of-{number}"
        found = sorted(self.prefix.parent.glob(pattern))
        if not found or len(found) != int(found[0].name.rpartition("-")[2]):
            raise FileNotFoundError(
                f"{self.prefix}.index must have all its data files, {self.prefix.name}.data-... "
                f"Found: {', '.join(path.name for path in found) or 'none'}. Copy them there."
            )

    def _read(self, method: str, *names: str):
        """Calls a method of TensorFlow's reader; opened anew, so that no file is held open."""
        import tensorflow as tf

        try:
            return getattr(tf.train.load_checkpoint(str(self.prefix)), method)(*names)
        # TensorFlow gives each cause a Python error of its own, IndexError for a file cut off.
        except (tf.errors.OpError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.prefix} must be a whole TensorFlow checkpoint. "
                f"Received: {f'{names[0]}: ' if names else ''}{error}. Copy its files again."
            ) from error


def checkpoints_in(folder: Path) -> list[Path]:
    """Gives the TensorFlow checkpoints of a folder, without the endings of their files.

    Args:
        folder: The folder. Where its file `checkpoint` names one of several, that one counts.
    """
    found = sorted(path.with_suffix("") for path in folder.glob("*.index"))
    state = folder / "checkpoint"
    if len(found) > 1 and state.is_file():
        text = state.read_text(encoding="utf-8", errors="replace")
        newest = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
        named = [path for path in found if newest and path.name == Path(newest[1]).name]
        return named or found
    return found


def has_object_graph(checkpoint: Path) -> bool:
    """Tells whether a checkpoint is one of TensorFlow 2's objects.

    Args:
        checkpoint: The checkpoint, without the endings of its files.
    """
    return OBJECT_GRAPH.encode() in Path(f"{checkpoint}.index").read_bytes()


def read_config(path: Path) -> BertConfig:
    """Reads a config as google-research/bert understands it.

    Its "gelu" is the tanh form, and the epsilon of its layer normalisation is 1e-12.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not the config of a BERT, or of one with another activation.
    """
    config = BertConfig.from_file(path)
    if config.hidden_act not in _ACTIVATIONS:
        raise ValueError(
            f"hidden_act of {path} must be one that google-research/bert has: "
            f"{', '.join(_ACTIVATIONS)}. Received: hidden_act={config.hidden_act!r}"
        )
    return dataclasses.replace(
        config, hidden_act=_ACTIVATIONS[config.hidden_act], layer_norm_eps=_EPSILON
    )


def with_labels(config: BertConfig, weights: Weights) -> BertConfig:
    """Gives a config with as many labels as the classifier has; Google's configs name none.

    Args:
        config: The config.
        weights: The weights.
    """
    shape = weights.shape("classifier/dense/bias") if "classifier/dense/bias" in weights else ()
    if len(shape) != 1 or shape[0] in (0, config.num_labels):
        return config
    return dataclasses.replace(config, id2label=default_labels(shape[0]))


def read_tokenizer(folder: Path) -> BertTokenizer | None:
    """Reads the tokenizer of a folder; `None` where it has no vocabulary.

    Args:
        folder: The folder.
    """
    there = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt"))
    return BertTokenizer.from_pretrained(folder) if there else None


def matches(folder: Path) -> bool:
    """Tells whether a folder looks like one of google-research/bert."""
    if not (folder / CONFIG_FILE).is_file():
        return False
    found = checkpoints_in(folder)
    return not any(map(has_object_graph, found)) and bool(found or list(folder.glob("*.ckpt*")))


def read(folder: Path) -> Checkpoint:
    """Reads a checkpoint: a pretrained one, or one of a fine-tuning run.

    Args:
        folder: A folder with `bert_config.json`, a checkpoint and, if there is one, `vocab.txt`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, the model is not a BERT, or there are several checkpoints.
    """
    config = read_config(folder / CONFIG_FILE)
    file = CheckpointFile(folder)
    shapes = {
        name: shape
        for name, shape in file.shapes.items()
        if name != _STEPS and not name.endswith(_SLOTS)
    }
    weights = Weights(TF1, config, shapes, file.__getitem__)
    return Checkpoint(
        str(folder),
        with_labels(config, weights),
        weights,
        read_tokenizer(folder),
        architecture_of(weights),
    )


def write(folder: Path, checkpoint: Checkpoint):
    """Writes a checkpoint that google-research/bert computes the same with.

    The layout has no place for the names of labels, and none for a tokenizer's settings: there,
    they are arguments of the program.

    Args:
        folder: An existing folder.
        checkpoint: What to write.

    Raises:
        ValueError: google-research/bert computes otherwise, or a weight has no name there.
        OSError: The files cannot be written, for example for want of space.
    """
    import tensorflow as tf

    values = _config_values(checkpoint)
    tensors = _named_tensors(checkpoint)
    (folder / CONFIG_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    try:
        with tf.device("CPU:0"):
            tf.raw_ops.SaveV2(
                prefix=str(folder / WEIGHTS_FILE),
                tensor_names=list(tensors),
                shape_and_slices=[""] * len(tensors),
                tensors=[tf.constant(array) for array in tensors.values()],
            )
    except tf.errors.OpError as error:
        raise OSError(f"{folder / WEIGHTS_FILE} could not be written: {error}") from error
    if checkpoint.tokenizer is not None:
        write_vocabulary(folder / "vocab.txt", checkpoint.tokenizer.tokens)


def _named_tensors(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Gives the arrays by Google's names, in float32, the one type that its code has."""
    config, weights = checkpoint.config, checkpoint.weights
    table = {row.path: row for row in rows(ENCODER + HEADS, config.num_hidden_layers) if row.tf1}
    unknown = [path for path in weights if path not in table]
    if unknown:
        raise ValueError(
            f"Each weight must have a name in google-research/bert. Received: {', '.join(unknown)}"
        )
    return {
        table[path].tf1: TF1.from_ours(np.asarray(weights[path], "float32"), table[path], config)
        for path in weights
    }


def _config_values(checkpoint: Checkpoint) -> dict[str, object]:
    """Gives the content of `bert_config.json`, after a check that it says all that matters."""
    config = checkpoint.config
    must_be = {
        "hidden_act": tuple(_TO_GOOGLE),
        "layer_norm_eps": (_EPSILON,),
        "norm_first": (False,),
        "position_embedding_type": ("absolute",),
    }
    if any(path.startswith("masked_lm/") for path in checkpoint.weights):
        must_be["mlm_hidden_act"] = (None, config.hidden_act)
        must_be["mlm_layer_norm_eps"] = (None, config.layer_norm_eps)
    wrong = [
        f"{name}={getattr(config, name)!r}, must be {' or '.join(map(repr, allowed))}"
        for name, allowed in must_be.items()
        if getattr(config, name) not in allowed
    ]
    if wrong:
        raise ValueError(
            "google-research/bert must be able to compute the same model; the gelu that it "
            f"computes is the tanh form, 'gelu_new' here. Received: {'; '.join(wrong)}. To write "
            "the weights all the same, change the config on purpose, for example with "
            "hidden_act='gelu_new': the outputs are then no longer the same."
        )
    return {name: getattr(config, name) for name in _CONFIG_KEYS} | {
        "hidden_act": _TO_GOOGLE[config.hidden_act]
    }
