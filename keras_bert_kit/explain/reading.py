"""A text as a model reads it: its tokens, where they stand, and what goes in.

Dimension letters: S sequence.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_bert_kit.models import PretrainedModel


@dataclasses.dataclass(frozen=True)
class Reading:
    """One text, or pair of texts, in tokens.

    Attributes:
        tokens: The tokens, special ones included (S).
        inputs: `input_ids`, `token_type_ids` and `attention_mask`, int32 (1, S).
        special: bool (S,), true where the tokenizer put a token of its own, such as [CLS].
        offsets: int32 (S, 2), where each token starts and ends in its text, in characters.
        cut: Whether the text was longer than the model reads.
    """

    tokens: list[str]
    inputs: dict[str, np.ndarray]
    special: np.ndarray
    offsets: np.ndarray
    cut: bool

    @property
    def text_numbers(self) -> np.ndarray:
        """Which text each token is from, int32 (S,): 0 the first, 1 the second of a pair."""
        return self.inputs["token_type_ids"][0]

    def words(self) -> list[list[int]]:
        """Gives the numbers of each word's tokens.

        A token that does not begin with ## begins a word; special tokens belong to none.
        """
        words = []
        for place in np.flatnonzero(~self.special):
            if words and self.tokens[place].startswith("##"):
                words[-1].append(int(place))
            else:
                words.append([int(place)])
        return words


def read_text(model: PretrainedModel, text: str, text_pair: str | None = None) -> Reading:
    """Turns a text into what a model takes.

    Args:
        model: A model with a tokenizer.
        text: The text; what is longer than `model.max_length` is cut.
        text_pair: The second text of a pair, or `None`.

    Raises:
        TypeError: A text is not a string.
        ValueError: The model has no tokenizer, or there is nothing to read in the texts.
    """
    if model.tokenizer is None:
        raise ValueError(
            "The model must have a tokenizer. Load it with from_pretrained, or set "
            "model.tokenizer = BertTokenizer(...). Received: tokenizer=None"
        )
    for name, value in (("text", text), ("text_pair", text_pair)):
        if not isinstance(value, str) and (name == "text" or value is not None):
            raise TypeError(f"{name} must be a string. Received: {name}={value!r}")
    rows = model.tokenizer(
        [text],
        None if text_pair is None else [text_pair],
        max_length=model.max_length,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_overflowing_tokens=True,
    )
    special = rows["special_tokens_mask"][0] == 1
    if special.all():
        raise ValueError(f"text must have at least one word. Received: text={text!r}")
    names = ("input_ids", "token_type_ids", "attention_mask")
    return Reading(
        tokens=model.tokenizer.convert_ids_to_tokens(rows["input_ids"][0]),
        inputs={name: rows[name][:1] for name in names},
        special=special,
        offsets=rows["offset_mapping"][0],
        cut=len(rows["input_ids"]) > 1,
    )
