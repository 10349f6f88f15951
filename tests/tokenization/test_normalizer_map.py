from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from keras_bert_kit.tokenization.normalizer_map import build_normalizer_map

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
VOCABULARIES = {
    "bert-base-uncased": True,
    "bert-base-cased": False,
    "bert-base-multilingual-cased": False,
    "bert-base-chinese": True,
}
RULES = [
    {"lowercase": True, "strip_accents": True},
    {"lowercase": True, "strip_accents": False},
    {"lowercase": False, "strip_accents": True},
    {"lowercase": False, "strip_accents": False},
    {"lowercase": True, "clean_text": False},
    {"lowercase": False, "handle_chinese_chars": False},
    {"lowercase": False, "handle_chinese_chars": False, "clean_text": False},
]
# The planes that hold characters, some of the private planes, and every code point.
CHARACTERS = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xF1000)]
POINTS = [*range(0xD800), *range(0xE000, 0x110000)]

# What the word-piece op splits off without the spaces that the reference puts around it.
CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf"
CHINESE += "\U0002f800-\U0002fa1f"
PADDED = re.compile(f" ([{CHINESE}]) ")
# The reference knows these as letters, and the op as punctuation or as Chinese: the gap in the
# reference's Chinese ranges, and punctuation newer than the reference's tables.
SPLIT_BY_OP_ONLY = range(0x2B820, 0x2B920)
SPLIT_BY_REFERENCE_ONLY = [0x166D, 0x111C9]

MIXED = [
    "",
    " \t\r\n\u3000\u2028 ",
    "Résumé naïve café, İstanbul Straße ΟΔΟΣ ǅ Å",
    "e\u0301\u0323 o\u0308\u0304 n\u0303",
    "我爱北京天安门。\U00020000\U0002a700豈\uf900\u3007",
    "한국어 각각 ガギグ がぎぐ",
    "हिन्दी में लिखा है العَرَبِيَّة עִבְרִית",
    "👩\u200d👩\u200d👧 👍🏽 zero\u200bwidth \ufeffbom \u00adsoft",
    "a\x00b\x01c\ufffdd\ue000e\U000f0000f\U0010fffdg\x7fh\x85i",
]


def normalizer_of(**rules: bool | None) -> tf_text.FastBertNormalizer:
    buffer = np.frombuffer(build_normalizer_map(**rules), np.uint8)
    return tf_text.FastBertNormalizer(model_buffer=tf.constant(buffer))


def normalize(texts: list[str], **rules: bool | None) -> list[str]:
    answers = normalizer_of(**rules).normalize(tf.constant(texts))
    return [answer.decode() for answer in answers.numpy()]


def wordpiece_of(vocabulary: list[str]) -> tf_text.FastWordpieceTokenizer:
    return tf_text.FastWordpieceTokenizer(
        vocabulary, max_bytes_per_word=400, token_out_type=tf.int32
    )


def differing(asked: list, answers: list, expected: list) -> list:
    return [q for q, a, e in zip(asked, answers, expected, strict=True) if a != e]


def changed_otherwise(points: list[int], rules: dict[str, bool]) -> list[int]:
    """Return the code points that the op and the reference, asked one by one, treat differently."""
    reference = BertNormalizer(**rules)
    texts = [f"a{chr(point)}b" for point in points]
    expected = [PADDED.sub(r"\1", reference.normalize_str(text)) for text in texts]
    return differing(points, normalize(texts, **rules), expected)


@pytest.mark.parametrize("rules", RULES)
def test_every_character_becomes_what_the_reference_makes_of_it(rules):
    assert changed_otherwise(CHARACTERS, rules) == []


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES[:4])
def test_every_code_point_becomes_what_the_reference_makes_of_it(rules):
    assert changed_otherwise(POINTS, rules) == []


@pytest.mark.parametrize("lowercase", [True, False])
def test_mixed_text_is_normalised_as_by_the_reference(lowercase):
    reference = BertNormalizer(lowercase=lowercase, handle_chinese_chars=False)
    expected = [reference.normalize_str(text) for text in MIXED]
    assert normalize(MIXED, lowercase=lowercase) == expected


def test_marks_that_survive_keep_their_order_unlike_in_the_reference():
    marks = "\u302e\U0001d165"  # of combining classes 224 and 216, and neither is non-spacing
    assert BertNormalizer(lowercase=True).normalize_str(marks) == marks[::-1]
    assert normalize([marks], lowercase=True) == [marks]


def test_accents_follow_lowercase_by_default():
    assert normalize(["Ünï"], lowercase=True) == ["uni"]
    assert normalize(["Ünï"], lowercase=False) == ["Ünï"]
    assert normalize(["Ünï"], lowercase=True, strip_accents=False) == ["ünï"]
    assert normalize(["Ünï"], lowercase=False, strip_accents=True) == ["Uni"]


@pytest.mark.slow
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_code_point_splits_words_as_in_the_reference(lowercase):
    vocabulary = ["[UNK]", "a", "b", "##b"]  # split, whole and deleted give three different answers
    ids = {token: i for i, token in enumerate(vocabulary)}
    reference = Tokenizer(WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    reference.normalizer = BertNormalizer(lowercase=lowercase)
    reference.pre_tokenizer = BertPreTokenizer()
    texts = [f"a{chr(point)}b" for point in POINTS]
    expected = [encoding.ids for encoding in reference.encode_batch_fast(texts)]
    normalized = normalizer_of(lowercase=lowercase).normalize(tf.constant(texts))
    answers = wordpiece_of(vocabulary).tokenize(normalized).to_list()
    differences = set(differing(POINTS, answers, expected))
    whole = {point for point, ids in zip(POINTS, expected, strict=True) if ids == [0]}
    assert sorted(differences - whole) == SPLIT_BY_REFERENCE_ONLY
    assert set(SPLIT_BY_OP_ONLY) <= differences
    new_punctuation = sorted(differences & whole - set(SPLIT_BY_OP_ONLY))
    assert len(new_punctuation) < 200
    assert new_punctuation[0] == 0x61D


def lines_of(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    paths = [DATA / "sst2/dev.tsv", DATA / "chnsenticorp/dev.tsv.gz"]
    paths += sorted(DATA.glob("xlmt_sentiment/*/val_text.txt"))
    return [line for path in paths for line in lines_of(path)]


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no {DATA}")
@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_equal_the_reference_on_real_text(name, lines):
    path, lowercase = DATA / "vocab" / name / "vocab.txt", VOCABULARIES[name]
    reference = BertWordPieceTokenizer(str(path), lowercase=lowercase)
    encodings = reference.encode_batch(lines, add_special_tokens=False)
    expected = [encoding.ids for encoding in encodings]
    normalized = normalizer_of(lowercase=lowercase).normalize(tf.constant(lines))
    answers = wordpiece_of(list(lines_of(path))).tokenize(normalized).to_list()
    assert len(lines) > 4000
    assert differing(lines, answers, expected) == []


@pytest.mark.parametrize(
    ("rules", "limit"),
    [
        ({"lowercase": True}, 230_000),
        ({"lowercase": False, "strip_accents": True}, 220_000),
        ({"lowercase": True, "strip_accents": False}, 20_000),
        ({"lowercase": False}, 4_000),
    ],
)
def test_size(rules, limit):
    assert 1000 < len(build_normalizer_map(**rules)) < limit


def test_the_same_rules_give_the_same_bytes():
    code = (
        "import hashlib, sys\n"
        "from keras_bert_kit.tokenization.normalizer_map import build_normalizer_map\n"
        "assert not any(name.startswith('tensorflow') for name in sys.modules)\n"
        "print(hashlib.sha256(build_normalizer_map(lowercase=True)).hexdigest())\n"
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


def test_the_buffer_is_cached():
    assert build_normalizer_map(lowercase=True) is build_normalizer_map(
        lowercase=True, strip_accents=True
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"lowercase": 1}, "`lowercase` must be True or False. Received: lowercase=1"),
        ({"lowercase": None}, "Received: lowercase=None"),
        ({"strip_accents": "no"}, "`strip_accents` must be True, False or None. Received: .*'no'"),
        ({"handle_chinese_chars": None}, "Received: handle_chinese_chars=None"),
        ({"clean_text": 0}, "Received: clean_text=0"),
    ],
)
def test_arguments_must_be_bools(rules, message):
    with pytest.raises(TypeError, match=message):
        build_normalizer_map(**{"lowercase": True} | rules)


def test_lowercase_has_no_default():
    with pytest.raises(TypeError, match="lowercase"):
        build_normalizer_map()
