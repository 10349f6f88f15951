"""Offsets in a graph are those of `BertTokenizer`, whose are those of the `tokenizers` library."""

# ruff: noqa: RUF001
from __future__ import annotations

import functools
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenization.test_exactness import (
    CHARACTERS,
    LOWER_CASED,
    PARTS,
    STAYING,
    TEXTS,
    VOCAB,
    differing,
    lines_of,
)

from keras_bert_kit import BertTokenizer
from keras_bert_kit.tokenization.in_graph import TEXT_OPERATIONS
from keras_bert_kit.tokenization.offsets import character_offsets

SETTINGS = {
    "uncased": {},
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "accents stripped": {"do_lower_case": False, "strip_accents": True},
    "chinese joined": {"tokenize_chinese_chars": False},
    "short words": {"max_input_chars_per_word": 3},
    "special": {"additional_special_tokens": ["ENT"]},
}
NASTY = [
    "",
    "   ",
    "\t\n",
    "a",
    "Résumé naïve, café!",
    "Re\u0301sume\u0301\u0323 a\u0308\u0301b",
    "\u0301a",
    "ﬁabﬀ ﬃx",
    "İab Iıi İ",
    "각ab 각a 한국어",
    "مَرْحَبًا بك",
    "👩\u200d👩\u200d👧a 👍🏽 🇨🇳b",
    "我爱，a我b",
    "我ab爱 \U0002b820a",
    "a\u00adb \u00adab\u00ad ab\u200b",
    "a\u0001b\u0002 \u0085 a\u007f",
    "\ufeffa\ufffdb",
    "a b\u3000c\u2028d\u00a0e",
    "ß ẞ ς ΟΔΟΣ",
    "[MASK] [SEP]a [mask]",
    "x" * 100 + " a",
    "é" * 101 + "a b",
    "\U00010400" * 101 + "!x\u0301",
    "𝔘nicode \u166d\U000111c9b",
]


@functools.cache
def ways(name):
    """The tokenizers of one row of settings, as functions from texts to ids with offsets."""
    python = BertTokenizer(VOCAB, split_special_tokens=True, **SETTINGS[name])
    return in_python(python), in_graph(python)


def in_python(tokenizer):
    options = {"add_special_tokens": False, "padding": False, "return_tensors": None}

    def tokens(texts):
        rows = tokenizer(texts, return_offsets_mapping=True, **options)
        pairs = zip(rows["input_ids"], rows["offset_mapping"], strict=True)
        return [
            [(i, *offset) for i, offset in zip(ids, offsets, strict=True)] for ids, offsets in pairs
        ]

    return tokens


def in_graph(tokenizer):
    layer = tokenizer.in_graph()

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def parts(texts):
        ids, starts, ends = layer.tokenize_with_offsets(texts)
        return ids, character_offsets(texts, starts), character_offsets(texts, ends)

    def tokens(texts):
        rows = zip(*(part.to_list() for part in parts(tf.constant(texts, tf.string))), strict=True)
        return [list(zip(*row, strict=True)) for row in rows]

    return tokens


@pytest.mark.parametrize("name", SETTINGS)
def test_nasty_texts(name):
    python, graph = ways(name)
    texts = [*NASTY, *PARTS, "".join(NASTY), *(f" {part} {part}a" for part in PARTS)]
    assert differing(texts, graph(texts), python(texts)) == []


@pytest.mark.parametrize("name", SETTINGS)
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(texts=st.lists(TEXTS.map(lambda text: STAYING.sub("", text)), min_size=25, max_size=60))
def test_any_text_without_marks_that_stay(name, texts):
    python, graph = ways(name)
    assert differing(texts, graph(texts), python(texts)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uncased", "cased"])
@pytest.mark.parametrize("form", ["a{0}b", "{0}", " {0}{0}\u0301 m{0}"])
def test_every_code_point(name, form):
    python, graph = ways(name)
    texts = [form.format(chr(point)) for point in CHARACTERS]
    assert differing(texts, graph(texts), python(texts)) == []


def test_a_mark_that_is_put_in_order_stands_where_it_is_written():
    python, graph = ways("uncased")
    text = "a\u0301\u302e b"  # of combining classes 230 and 224, the second of which stays
    unknown, b = VOCAB.index("[UNK]"), VOCAB.index("b")
    a = VOCAB.index("a")
    hangul = VOCAB.index("##\u302e")
    assert unknown not in (a, hangul)
    assert python([text]) == [[(a, 0, 1), (hangul, 1, 2), (b, 4, 5)]]
    assert graph([text]) == [[(a, 0, 1), (hangul, 2, 3), (b, 4, 5)]]


@pytest.fixture(scope="module")
def layer():
    return BertTokenizer(VOCAB, split_special_tokens=True).in_graph()


def test_offsets_are_bytes_of_the_text_as_given(layer):
    texts = ["É我 ab", "", "\u00ad[MASK"]
    ids, starts, ends = layer.tokenize_with_offsets(tf.constant(texts))
    pieces = [
        [text.encode()[start:end].decode() for start, end in zip(*row, strict=True)]
        for text, *row in zip(texts, starts.to_list(), ends.to_list(), strict=True)
    ]
    assert pieces == [["É", "我", "a", "b"], [], ["[", "MASK"]]
    assert {part.dtype for part in (ids, starts, ends)} == {tf.int32}
    for part in (starts, ends):
        np.testing.assert_array_equal(part.row_splits, ids.row_splits)
    assert ids.to_list() == layer.tokenize(texts).to_list()


def test_a_word_that_is_too_long_is_covered_whole(layer):
    ids, starts, ends = layer.tokenize_with_offsets(["a " + "é" * 101 + "\u00ad b", "x" * 2000])
    assert ids.to_list()[1] == [layer.unk_token_id]
    assert starts.to_list() == [[0, 2, 207], [0]]
    assert ends.to_list() == [[1, 204, 208], [2000]]


def test_an_empty_batch_has_no_tokens(layer):
    none = tf.zeros([0], tf.string)
    for part in layer.tokenize_with_offsets(none):
        assert (part.to_list(), part.dtype) == ([], tf.int32)
        assert character_offsets(none, part).to_list() == []


def test_texts_that_are_no_utf_8_have_offsets_within_them(layer):
    generator = np.random.default_rng(11)
    choice = np.frombuffer(b"ab !\xc3\xa9\xe4\xb8\xad\xf0\x9f\x99\x82\xff\xc0\x80\xed\x00", "uint8")
    texts = [generator.choice(choice, n).tobytes() for n in generator.integers(0, 20, 2000)]
    ids, starts, ends = layer.tokenize_with_offsets(texts)
    assert ids.to_list() == layer.tokenize(texts).to_list()
    length = tf.gather(tf.strings.length(texts), ids.value_rowids())
    starts, ends = starts.values, ends.values
    assert tf.reduce_all((starts >= 0) & (starts < ends) & (ends <= length))
    assert ids.values.shape[0] > 1000


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({}, "split_special_tokens=False"),
        ({"split_special_tokens": True, "never_split": ["York"]}, r"never_split=\('York',\)"),
    ],
)
def test_tokens_that_are_kept_whole_are_refused(options, received):
    layer = BertTokenizer(VOCAB, **options).in_graph()
    with pytest.raises(ValueError, match=f"keeps no written token whole.*{received}"):
        layer.tokenize_with_offsets(["a"])


def test_only_two_operations_are_not_of_tensorflow(layer, tmp_path):
    module = tf.Module()
    module.layer = layer

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(texts):
        ids, starts, _ = layer.tokenize_with_offsets(texts)
        return {"ids": ids.to_tensor(), "starts": character_offsets(texts, starts).to_tensor()}

    module.serve = serve
    operations = {op.type for op in serve.get_concrete_function().graph.get_operations()}
    assert {name for name in operations if name.startswith("Fast")} == set(TEXT_OPERATIONS)
    assert not {name for name in operations if "Py" in name or "Regex" in name}
    tf.saved_model.save(module, tmp_path / "saved")
    loaded = tf.saved_model.load(tmp_path / "saved")
    for texts in (NASTY, []):
        given = tf.constant(texts, tf.string)
        for name, expected in serve(given).items():
            np.testing.assert_array_equal(loaded.serve(given)[name], expected)


def test_characters_are_counted_in_bytes_of_every_width():
    texts = ["aé我🙂z", "e\u0301👩\u200d👧", ""]
    bytes_of = [[len(text[:end].encode()) for end in range(len(text) + 1)] for text in texts]
    counts = [list(range(len(text) + 1)) for text in texts]
    ragged = tf.ragged.constant(bytes_of, tf.int64)
    assert character_offsets(texts, ragged).to_list() == counts
    dense = tf.constant([[1, 3, 6], [1, 3, 7], [0, 0, 0]])
    result = character_offsets(tf.constant(texts), dense)
    assert (result.dtype, result.numpy().tolist()) == (tf.int32, [[1, 2, 3], [1, 2, 3], [0, 0, 0]])
    deep = character_offsets(texts, dense[:, tf.newaxis, :, tf.newaxis])
    np.testing.assert_array_equal(deep[:, 0, :, 0], result)


def test_offsets_outside_or_within_a_character_have_one_all_the_same():
    offsets = tf.constant([[-1, 0, 1, 2, 3, 4, 99]])
    assert character_offsets(["é我"], offsets).numpy().tolist() == [[0, 0, 1, 1, 2, 2, 2]]
    assert character_offsets(tf.zeros([0], tf.string), tf.zeros([0, 3], "int32")).shape == (0, 3)


def test_characters_of_texts_that_are_no_utf_8_are_those_of_tensorflow():
    generator = np.random.default_rng(5)
    texts = [generator.integers(0, 256, 12).astype("uint8").tobytes() for _ in range(300)]
    starts = generator.integers(0, 13, (300, 1))
    before = [text[: start[0]] for text, start in zip(texts, starts, strict=True)]
    expected = tf.strings.length(before, unit="UTF8_CHAR")
    np.testing.assert_array_equal(character_offsets(texts, starts)[:, 0], expected)


@pytest.fixture(scope="module")
def real_lines(data_dir):
    """Lines of text in ten languages, and paragraphs."""
    files = [data_dir / "sst2" / "dev.tsv", data_dir / "chnsenticorp" / "dev.tsv.gz"]
    files += sorted((data_dir / "xlmt_sentiment").glob("*/*"))
    texts = [field for path in files for line in lines_of(path) for field in line.split("\t")]
    sentences = "\n".join(lines_of(data_dir / "weibo_ner" / "dev.all.bmes")).split("\n\n")
    texts += ["".join(re.findall(r"^\S+", sentence, re.M)) for sentence in sentences]
    squad = json.loads("\n".join(lines_of(data_dir / "squad_v1.1" / "first38-articles.json.gz")))
    texts += [part["context"] for article in squad["data"] for part in article["paragraphs"]]
    return sorted(set(texts))


@pytest.mark.data
@pytest.mark.parametrize("name", LOWER_CASED)
def test_lines_of_real_text(name, data_dir, real_lines):
    vocab = lines_of(data_dir / "vocab" / name / "vocab.txt")[:-1]
    python = BertTokenizer(vocab, do_lower_case=LOWER_CASED[name], split_special_tokens=True)
    texts = real_lines[::6]
    assert len(texts) > 3000
    assert differing(texts, in_graph(python)(texts), in_python(python)(texts)) == []
