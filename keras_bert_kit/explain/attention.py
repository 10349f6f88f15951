"""Where the heads of a model look.

Dimension letters: L layers, N heads, S sequence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_bert_kit.explain.reading import read_text
from keras_bert_kit.models import PretrainedModel


@dataclasses.dataclass(frozen=True)
class AttentionMaps:
    """The attention probabilities of one text.

    Attributes:
        tokens: The tokens, special ones included (S).
        weights: float32 (L, N, S, S): how much each token (third axis) sees of each (last axis).
            Over the last axis they add up to 1.
        layers: The number of each layer, from 1 (L).
    """

    tokens: list[str]
    weights: np.ndarray
    layers: list[int]

    def rollout(self) -> np.ndarray:
        """Gives the attention rollout of these layers, float32 (S, S); see `attention_rollout`."""
        return attention_rollout(self.weights)

    def of_layers(self, layers: Sequence[int]) -> AttentionMaps:
        """Gives the maps of some of the layers.

        Args:
            layers: Their numbers, from 1.

        Raises:
            ValueError: There is no such layer, or none is named.
        """
        if not layers or set(layers) - set(self.layers):
            raise ValueError(
                f"The layers must be from {self.layers[0]} to {self.layers[-1]}. "
                f"Received: {', '.join(map(str, layers)) or 'none'}"
            )
        chosen = sorted(set(layers))
        places = [self.layers.index(layer) for layer in chosen]
        return AttentionMaps(self.tokens, self.weights[places], chosen)


def attention_maps(
    model: PretrainedModel, text: str, text_pair: str | None = None
) -> AttentionMaps:
    """Gives the attention probabilities of a model for a text.

    Args:
        model: Any model of the kit that has a tokenizer.
        text: The text; what is longer than `model.max_length` is cut.
        text_pair: The second text of a pair, or `None`.

    Returns:
        `AttentionMaps` of all layers.

    Raises:
        TypeError: A text is not a string.
        ValueError: The model has no tokenizer, or there is no word in the text.

    Example:
        >>> model = BertForSequenceClassification.from_pretrained("path/to/model")
        >>> attention_maps(model, "The acting is wonderful.").weights.shape
        (6, 12, 7, 7)
    """
    reading = read_text(model, text, text_pair)
    bert = getattr(model, "bert", model)
    layers = bert(reading.inputs, output_attentions=True)["attentions"]
    weights = np.stack([np.float32(layer[0]) for layer in layers])  # (L, N, S, S)
    return AttentionMaps(reading.tokens, weights, list(range(1, len(layers) + 1)))


def attention_rollout(weights: np.ndarray) -> np.ndarray:
    """Follows attention through the layers down to the tokens.

    The heads of a layer are averaged, and half of each token is what the residual connection
    carries on: the product over the layers of (A + I) / 2.

    Args:
        weights: float (L, N, S, S), as in `AttentionMaps`, from the lowest layer up.

    Returns:
        float32 (S, S): how much of each token (last axis) reaches each place of the last layer
        (first axis). Over the last axis it adds up to 1.

    Reference:
        Abnar and Zuidema 2020, section 3 (https://arxiv.org/abs/2005.00928).
    """
    identity = np.eye(weights.shape[-1])
    rollout = identity
    for layer in weights:
        rollout = (layer.mean(axis=0, dtype="float64") + identity) / 2 @ rollout
    return rollout.astype("float32")
