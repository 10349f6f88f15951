"""The rules of the reference BERT tokenizer, for two ops of tensorflow-text.

`FastBertNormalizer` looks every code point up in a trie and replaces it by a string.
`build_normalizer_map` fills that trie from `tokenizers.normalizers.BertNormalizer` itself, so no
rule is written twice. `FastWordpieceTokenizer` then splits words by rules of its own. Where these
are not the reference's, the trie makes up for it: with a space, or with a stand-in, which is a
private-use code point. The reference deletes those, so none is left over from the text itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence, Set

import flatbuffers
import numpy as np
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from keras_bert_kit.tokenization.double_array import VALUE_BIT, build_double_array
from keras_bert_kit.tokenization.vocabulary import bert_normalizer

#: Private-use code points that a map with marks leaves as they are: put into a text before it.
MARKS = range(0x108000, 0x10FFFE)

_STAND_INS = (range(0xF0000, 0xFFFFE), range(0x100000, MARKS.start))
_LENGTH_BITS = 6  # of a value; the place of its string in the pool comes above them
# Surrogates are not characters. Planes 4 to 13 hold none, so there is nothing to change.
_ASKED = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, MARKS.start))
_SEPARATOR = "|"
_CHUNK = 4096  # characters; the reference takes more than twice as long for twice as many


@dataclasses.dataclass(frozen=True, eq=False)
class NormalizerMap:
    """What makes the two ops split and change texts as the reference does.

    Attributes:
        model: The model buffer of `tf_text.FastBertNormalizer`.
        stand_ins: For `str.translate`, the stand-in of each code point that has one. The
            vocabulary must be written with them as well.
    """

    model: bytes
    stand_ins: dict[int, str]


def build_normalizer_map(
    *,
    lowercase: bool,
    strip_accents: bool | None = None,
    handle_chinese_chars: bool = True,
    split_by_op: Set[str] = frozenset(),
    marks: bool = True,
) -> NormalizerMap:
    """Builds the map for one set of BERT rules.

    A map sees one code point at a time. So where `strip_accents` leaves two combining marks in a
    row (musical or Glagolitic ones, say) in another order than the canonical one, the reference
    swaps them and the op does not.

    Args:
        lowercase: Whether to lower-case.
        strip_accents: Whether to decompose and drop non-spacing marks; `None` follows `lowercase`.
        handle_chinese_chars: Whether Chinese characters are words of their own.
        split_by_op: The characters that the word-piece op makes words of their own.
        marks: Whether `MARKS` are left as they are; else they are deleted, as by the reference.

    Example:
        >>> rules = build_normalizer_map(lowercase=True)
        >>> buffer = tf.constant(np.frombuffer(rules.model, np.uint8))
        >>> normalizer = tf_text.FastBertNormalizer(model_buffer=buffer)

    References:
        `BertNormalizer` and `BertPreTokenizer` of https://github.com/huggingface/tokenizers
        https://github.com/tensorflow/text, kernels `fast_bert_normalizer` and `darts_clone_trie`
    """
    strip_accents = lowercase if strip_accents is None else strip_accents
    normalizer = bert_normalizer(lowercase, strip_accents, handle_chinese_chars)
    answers = _ask(normalizer, _ASKED if marks else (*_ASKED, MARKS))
    plain = set().union(*(text for text in answers.values() if not _is_padded(text)))
    split = split_by_reference(sorted(plain))
    only_by_op = map(ord, sorted(split_by_op & plain - split))
    stand_ins = dict(zip(only_by_op, map(chr, itertools.chain(*_STAND_INS)), strict=False))
    changed = stand_ins | {ord(char): f" {char} " for char in split - split_by_op}

    def adapt(text: str) -> str:
        if _is_padded(text):  # the op needs no spaces around what it splits by itself
            return text[1] if text[1] in split_by_op else text
        return text.translate(changed)

    changes = {
        ord(char): adapt(text).encode()
        for char, text in answers.items()
        if (text != char or ord(char) in changed) and adapt(text) != char
    }
    pool, values = _pool_strings(set(changes.values()))
    points = np.zeros(0x110000, np.int32)
    points[list(changes)] = [values[text] for text in changes.values()]
    units = build_double_array(points)
    return NormalizerMap(
        model=_flatbuffer(lowercase and strip_accents, units, int(points[0]), pool),
        stand_ins=stand_ins,
    )


def split_by_reference(characters: Sequence[str]) -> set[str]:
    """Asks the reference which characters, white space apart, are words of their own.

    Args:
        characters: The characters to ask about.
    """
    found = set()
    for start in range(0, len(characters), _CHUNK):
        text = "a".join(["", *characters[start : start + _CHUNK], ""])
        pieces = BertPreTokenizer().pre_tokenize_str(text)
        found |= {piece for piece, _ in pieces if len(piece) == 1}
    return found - {"a"}  # between two characters that are split off


def _ask(normalizer: BertNormalizer, ranges: Sequence[range]) -> dict[str, str]:
    """Asks the reference what becomes of every code point of some ranges.

    One call on one long text stands for a call on each code point, because the separator keeps
    them apart: the rules leave it alone, and they act on neighbours only if both are marks.

    Returns:
        A dict from each code point, as a character, to what replaces it.
    """
    asked = [chr(point) for points in ranges for point in points]
    asked.remove(_SEPARATOR)
    answers = normalizer.normalize_str(_SEPARATOR.join(asked)).split(_SEPARATOR)
    if len(answers) != len(asked) or normalizer.normalize_str(_SEPARATOR) != _SEPARATOR:
        raise ValueError(
            f"The normaliser must leave {_SEPARATOR!r} alone and map nothing to it. "
            f"Received: answers={len(answers)} for code points={len(asked)}"
        )
    return {**dict(zip(asked, answers, strict=True)), _SEPARATOR: _SEPARATOR}


def _is_padded(text: str) -> bool:
    return len(text) == 3 and text[0] == text[2] == " "


def _pool_strings(strings: set[bytes]) -> tuple[bytes, dict[bytes, int]]:
    """Joins strings into one pool, where a string shares the bytes of one that starts with it.

    Args:
        strings: Strings of at most 63 bytes.

    Returns:
        The pool, and a dict from each string to the value that points at it.
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
    """Writes table `FastBertNormalizerModel`.

    Args:
        lower_and_strip: Slot 0: whether the map lower-cases and strips accents.
        units: uint32 array, slot 1: the double array.
        zero: Slot 2: the value of code point 0.
        pool: Slot 3: the strings.
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
