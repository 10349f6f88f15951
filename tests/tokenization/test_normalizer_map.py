from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from keras_bert_kit.tokenization.in_graph import split_by_op
from keras_bert_kit.tokenization.normalizer_map import MARKS, build_normalizer_map

RULES = [
    {"lowercase": True, "strip_accents": True},
    {"lowercase": True, "strip_accents": False},
    {"lowercase": False, "strip_accents": True},
    {"lowercase": False, "strip_accents": False},
    {"lowercase": False, "handle_chinese_chars": False},
]
# The planes that hold characters, and some of the private planes.
CHARACTERS = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xF1000)]

MIXED = [
    "",
    " \t\r\n\u3000\u2028 ",
    "Résumé naïve café, İstanbul Straße ΟΔΟΣ ǅ Å",
    "e\u0301\u0323 o\u0308\u0304 n\u0303",
    "我爱北京天安门。\U00020000\U0002a700豈\uf900\u3007",
    "한국어 각각 ガギグ がぎぐ",
    "हिन्दी में लिखा है العَرَبِيَّة עִבְרִית",
    "👩\u200d👩\u200d👧 👍🏽 zero\u200bwidth \ufeffbom \u00adsoft",
    "a\x00b\x01c\ufffdd\ue000e\U000f0000f\U000ffffdg\x7fh\x85i",
]


@functools.cache
def normalizer_of(**rules: bool | None) -> tf_text.FastBertNormalizer:
    buffer = np.frombuffer(build_normalizer_map(**rules).model, np.uint8)
    return tf_text.FastBertNormalizer(model_buffer=tf.constant(buffer))


def normalize(texts: list[str], **rules: bool | None) -> list[str]:
    """Texts as the map makes them where the op splits nothing by itself."""
    answers = normalizer_of(**rules).normalize(tf.constant(texts))
    return [answer.decode() for answer in answers.numpy()]


def differing(asked: list, answers: list, expected: list) -> list:
    return [q for q, a, e in zip(asked, answers, expected, strict=True) if a != e]


def changed_otherwise(points: list[int], rules: dict[str, bool]) -> list[int]:
    """Return the code points that the op and the reference, asked one by one, treat differently."""
    reference = BertNormalizer(**rules)
    texts = [f"a{chr(point)}b" for point in points]
    pieces = [reference.normalize_str(text) for text in texts]
    answers = [text.split() for text in normalize(texts, **rules)]
    expected = [_words(text) for text in pieces]
    return differing(points, answers, expected)


def _words(text):
    """What the reference splits, for an op that splits nothing by itself."""
    return [word for word, _ in BertPreTokenizer().pre_tokenize_str(text)]


@pytest.mark.parametrize("rules", RULES)
def test_every_character_becomes_what_the_reference_makes_of_it(rules):
    assert changed_otherwise(CHARACTERS, rules) == []


@pytest.mark.parametrize("lowercase", [True, False])
def test_mixed_text_is_normalised_as_by_the_reference(lowercase):
    reference = BertNormalizer(lowercase=lowercase)
    expected = [_words(reference.normalize_str(text)) for text in MIXED]
    assert [text.split() for text in normalize(MIXED, lowercase=lowercase)] == expected


def test_marks_that_survive_keep_their_order_unlike_in_the_reference():
    marks = "\u302e\U0001d165"  # of combining classes 224 and 216, and neither is non-spacing
    assert BertNormalizer(lowercase=True).normalize_str(marks) == marks[::-1]
    assert normalize([marks], lowercase=True) == [marks]


def test_accents_follow_lowercase_by_default():
    assert normalize(["Ünï"], lowercase=True) == ["uni"]
    assert normalize(["Ünï"], lowercase=False) == ["Ünï"]
    assert normalize(["Ünï"], lowercase=True, strip_accents=False) == ["ünï"]
    assert normalize(["Ünï"], lowercase=False, strip_accents=True) == ["Uni"]


@pytest.mark.parametrize(
    ("rules", "limit"),
    [
        ({"lowercase": True}, 240_000),
        ({"lowercase": False, "strip_accents": True}, 230_000),
        ({"lowercase": True, "strip_accents": False}, 26_000),
        ({"lowercase": False}, 9_000),
        ({"lowercase": True, "handle_chinese_chars": False}, 1_250_000),
    ],
)
def test_size(rules, limit):
    assert 1000 < len(build_normalizer_map(**rules, split_by_op=split_by_op()).model) < limit


def test_the_same_rules_give_the_same_bytes():
    code = (
        "import hashlib, sys\n"
        "from keras_bert_kit.tokenization.normalizer_map import build_normalizer_map\n"
        "assert not any(name.startswith('tensorflow') for name in sys.modules)\n"
        "print(hashlib.sha256(build_normalizer_map(lowercase=True).model).hexdigest())\n"
    )
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_stand_ins_are_private_and_distinct():
    rules = build_normalizer_map(lowercase=True, split_by_op={"\u4e00", "b", "!", "\ufdd0"})
    assert rules.stand_ins.keys() == {ord("b"), 0xFDD0}  # what the reference does not split
    assert set(rules.stand_ins.values()) <= set(map(chr, range(0xF0000, MARKS[0])))
    assert len({*rules.stand_ins.values()}) == 2
