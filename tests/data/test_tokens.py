import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data.conll import TaggedSentences, read_conll, tag_names
from keras_bert_kit.data.tokens import encode_words

WORDS = [["the", "U.S.", "phones", "was"], ["good", "\x00", "film"], [], ["very"] * 20]
TAGS = [["O", "B-LOC", "B-X", "O"], ["B-X", "I-X", "I-X"], [], ["O"] * 20]
NAMES = ["O", "B-LOC", "I-LOC", "B-X", "I-X"]


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab).as_text()


@pytest.fixture(scope="module")
def features(tokenizer):
    return encode_words(TaggedSentences("train.txt", WORDS, TAGS), tokenizer, NAMES, 16)


def labelled(features, tokenizer, row):
    tokens = tokenizer.convert_ids_to_tokens(features.ids[row][: features.lengths[row]])
    labels = [None if label < 0 else NAMES[label] for label in features.labels[row]]
    return list(zip(tokens, labels, strict=False))


def test_each_word_of_bert_has_a_label_and_no_other_token(features, tokenizer):
    assert labelled(features, tokenizer, 0) == [
        ("[CLS]", None),
        ("the", "O"),
        ("u", "B-LOC"),
        (".", "I-LOC"),
        ("s", "I-LOC"),
        (".", "I-LOC"),
        ("phone", "B-X"),
        ("##s", None),
        ("was", "O"),
        ("[SEP]", None),
    ]


def test_a_word_without_tokens_and_words_that_were_cut_are_o(features):
    assert features.first_places[1].tolist() == [1, -1, 2]
    places = features.first_places[3]
    assert places.tolist() == [*range(1, 15), *[-1] * 6]
    assert features.truncated == 1
    tags = features.word_tags([np.full(16, 3)] * 4, NAMES)
    assert tags[1] == ["B-X", "O", "B-X"]
    assert tags[3] == ["B-X"] * 14 + ["O"] * 6
    assert tags[2] == []


def test_the_labels_come_back_as_the_words_tags(features):
    tags = features.word_tags([np.maximum(row, 0) for row in features.labels], NAMES)
    assert tags[0] == TAGS[0]


@pytest.mark.parametrize("length", [10, 16, 24])
def test_a_batch_has_weights_of_mean_1(features, length):
    inputs, labels, weights = features.pack(tf.constant([1, 0]), tf.constant(length))
    assert {tuple(v.shape) for v in (*inputs.values(), labels, weights)} == {(2, length)}
    assert weights.numpy().mean() == pytest.approx(1)
    np.testing.assert_array_equal(weights[1, :10].numpy() > 0, features.labels[0][:10] >= 0)
    assert not weights[:, 10:].numpy().any()
    np.testing.assert_array_equal(inputs["attention_mask"].numpy().sum(1), [4, 10])
    assert labels.numpy().min() == 0
    np.testing.assert_array_equal(inputs["input_ids"][1, :10], features.ids[0][:10])
    assert inputs["input_ids"].numpy()[0, 4:].sum() == 0


def test_a_sentence_without_words_has_weight_0(features):
    _, _, weights = features.pack(tf.constant([2]), tf.constant(8))
    assert np.isfinite(weights).all()
    assert weights.numpy().sum() == 0


def test_the_tokens_of_the_predicate_have_type_1(tokenizer):
    sentences = TaggedSentences("train.txt", WORDS[:2], TAGS[:2])
    features = encode_words(sentences, tokenizer, NAMES, 16, predicates=[2, None])
    assert features.types[0].tolist()[:10] == [0, 0, 0, 0, 0, 0, 1, 1, 0, 0]
    assert not features.types[1].any()


def test_an_unknown_tag_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"dev.txt: each label must be one of .*'B-Y'"):
        encode_words(TaggedSentences("dev.txt", [["a"]], [["B-Y"]]), tokenizer, NAMES, 16)


@pytest.mark.data
def test_no_tag_is_lost_on_the_way(data_dir):
    sentences = read_conll(data_dir / "conll2003" / "eng.testa.gz")
    tokenizer = BertTokenizer(data_dir / "vocab" / "bert-base-cased" / "vocab.txt", False)
    names = tag_names(sentences)
    features = encode_words(sentences, tokenizer.as_text(), names, 256)
    tags = features.word_tags([np.maximum(row, 0) for row in features.labels], names)
    assert features.truncated == 0
    assert tags == sentences.tags
