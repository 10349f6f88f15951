"""TF Model Garden's layout: a checkpoint of TensorFlow 2's objects, of `official/nlp`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from keras_bert_kit.checkpoints import tf1
from keras_bert_kit.checkpoints.checkpoint import Checkpoint, Weights, architecture_of
from keras_bert_kit.checkpoints.names import ENCODER, HEADS, MODEL_GARDEN, rows

_CONFIG_FILES = (tf1.CONFIG_FILE, "config.json")

# Each variable stands under the path of objects that lead to it, and this ending.
_VARIABLE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Variables beside the weights, at the root of the checkpoint; slots of an optimizer stand below
# their weight.
_NOT_WEIGHTS = ("save_counter", "global_step")
_OPTIMIZER, _SLOT = "optimizer", "/.OPTIMIZER_SLOT/"

# Where a part lies depends on how the model was put together and saved; each is found by a weight
# that it alone has. The encoder, whichever way it was written:
_ENCODER_MARKS = ("_type_embedding_layer/embeddings", "layer_with_weights-2/embeddings")
# and the heads: of masked tokens; `ClassificationHead`; `Classification` or `SpanLabeling`, which
# are alike, with their dense layer inside; the bare dense layer of a token classifier.
_MASKED_LM_MARK = "/layer_norm/gamma"
_HEAD_MARKS = ("/out_proj/kernel", "/layer_with_weights-0/kernel")
_TOKEN_MARK = "layer_with_weights-1/kernel"
# The pooler of a `ClassificationHead`, saved by itself.
_POOLER_MARK = "..pooler_dense/kernel"
# The name by which `BertSpanLabeler` holds its head.
_SPAN = b"span_labeling"


def matches(folder: Path) -> bool:
    """Tells whether a folder holds a checkpoint of TensorFlow 2's objects."""
    return any(map(tf1.has_object_graph, tf1.checkpoints_in(folder)))


def read(folder: Path) -> Checkpoint:
    """Reads a checkpoint of an encoder, of a pretrainer, or of a fine-tuned model.

    The pooler is that of the sentence's head, where the head has one of its own: the encoder's is
    then not trained.

    Args:
        folder: A folder with `bert_config.json`, a checkpoint and, if there is one, `vocab.txt`.
            `bert_config.json` is understood as google-research/bert does.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged, the model is not a BERT, or there are several checkpoints.
    """
    config = tf1.read_config(_config_file(folder))
    file = tf1.CheckpointFile(folder)
    keys = {
        key.removesuffix(_VARIABLE): key
        for key in file.shapes
        if key.endswith(_VARIABLE) and _is_weight(key)
    }
    places = _places(file, keys)
    names = _plain_names(keys, places, config.num_hidden_layers)
    weights = Weights(
        MODEL_GARDEN,
        config,
        {name: file.shapes[keys[key]] for name, key in names.items()},
        lambda name: file[keys[names[name]]],
    )
    of_tokens = "classifier/kernel" in names
    return Checkpoint(
        str(folder),
        tf1.with_labels(config, weights),
        weights,
        tf1.read_tokenizer(folder),
        "BertForTokenClassification" if of_tokens else architecture_of(weights),
    )


def _config_file(folder: Path) -> Path:
    found = [folder / name for name in _CONFIG_FILES if (folder / name).is_file()]
    if not found:
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10])
        raise FileNotFoundError(
            f"{folder} must hold {tf1.CONFIG_FILE}. Found: {there}. Write one with Google's keys, "
            "hidden_size, num_hidden_layers and so on; params.yaml has their values."
        )
    return found[0]


def _is_weight(key: str) -> bool:
    parts = key.split("/")
    return parts[0] not in _NOT_WEIGHTS and _OPTIMIZER not in parts and _SLOT not in key


def _above(keys: Iterable[str], *marks: str) -> list[str]:
    """Gives what stands before a mark in the keys that end with it."""
    return [key.removesuffix(mark) for mark in marks for key in keys if key.endswith(mark)]


def _places(file: tf1.CheckpointFile, keys: Iterable[str]) -> dict[str, str]:
    """Gives the beginning that the table of names has for each part, by its own in the keys."""
    encoders = _above(keys, *_ENCODER_MARKS)
    if len(encoders) != 1:
        raise ValueError(
            f"{file.prefix} must hold one encoder of TF Model Garden, with one of "
            f"{', '.join(_ENCODER_MARKS)}. Found: {', '.join(map(repr, encoders)) or 'none'}"
        )
    others = [key for key in keys if not key.startswith(encoders[0])]
    places = {}
    heads = _above(others, *_HEAD_MARKS)
    masked_lm = _above(others, _MASKED_LM_MARK)
    for head in heads:
        # Beside masked tokens, a sentence is classified by whether the next one follows.
        of_span = _SPAN in file[tf1.OBJECT_GRAPH]
        places[head] = "next_sentence" if masked_lm else "span" if of_span else "classifier"
    places.update(dict.fromkeys(masked_lm, "masked_lm"))
    for place in _above(others, _TOKEN_MARK):
        places[f"{place}{_TOKEN_MARK.removesuffix('/kernel')}"] = "classifier"
    for place in _above(others, _POOLER_MARK):
        places[f"{place}{_POOLER_MARK.removesuffix('/kernel')}"] = "next_sentence/dense"
    places = {f"{place}/": f"{part}/" for place, part in places.items()}
    return {**places, encoders[0]: ""}


def _plain_names(
    keys: Iterable[str], places: dict[str, str], num_hidden_layers: int
) -> dict[str, str]:
    """Gives the keys by the name that the table has; one without a place keeps its own."""
    names: dict[str, str] = {}
    for key in keys:
        place = next((place for place in places if key.startswith(place)), "")
        name = places.get(place, "") + key.removeprefix(place)
        if name in names:
            raise ValueError(
                f"The checkpoint must hold each weight once. Received: {names[name]} and {key}"
            )
        names[name] = key
    for row in rows(ENCODER + HEADS, num_hidden_layers):
        known = [name for name in row.model_garden if name in names]
        if len(known) > 1 and not row.path.startswith("pooler/"):
            raise ValueError(
                "The checkpoint must hold each weight once. "
                f"Received: {' and '.join(names[name] for name in known)}"
            )
        for name in known[:-1]:  # the encoder's pooler, where the head has its own
            del names[name]
    return names
