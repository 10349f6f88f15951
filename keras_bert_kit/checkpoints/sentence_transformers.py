"""sentence-transformers' layout: Hugging Face's files, and beside them how embeddings are made."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

from keras_bert_kit.checkpoints import huggingface
from keras_bert_kit.checkpoints.checkpoint import Checkpoint
from keras_bert_kit.checkpoints.names import ENCODER, rows
from keras_bert_kit.config import POOLING_MODES, BertConfig, PoolingConfig
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

logger = logging.getLogger("keras_bert_kit")

MODULES_FILE = "modules.json"
POOLING_FOLDER = "1_Pooling"
TRANSFORMER_FILE = "sentence_bert_config.json"
PROMPTS_FILE = "config_sentence_transformers.json"

# The modules of a sentence encoder in their order, by the last part of their type; the last one
# may be missing. All versions know this spelling of the types.
_MODULES = ("Transformer", "Pooling", "Normalize")
_TYPE = "sentence_transformers.models.{}"

# Our names of the modes, and those of old files, where each is a switch.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_WRITTEN_SWITCHES = tuple(_SWITCHES)[:4]  # which the first versions know, too


def matches(folder: Path) -> bool:
    """Tells whether a folder looks like one of sentence-transformers'."""
    return (folder / MODULES_FILE).is_file()


def read(folder: Path) -> Checkpoint:
    """Reads a sentence encoder.

    Args:
        folder: A folder with `modules.json`, and what it names.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, or a module computes what the kit does not.
    """
    transformer, pooling, normalize = _module_folders(folder)
    checkpoint = huggingface.read(transformer)
    settings = _settings(transformer / TRANSFORMER_FILE)
    prompt = _default_prompt(folder / PROMPTS_FILE)
    if prompt:
        logger.warning(
            "%s: sentence-transformers puts %r before each text; here, the texts must bring it.",
            folder,
            prompt,
        )
    return dataclasses.replace(
        checkpoint,
        source=str(folder),
        tokenizer=checkpoint.tokenizer
        and _with_settings(checkpoint.tokenizer, checkpoint.config, settings),
        architecture="BertSentenceEncoder",
        pooling=PoolingConfig(_mode(pooling / "config.json"), normalize),
    )


def write(folder: Path, checkpoint: Checkpoint):
    """Writes a sentence encoder.

    Args:
        folder: An existing folder.
        checkpoint: What to write; heads are left out and named in a warning of the log.

    Raises:
        ValueError: The checkpoint does not say how tokens are pooled.
        OSError: The files cannot be written, for example for want of space.
    """
    pooling, config = checkpoint.pooling, checkpoint.config
    if pooling is None:
        raise ValueError(
            "A sentence encoder must say how its tokens are pooled. Received: pooling=None. "
            "Give the checkpoint a PoolingConfig, for example PoolingConfig('mean')."
        )
    encoder = {row.path for row in rows(ENCODER, config.num_hidden_layers)}
    heads = [path for path in checkpoint.weights if path not in encoder]
    if heads:
        logger.warning(
            "%s as a sentence encoder: left out, no place in it: %s",
            checkpoint.source,
            ", ".join(heads),
        )
    huggingface.write(
        folder,
        dataclasses.replace(
            checkpoint,
            # What only concerns a head would make it another model than BERT.
            config=dataclasses.replace(config, mlm_hidden_act=None, mlm_layer_norm_eps=None),
            weights={path: array for path, array in checkpoint.weights.items() if path in encoder},
            architecture="BertModel",
        ),
    )
    paths = ("", POOLING_FOLDER, "2_Normalize")
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": _TYPE.format(name)}
        for index, (name, path) in enumerate(zip(_MODULES, paths, strict=True))
    ]
    switches = {name: _SWITCHES[name] == pooling.mode for name in _WRITTEN_SWITCHES}
    (folder / POOLING_FOLDER).mkdir()
    contents = {
        MODULES_FILE: modules if pooling.normalize else modules[:-1],
        f"{POOLING_FOLDER}/config.json": {
            "word_embedding_dimension": config.hidden_size,
            **switches,
        },
        TRANSFORMER_FILE: {
            "max_seq_length": _length(checkpoint.tokenizer, config),
            "do_lower_case": False,
        },
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _module_folders(folder: Path) -> tuple[Path, Path, bool]:
    """Gives the folders of the transformer and of the pooling, and whether there is a third."""
    path = folder / MODULES_FILE
    modules = _read_json(path, list)
    try:
        types = [module["type"] for module in modules]
        paths = [module["path"] for module in modules]
        outside = [p for p in paths if p and (p in (".", "..") or Path(p).name != p)]
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{path} must be a list of modules, each with type and path. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    own = [str(t).startswith("sentence_transformers.") for t in types]
    names = tuple(str(t).rpartition(".")[2] for t in types)
    if not all(own) or names not in (_MODULES, _MODULES[:2]):
        raise ValueError(
            f"{path} must name the modules {', '.join(_MODULES)} of sentence-transformers, the "
            f"last one if wanted. Received: {', '.join(map(str, types)) or 'none'}"
        )
    if outside:
        raise ValueError(f"{path} must name folders of its own folder. Received: {outside[0]!r}")
    return folder / paths[0], folder / paths[1], len(modules) == len(_MODULES)


def _mode(path: Path) -> str:
    """Gives the one mode of a pooling."""
    values = _read_json(path, dict)
    modes = values.get("pooling_mode")
    if modes is None:  # of old files, which have a switch for each, and the mean without any
        modes = [mode for name, mode in _SWITCHES.items() if values.get(name)] or "mean"
    modes = [modes] if isinstance(modes, str) else modes
    if len(modes) != 1 or modes[0] not in POOLING_MODES:
        raise ValueError(
            f"{path} must have one mode of pooling, {', '.join(POOLING_MODES)}. "
            f"Received: {', '.join(map(str, modes))}"
        )
    if values.get("include_prompt", True) is not True:
        raise ValueError(
            f"{path} must pool the whole text. "
            f"Received: include_prompt={values['include_prompt']!r}"
        )
    return modes[0]


def _with_settings(
    tokenizer: BertTokenizer, config: BertConfig, settings: dict[str, Any]
) -> BertTokenizer:
    """Gives a copy of a tokenizer that cuts and lower-cases as the transformer module does."""
    values = tokenizer.get_config()
    length, limit = _length(tokenizer, config), settings.get("max_seq_length")
    values["model_max_length"] = length if limit is None else min(limit, length)
    if settings.get("do_lower_case") and not tokenizer.do_lower_case:
        # It lower-cases before the tokenizer, which leaves accents as they are.
        values.update(do_lower_case=True, strip_accents=bool(tokenizer.strip_accents))
    return BertTokenizer.from_config(values)


def _length(tokenizer: BertTokenizer | None, config: BertConfig) -> int:
    limit = config.max_position_embeddings
    return min((tokenizer and tokenizer.model_max_length) or limit, limit)


def _settings(path: Path) -> dict[str, Any]:
    """Reads the settings of the transformer module; a file without one of them has the usual."""
    settings = _read_json(path, dict) if path.is_file() else {}
    limit = settings.get("max_seq_length")
    if limit is not None and not (isinstance(limit, int) and limit > 2):
        raise ValueError(
            f"{path} must have a max_seq_length above 2, for a sequence begins and ends with a "
            f"token of its own. Received: {limit!r}"
        )
    task = settings.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise ValueError(f"{path} must be of an encoder. Received: transformer_task={task!r}")
    return settings


def _default_prompt(path: Path) -> str | None:
    """Gives what is put before each text, if anything is."""
    values = _read_json(path, dict) if path.is_file() else {}
    prompts = values.get("prompts")
    name = values.get("default_prompt_name")
    return prompts.get(name) if isinstance(prompts, dict) else None


def _read_json(path: Path, kind: type) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} must hold {path.name}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be a JSON file. Received: {error}") from error
    if not isinstance(content, kind):
        raise ValueError(
            f"{path} must be a JSON file with a {kind.__name__}. Received: {type(content).__name__}"
        )
    return content
