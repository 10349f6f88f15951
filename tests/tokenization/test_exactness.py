"""In a graph, in Python and in the `tokenizers` library itself: the same ids for the same text."""

# ruff: noqa: RUF001
from __future__ import annotations

import csv
import functools
import gzip
import json
import re
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenization.references import SPECIAL_TOKENS, reference, reference_ids

from keras_bert_kit import BertTokenizer

# The planes that hold characters, and some private ones.
CHARACTERS = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xF1000)]

LETTERS = "abmskx019é我爱🙂ßςσ각\U00010400\U0002b820\u166d\u302e"
VOCAB = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *"[]!.-'"]
VOCAB += [
    "New",
    "new",
    "York",
    "##ay",
    "mask",
    "ENT",
    "[unused1]",
    "\U000f0000",
    "我爱",
    "\U0002b820a",
]
SETTINGS = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "accents stripped": {"do_lower_case": False, "strip_accents": True},
    "chinese joined": {"tokenize_chinese_chars": False},
    "specials split": {
        "split_special_tokens": True,
        "never_split": ["York"],
        "additional_special_tokens": ["ENT"],
    },
    "never split": {
        "never_split": ["New", "York", "[unused1]", "a", "0"],
        "additional_special_tokens": ["ENT"],
    },
    "short words": {"max_input_chars_per_word": 3, "never_split": ["New"]},
}


@functools.cache
def ways(name):
    """The three tokenizers of one row of settings, as functions from texts to ids."""
    expected = reference(VOCAB, **SETTINGS[name])
    python = BertTokenizer(VOCAB, **SETTINGS[name])
    return functools.partial(reference_ids, expected), in_python(python), in_graph(python)


def in_python(tokenizer):
    options = {"add_special_tokens": False, "padding": False, "return_tensors": None}
    return lambda texts: tokenizer(texts, **options)["input_ids"]


def in_graph(tokenizer):
    layer = tokenizer.in_graph()
    return lambda texts: layer.tokenize(tf.constant(texts, tf.string)).to_list()


def differing(texts, answers, expected):
    rows = zip(texts, answers, expected, strict=True)
    return [(text, answer, other) for text, answer, other in rows if answer != other][:5]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("uncased", [*CHARACTERS, *range(0x107F00, 0x110000)]),
        ("cased", CHARACTERS),
        ("chinese joined", CHARACTERS),
    ],
)
def test_every_code_point_between_two_letters(name, points):
    expected, _, graph = ways(name)
    texts = [f"a{chr(point)}b" for point in points]
    assert differing(texts, graph(texts), expected(texts)) == []


# Where accents are stripped, the marks that stay are put in order by the reference alone.
ORDERED = [c for c in map(chr, CHARACTERS) if unicodedata.combining(c)]
STAYING = re.compile(
    "[" + "".join(c for c in ORDERED if reference(VOCAB).normalizer.normalize_str(c)) + "]"
)


def without_marks_to_put_in_order(text):
    """The text with at most the first of the marks that stay."""
    first = STAYING.search(text)
    return text if first is None else text[: first.end()] + STAYING.sub("", text[first.end() :])


PARTS = [
    *("[MASK]", "[SEP]", "[CLS]", "[PAD]", "[UNK]", "[mask]", "[MA", "SK]", "[[", "[unused1]"),
    *("New", "York", "ENT", "new", " ", "  ", "\n", "\t", "\u3000", "\u2028", "!", "...", "-", "'"),
    *(
        "\u0301",
        "\u0323",
        "\u034f",
        "\u200d",
        "\u200b",
        "\ufeff",
        "\x00",
        "\x7f",
        "\ufffd",
        "\ufe0f",
    ),
    *(
        "👩\u200d👩\u200d👧",
        "👍🏽",
        "🇨🇳",
        "ß",
        "ẞ",
        "ΟΔΟΣ",
        "ς",
        "İ",
        "ı",
        "Å",
        "ﬁ",
        "ｆｕｌｌ",
        "ﾊﾟ",
        "Ａ",
    ),
    *("각", "각", "我爱", "豈", "\U00020000", "\U0002a700", "\U0002b820", "\U0002f800", "\u3007"),
    *(
        "\u166d",
        "\U000111c9",
        "\u061d",
        "\u2e5d",
        "\ue000",
        "\U000f0000",
        "\U00108000",
        "\U0010fffd",
    ),
    *(
        "x" * 99,
        "x" * 100,
        "x" * 101,
        "é" * 101,
        "\U00010400" * 101,
        "a",
        "b",
        "k",
        "mask",
        "0",
        "1",
    ),
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PARTS),
        st.characters(exclude_categories=("Cs",)),
        st.text(st.sampled_from(LETTERS), max_size=6),
        st.text(st.characters(min_codepoint=0x300, max_codepoint=0x36F), max_size=4),
    ),
    max_size=10,
).map("".join)


@pytest.mark.parametrize("name", SETTINGS)
@settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(texts=st.lists(TEXTS.map(without_marks_to_put_in_order), min_size=25, max_size=60))
def test_any_text(name, texts):
    expected, python, graph = ways(name)
    ids = expected(texts)
    assert differing(texts, python(texts), ids) == []
    assert differing(texts, graph(texts), ids) == []


LOWER_CASED = {
    "bert-base-uncased": True,
    "bert-base-multilingual-cased": False,
    "bert-base-cased": False,
    "bert-base-chinese": True,
}


def lines_of(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")


def strings(value):
    """Every string within a JSON value."""
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in values for text in strings(part)]


@pytest.fixture(scope="module")
def corpora(data_dir):
    """Every different line of text of all data sets; benchmarks/tokenization.py takes them all."""
    texts = []
    for path in sorted(data_dir.glob("*/**/*.*")):
        kind = path.name.removesuffix(".gz").rsplit(".")[-1]
        lines = [] if path.parent.parent.name == "vocab" else lines_of(path)
        if kind == "json":
            texts += strings(json.loads("\n".join(lines)))
        elif kind == "bmes":
            sentences = "\n".join(lines).split("\n\n")
            texts += ["".join(re.findall(r"^\S+", sentence, re.M)) for sentence in sentences]
        elif kind == "csv":
            texts += [field for row in csv.reader(lines) for field in row]
        else:
            texts += [field for line in lines for field in line.split("\t")]
    return sorted(set(texts))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [*zip(LOWER_CASED, (3, 6, 40, 40), strict=True)])
def test_lines_of_real_text(name, step, data_dir, corpora):
    vocab = lines_of(data_dir / "vocab" / name / "vocab.txt")[:-1]
    python = BertTokenizer(vocab, do_lower_case=LOWER_CASED[name])
    assert len(corpora) > 100_000
    texts = corpora[::step]
    expected = reference_ids(reference(vocab, do_lower_case=LOWER_CASED[name]), texts)
    assert differing(texts, in_graph(python)(texts), expected) == []
    assert differing(texts[::5], in_python(python)(texts[::5]), expected[::5]) == []
