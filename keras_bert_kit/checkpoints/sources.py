"""From a path, a handle or a live model to a checkpoint, whatever the format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from keras_bert_kit.checkpoints import (
    huggingface,
    keras_hub,
    model_garden,
    sentence_transformers,
    tf1,
    tf_transformers,
)
from keras_bert_kit.checkpoints.checkpoint import Checkpoint
from keras_bert_kit.handles import local_folder

# Asked in this order: a folder may hold the same model in several formats.
_FORMATS = (sentence_transformers, keras_hub, huggingface, tf_transformers, model_garden, tf1)

_WRITERS = {
    "huggingface": huggingface.write,
    "tf1": tf1.write,
    "keras-hub": keras_hub.write,
}

#: The formats that are written.
FORMATS = tuple(_WRITERS)


def load_checkpoint(source: Any) -> Checkpoint:
    """Reads a checkpoint; its format is found by looking.

    Weights are read when they are asked for.

    Args:
        source: A folder in one of the formats below;
            `hf://owner/name`, fetched from the Hugging Face hub;
            `kaggle://owner/model/framework/variation`, fetched by keras-nlp;
            `package://name`, an installed Python distribution that carries such a folder;
            a `BertBackbone`, `BertMaskedLM`, `BertTextClassifier` or `BertTextEmbedder` of
            keras-nlp; or what this function gave.
            The formats are Hugging Face's (safetensors, `pytorch_model.bin`, both also in
            several files, and `tf_model.h5`), Google's TF1 checkpoints, TF Model Garden's,
            KerasHub's presets and sentence-transformers'.

    Raises:
        FileNotFoundError: There is no such folder, or a file of it is missing.
        ValueError: A file is damaged, the model is not a BERT, or the handle is not known.
    """
    if isinstance(source, Checkpoint):
        return source
    if keras_hub.is_live(source):
        return _checked(keras_hub.read_model(source))
    source = str(source)
    if source.startswith("kaggle://"):
        return _checked(keras_hub.read(source))
    folder = local_folder(source)
    for form in _FORMATS:
        if form.matches(folder):
            return _checked(dataclasses.replace(form.read(folder), source=source))
    there = ", ".join(sorted(entry.name for entry in Path(folder).iterdir())[:10]) or "nothing"
    raise FileNotFoundError(
        f"{source} must hold a BERT checkpoint: config.json with model.safetensors, "
        "pytorch_model.bin or tf_model.h5; bert_config.json with bert_model.ckpt.index; or a "
        f"preset of KerasHub. Found: {there}"
    )


def write_checkpoint(folder: Path, checkpoint: Checkpoint, form: str = "huggingface"):
    """Writes a checkpoint into an empty folder.

    Args:
        folder: The folder.
        checkpoint: What to write.
        form: One of `FORMATS`. A sentence encoder in Hugging Face's layout is written with the
            files of sentence-transformers beside it.

    Raises:
        ValueError: The format is unknown, or cannot express the checkpoint.
        OSError: The files cannot be written, for example for want of space.
    """
    if form not in _WRITERS:
        raise ValueError(f"The format must be one of {', '.join(FORMATS)}. Received: {form!r}")
    write = _WRITERS[form]
    if form == "huggingface" and checkpoint.pooling is not None:
        write = sentence_transformers.write
    write(folder, checkpoint)


def _checked(checkpoint: Checkpoint) -> Checkpoint:
    tokenizer, config = checkpoint.tokenizer, checkpoint.config
    if tokenizer is not None and len(tokenizer.tokens) > config.vocab_size:
        raise ValueError(
            f"The vocabulary must not be larger than the model's token table. {checkpoint.source} "
            f"has {len(tokenizer.tokens)} tokens and vocab_size={config.vocab_size}"
        )
    return checkpoint
