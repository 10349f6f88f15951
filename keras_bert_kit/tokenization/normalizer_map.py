"""The rules of the reference BERT normaliser, as a model for `tf_text.FastBertNormalizer`.

The op looks every code point up in a trie and replaces it by a string. `build_normalizer_map`
fills that trie from `tokenizers.normalizers.BertNormalizer` itself, so no rule is written twice.
"""

from __future__ import annotations

import functools

import flatbuffers
import numpy as np
from tokenizers.normalizers import BertNormalizer

from keras_bert_kit.tokenization.double_array import VALUE_BIT, build_double_array

_LENGTH_BITS = 6  # of a value; the place of its string in the pool comes above them

# `tf_text.FastWordpieceTokenizer` makes each of these code points a word by itself.
_SPLIT_BY_WORDPIECE = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
# Surrogates are not characters. Planes 4 to 13 hold none, so there is nothing to change.
_ASKED = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0x110000))
_SEPARATOR = "|"


def build_normalizer_map(
    *,
    lowercase: bool,
    strip_accents: bool | None = None,
    handle_chinese_chars: bool = True,
    clean_text: bool = True,
) -> bytes:
    """Build the model buffer of `tf_text.FastBertNormalizer` for one set of BERT rules.

    The buffer is meant for text that `tf_text.FastWordpieceTokenizer` splits next. That op
    surrounds Chinese characters with word boundaries by itself, so the buffer leaves the spaces
    of `handle_chinese_chars` out wherever the op's own boundaries have the same effect. For the
    same reason the buffer cannot switch that splitting off: with `handle_chinese_chars=False` the
    normalised text is the reference's, but Chinese characters still become words of their own.

    What the op calls punctuation or Chinese is its own matter too. It splits at 396 code points
    where the reference does not: punctuation newer than the reference's Unicode tables, and
    U+2B820 to U+2B91F. It does not split at U+166D and U+111C9, where the reference does.

    A map sees one code point at a time. So where `strip_accents` leaves two combining marks in a
    row (musical or Glagolitic ones, say) in another order than the canonical one, the reference
    swaps them and the op does not.

    Args:
        lowercase: bool, whether to lower-case.
        strip_accents: bool, whether to decompose and drop non-spacing marks. `None` follows
            `lowercase`.
        handle_chinese_chars: bool, whether Chinese characters are words of their own.
        clean_text: bool, whether to drop control characters and turn white space into " ".

    Returns:
        bytes, a flatbuffer of table `FastBertNormalizerModel`. It is cached.

    Raises:
        TypeError: an argument is not a bool (or `None`, for `strip_accents`).

    Example:
        buffer = build_normalizer_map(lowercase=True)
        normalizer = tf_text.FastBertNormalizer(model_buffer=np.frombuffer(buffer, np.uint8))

    References:
        `BertNormalizer` of https://github.com/huggingface/tokenizers
        https://github.com/tensorflow/text, kernels `fast_bert_normalizer` and `darts_clone_trie`
    """
    _check_bool("lowercase", lowercase)
    if strip_accents is None:
        strip_accents = lowercase
    _check_bool("strip_accents", strip_accents, "True, False or None")
    _check_bool("handle_chinese_chars", handle_chinese_chars)
    _check_bool("clean_text", clean_text)
    return _build(lowercase, strip_accents, handle_chinese_chars, clean_text)


def _check_bool(name: str, value: object, allowed: str = "True or False") -> None:
    """Raise `TypeError` unless `value` is a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be {allowed}. Received: {name}={value!r}")


@functools.cache
def _build(
    lowercase: bool, strip_accents: bool, handle_chinese_chars: bool, clean_text: bool
) -> bytes:
    """Build the buffer of `build_normalizer_map` for checked arguments."""
    normalizer = BertNormalizer(
        clean_text=clean_text,
        handle_chinese_chars=handle_chinese_chars,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    changes = _changes(normalizer)
    pool, values = _pool_strings(set(changes.values()))
    points = np.zeros(0x110000, np.int32)
    points[list(changes)] = [values[text] for text in changes.values()]
    units = build_double_array(points)
    return _flatbuffer(lowercase and strip_accents, units, int(points[0]), pool)


def _changes(normalizer: BertNormalizer) -> dict[int, bytes]:
    """Ask the reference what becomes of every code point.

    One call on one long text stands for a call on each code point, because the separator keeps
    them apart: the rules leave it alone, and they act on neighbours only if both are marks.

    Args:
        normalizer: the reference normaliser.

    Returns:
        dict from each code point that changes to the UTF-8 bytes that replace it.
    """
    asked = [chr(point) for points in _ASKED for point in points]
    asked.remove(_SEPARATOR)
    answers = normalizer.normalize_str(_SEPARATOR.join(asked)).split(_SEPARATOR)
    if len(answers) != len(asked) or normalizer.normalize_str(_SEPARATOR) != _SEPARATOR:
        raise ValueError(
            f"The normaliser must leave {_SEPARATOR!r} alone and map nothing to it. "
            f"Received: answers={len(answers)} for code points={len(asked)}"
        )
    changes = {}
    for char, answer in zip(asked, answers, strict=True):
        if answer != char and (text := _without_needless_spaces(answer)) != char:
            changes[ord(char)] = text.encode()
    return changes


def _without_needless_spaces(text: str) -> str:
    """Drop the spaces around a character that the word-piece op splits off by itself."""
    if len(text) != 3 or not text[0] == text[2] == " ":
        return text
    point = ord(text[1])
    return text[1] if any(low <= point <= high for low, high in _SPLIT_BY_WORDPIECE) else text


def _pool_strings(strings: set[bytes]) -> tuple[bytes, dict[bytes, int]]:
    """Join strings into one pool, where a string shares the bytes of one that starts with it.

    Args:
        strings: set of bytes, each of at most 63 bytes.

    Returns:
        tuple of the pool and a dict from each string to the value that points at it.
    """
    pool = bytearray()
    values = {}
    previous, start = b"", 0
    for string in sorted(strings, reverse=True):
        if not previous.startswith(string):
            previous, start = string, len(pool)
            pool += string
        values[string] = VALUE_BIT | start << _LENGTH_BITS | len(string)
    return bytes(pool), values


def _flatbuffer(lower_and_strip: bool, units: np.ndarray, zero: int, pool: bytes) -> bytes:
    """Write table `FastBertNormalizerModel`.

    Args:
        lower_and_strip: bool, slot 0: whether the map lower-cases and strips accents.
        units: uint32 array, slot 1: the double array.
        zero: int, slot 2: the value of code point 0.
        pool: bytes, slot 3: the strings.

    Returns:
        bytes, the flatbuffer.
    """
    builder = flatbuffers.Builder(units.nbytes + len(pool) + 64)
    units_at = builder.CreateNumpyVector(units)
    pool_at = builder.CreateByteVector(pool)
    builder.StartObject(4)
    builder.PrependBoolSlot(0, lower_and_strip, False)
    builder.PrependUOffsetTRelativeSlot(1, units_at, 0)
    builder.PrependInt32Slot(2, zero, 0)
    builder.PrependUOffsetTRelativeSlot(3, pool_at, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())
