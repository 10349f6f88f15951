"""Entities in the graph, against the same done slowly in Python."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit.data.tags import spans_of
from keras_bert_kit.tasks.tagging import TagTable, Words, entities_of, listed, word_mask, words_of
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

NAMES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
TEXTS = ["the food was un-good", "", "very.nice!", "zebra film", "a" * 120]


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab).as_text()


def random_words(random, texts=6, most=9):
    """Words at places 1, 3, 5, ... of each text, of two bytes each with a space between."""
    counts = random.integers(0, most, texts)
    rows = np.repeat(np.arange(texts), counts).astype("int32")
    number = np.concatenate([np.arange(count) for count in counts]).astype("int32")
    words = Words(rows, 1 + 2 * number, 3 * number, 3 * number + 2)
    return Words(*map(tf.constant, (words.rows, words.places, words.starts, words.ends))), counts


@pytest.mark.parametrize("seed", range(5))
def test_entities_are_the_spans_of_the_tags(seed):
    random = np.random.default_rng(seed)
    words, counts = random_words(random)
    tags = random.integers(0, len(NAMES), (len(counts), 20)).astype("int32")
    scores = random.random(tags.shape).astype("float32")
    table = TagTable(NAMES)
    entities = entities_of(words, tf.constant(tags), tf.constant(scores), table)
    expected = []
    for row, count in enumerate(counts):
        places = 1 + 2 * np.arange(count)
        for type_, first, last in spans_of([NAMES[tag] for tag in tags[row, places]]):
            score = scores[row, places[first:last]].mean()
            expected.append((row, type_, 3 * first, 3 * (last - 1) + 2, score))
    found = list(
        zip(
            entities.rows.numpy(),
            [table.types[index] for index in entities.types.numpy()],
            entities.starts.numpy(),
            entities.ends.numpy(),
            entities.scores.numpy(),
            strict=True,
        )
    )
    assert [one[:4] for one in found] == [one[:4] for one in expected]
    np.testing.assert_allclose([o[4] for o in found], [o[4] for o in expected], rtol=1e-6)


def test_a_batch_without_words_has_no_entities(tokenizer):
    empty = tf.zeros([0], tf.int32)
    words = Words(empty, empty, empty, empty)
    tags, scores = tf.zeros([2, 5], tf.int32), tf.zeros([2, 5])
    entities = entities_of(words, tags, scores, TagTable(NAMES))
    texts = tf.constant(["a", ""])
    outputs = listed("entities", tokenizer.in_graph(), texts, entities, ["LOC", "PER"])
    assert outputs["entities.label"].numpy().tolist() == [[b""], [b""]]
    assert outputs["entities.count"].numpy().tolist() == [0, 0]


def test_other_schemes_begin_and_go_on():
    table = TagTable(["O", "S-A", "B-A", "M-A", "E-A", "PLACE"])
    assert table.types == ["A", "PLACE"]
    assert table.type_of.numpy().tolist() == [-1, 0, 0, 0, 0, 1]
    assert table.begins.numpy().tolist() == [False, True, True, False, False, False]


def test_words_begin_where_pieces_do_not_go_on(tokenizer):
    layer = tokenizer.in_graph(64)
    ids, starts, ends = layer.tokenize_with_offsets(tf.constant(TEXTS))
    inputs = layer.pack(ids, max_length=64)
    begins = word_mask(layer, inputs["input_ids"])
    words = words_of(begins, starts, ends)
    found = [[] for _ in TEXTS]
    values = (words.rows, words.starts, words.ends)
    for row, start, end in zip(*(one.numpy() for one in values), strict=True):
        found[row].append(TEXTS[row].encode()[start:end].decode())
    assert found == [
        ["the", "food", "was", "un", "-", "good"],
        [],
        ["very", ".", "nice", "!"],
        ["zebra", "film"],
        ["a" * 120],
    ]
    at_words = words.of(inputs["input_ids"]).numpy()
    assert not any(token.startswith("##") for token in tokenizer.convert_ids_to_tokens(at_words))


def test_words_that_were_cut_are_left_out(tokenizer):
    layer = tokenizer.in_graph(5)
    ids, starts, ends = layer.tokenize_with_offsets(tf.constant(["the food was good", "a film"]))
    begins = word_mask(layer, layer.pack(ids, max_length=5)["input_ids"])
    words = words_of(begins, starts, ends)
    assert words.rows.numpy().tolist() == [0, 0, 0, 1, 1]
    assert words.ends.numpy().tolist() == [3, 8, 12, 1, 6]


def test_offsets_are_in_characters(tokenizer):
    empty = tf.zeros([0], tf.int32)
    text = "où 🙂 là"
    start, end = len("où 🙂 ".encode()), len(text.encode())
    words = Words(*(tf.constant([value]) for value in (0, 1, start, end)))
    tags, scores = tf.constant([[0, 1, 0]]), tf.constant([[0.0, 0.5, 0.0]])
    entities = entities_of(words, tags, scores, TagTable(NAMES))
    outputs = listed("entities", tokenizer.in_graph(), tf.constant([text]), entities)
    assert outputs["entities.text"].numpy().tolist() == [["là".encode()]]
    assert (outputs["entities.start"].numpy(), outputs["entities.end"].numpy()) == ([[5]], [[7]])
    assert empty.shape == (0,)
