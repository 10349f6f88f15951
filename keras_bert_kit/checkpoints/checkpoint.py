"""What a checkpoint holds, whatever format it was in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_bert_kit.checkpoints.names import ENCODER, HEADS, Layout, rows
from keras_bert_kit.config import BertConfig, PoolingConfig
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

# The class that has exactly these heads; of a classifier, the config says which one it is.
_ARCHITECTURES = {
    frozenset(): "BertModel",
    frozenset({"masked_lm"}): "BertForMaskedLM",
    frozenset({"next_sentence"}): "BertForNextSentencePrediction",
    frozenset({"masked_lm", "next_sentence"}): "BertForPreTraining",
    frozenset({"classifier"}): "BertForSequenceClassification",
    frozenset({"span"}): "BertForQuestionAnswering",
}
_HEAD_NAMES = frozenset().union(*_ARCHITECTURES)


class Weights(Mapping[str, np.ndarray]):
    """A checkpoint's weights by our path, each read and turned into our layout when asked for.

    Paths are without the encoder's prefix. A tensor that the table of names does not know stands
    under its own name.

    Args:
        layout: How the format lays weights out.
        config: The model's config.
        shapes: The format's shapes by name, the encoder's prefix taken off.
        read: Gives the array of such a name.
    """

    def __init__(
        self,
        layout: Layout,
        config: BertConfig,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], np.ndarray],
    ):
        self._layout, self._config, self._shapes, self._read = layout, config, shapes, read
        table = rows(ENCODER + HEADS, config.num_hidden_layers)
        known = {name: row for row in table for name in layout.names(row)}
        self._names = {known[n].path if n in known else n: n for n in shapes}
        self._rows = {row.path: row for row in known.values()}

    def __getitem__(self, path: str) -> np.ndarray:
        array = self._read(self._names[path])
        row = self._rows.get(path)
        return array if row is None else self._layout.to_ours(array, row, self._config)

    def __contains__(self, path: object) -> bool:
        return path in self._names  # without reading it

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def shape(self, path: str) -> tuple[int, ...]:
        """Gives the shape of a weight without reading it."""
        shape = tuple(self._shapes[self._names[path]])
        row = self._rows.get(path)
        # A view of one number stretched to the shape, so that there is one rule for shapes.
        stretched = np.broadcast_to(np.float32(0), shape)
        return shape if row is None else self._layout.to_ours(stretched, row, self._config).shape


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        source: The path or handle that it was read from.
        config: The model's config.
        weights: Arrays by our path, without the encoder's prefix; a tensor that the table of
            names does not know stands under its own name.
        tokenizer: The tokenizer, if there is one.
        architecture: The model class that the weights are for, by its name.
        pooling: How a sentence's embedding is made of its tokens', where the checkpoint is a
            sentence encoder.
    """

    source: str
    config: BertConfig
    weights: Mapping[str, np.ndarray]
    tokenizer: BertTokenizer | None = None
    architecture: str = "BertModel"
    pooling: PoolingConfig | None = None


def named_architecture(path: Path) -> str:
    """Gives the model class that a `config.json` names; an empty text where it names none.

    Args:
        path: The file.
    """
    names = json.loads(path.read_text(encoding="utf-8")).get("architectures")
    name = names[0] if isinstance(names, list) and names else ""
    return name if isinstance(name, str) else ""


def architecture_of(paths: Iterable[str]) -> str:
    """Gives the name of the model class that has the heads of these weights.

    Args:
        paths: The weights' paths.
    """
    heads = {path.partition("/")[0] for path in paths} & _HEAD_NAMES
    return _ARCHITECTURES.get(frozenset(heads), "BertForPreTraining")
