"""Words of texts that are written without spaces, for masking whole ones."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_kit.tokenization.tokenizer import BertTokenizer

#: A function from a text to its words, in order.
Segmenter = Callable[[str], Iterable[str]]


def load_segmenter(name: str) -> Segmenter:
    """Gives a segmenter by its name.

    Args:
        name: "module:function", such as "jieba:lcut".

    Raises:
        ImportError: There is no such module.
        ValueError: The name is none of that form, or the module has no such function.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(
            f"A segmenter must be named as module:function, such as jieba:lcut. Received: {name!r}"
        )
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"The segmenter {name} needs {module}: pip install {module}") from error
    if not callable(getattr(found, function, None)):
        raise ValueError(f"The module {module} must have a function {function}. Received: none")
    return getattr(found, function)


def continuing_tokens(
    texts: Sequence[str], tokenizer: BertTokenizer, segment: Segmenter, path: str = "texts"
) -> tf.RaggedTensor:
    """Tells which tokens go on with the word of the token before them.

    Args:
        texts: The texts.
        tokenizer: The model's tokenizer.
        segment: Gives the words of a text. Spaces may be missing.
        path: The file, for the error.

    Returns:
        bool ragged tensor (texts, None), without special tokens.

    Raises:
        ValueError: A word does not stand in its text.
    """
    rows = tokenizer(
        list(texts),
        add_special_tokens=False,
        padding=False,
        return_tensors=None,
        return_offsets_mapping=True,
    )
    flags = []
    for text, offsets in zip(texts, rows["offset_mapping"], strict=True):
        bounds = np.array(_bounds(text, segment(text), path), int)
        word = np.searchsorted(bounds, [start for start, _ in offsets], side="right")
        flags.append(np.diff(word, prepend=-1) == 0)
    lengths = [len(row) for row in flags]
    values = np.fromiter(itertools.chain.from_iterable(flags), bool, sum(lengths))
    return tf.RaggedTensor.from_row_lengths(values, lengths)


def _bounds(text: str, words: Iterable[str], path: str) -> list[int]:
    """Gives where the words of a text start and end."""
    bounds, place = [], 0
    for word in filter(str.strip, words):
        start = text.find(word, place)
        if start < 0:
            raise ValueError(
                f"{path}: the segmenter must give the words of a text, in order. "
                f"Received: {word!r:.40}, which does not follow in {text!r:.40}"
            )
        place = start + len(word)
        bounds += [start, place]
    return bounds
