import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertTokenizer
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer
from keras_bert_kit.tokenization.normalizer_map import MARKS

NAMES = ("input_ids", "token_type_ids", "attention_mask")
TEXTS = ["The food was GREAT!", "", "café, naïve 3-room", "中文 the", "a\tb\u200bc\x00d \ufffd"]
PAIRS = ["", "was it?", "[SEP] so", "x" * 100, "very very very good"]


@pytest.fixture(scope="module")
def layer(tokenizer):
    return tokenizer.in_graph()


def assert_equal(actual, expected):
    assert set(actual) == set(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
        assert keras.backend.standardize_dtype(actual[name].dtype) == "int32"


def random_texts(tokenizer, count, seed):
    generator = np.random.default_rng(seed)
    words = [token.removeprefix("##") for token in tokenizer.tokens[5:]]
    words += ["unknownßword", "goodfood", "§", "İ", "…"]
    lengths = generator.integers(0, 21, count) * (generator.random(count) > 0.1)
    return [" ".join(generator.choice(words, length)) for length in lengths]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strip", [None, True, False])
def test_ids_equal_those_of_python_under_all_settings(tokenizer, lower, strip):
    python = BertTokenizer(tokenizer.tokens, do_lower_case=lower, strip_accents=strip)
    texts = [*TEXTS, *PAIRS, *random_texts(tokenizer, 40, seed=3)]
    assert_equal(python.in_graph()(tf.constant(texts)), python(texts))


@pytest.mark.parametrize("max_length", [None, *range(5, 31)])
def test_random_texts_and_pairs_are_packed_as_in_python(tokenizer, layer, max_length):
    first, second = (random_texts(tokenizer, 50, seed) for seed in (1, 2))
    ids, pair_ids = layer.tokenize(first), layer.tokenize(second)
    packed = layer.pack(ids, pair_ids, max_length)
    assert_equal(packed, tokenizer(first, second, max_length=max_length))
    assert_equal(layer.pack(ids, None, max_length), tokenizer(first, max_length=max_length))


@pytest.mark.parametrize("max_length", [5, 8, 9, 12])
def test_pairs_of_all_small_lengths_are_cut_as_in_python(tokenizer, layer, max_length):
    lengths = [(one, other) for one in range(9) for other in range(9)]
    first, second = (["a " * pair[i] for pair in lengths] for i in (0, 1))
    packed = layer.pack(layer.tokenize(first), layer.tokenize(second), max_length)
    assert_equal(packed, tokenizer(first, second, max_length=max_length))


def test_texts_and_pairs_of_edge_cases_equal_python(tokenizer):
    for max_length in (None, 7):
        layer = tokenizer.in_graph(max_length)
        pair = (tf.constant(TEXTS), tf.constant(PAIRS))
        assert_equal(layer(pair), tokenizer(TEXTS, PAIRS, max_length=max_length))
        assert_equal(layer(tf.constant(TEXTS)), tokenizer(TEXTS, max_length=max_length))


WRITTEN = ["[MASK] [PAD]", "the[SEP]food", "[CLS]", "[[mask]][MASK]", "[MA\U00108000SK]", "[UNK]s"]


@pytest.mark.parametrize("split", [True, False])
def test_special_tokens_in_a_text_are_read_as_in_python(vocab, split):
    python = BertTokenizer(vocab, split_special_tokens=split)
    assert_equal(python.in_graph()(tf.constant(WRITTEN)), python(WRITTEN))
    assert split != np.isin(python("[MASK]")["input_ids"], python.mask_token_id).any()


def test_special_tokens_are_found_beside_bytes_that_are_no_text(tokenizer, layer):
    mask = tokenizer.mask_token_id
    for text in (b"\xff [MASK]", b"\xe4\xb8[MASK] a\xc3", b"[MASK]"):
        assert mask in layer.tokenize([text]).to_list()[0]


def test_marks_in_a_text_are_deleted_like_other_private_characters(tokenizer, layer):
    texts = [f"the{chr(MARKS[i])}food {chr(MARKS[i])}" for i in (0, 1, 2, 3, 4, 8, -1)]
    assert_equal(layer(tf.constant(texts)), tokenizer(texts))
    assert_equal(layer(tf.constant(texts)), tokenizer(["thefood"] * len(texts)))


def test_a_vocabulary_may_hold_private_characters(vocab):
    private = ["\U00108000", "\U00108003", "\U000f0000", "##\U000f0000", "\U0002b820", "\U000f0001"]
    python = BertTokenizer([*vocab, *private], tokenize_chinese_chars=False)
    texts = [*private, " ".join(private), "".join(private), "x" * 101, "a\U0002b820"]
    assert_equal(python.in_graph()(tf.constant(texts)), python(texts))
    assert python.vocab["\U0002b820"] in python(texts)["input_ids"]


def test_a_given_length_is_padded_to(layer):
    packed = layer.pack(layer.tokenize(["good food", ""]), length=9)
    assert packed["input_ids"].shape == (2, 9)
    assert tf.reduce_sum(packed["attention_mask"], 1).numpy().tolist() == [4, 2]
    assert np.all(packed["input_ids"].numpy()[packed["attention_mask"] == 0] == 0)


def test_an_empty_batch_has_room_for_the_first_token(layer):
    none = tf.zeros([0], tf.string)
    for inputs in (none, (none, none)):
        assert {tuple(array.shape) for array in layer(inputs).values()} == {(0, 2)}


def test_a_limit_without_room_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"at least 3 for texts.*max_length=2"):
        tokenizer.in_graph(2)


@pytest.mark.parametrize(("paired", "max_length"), [(True, 3), (True, 4), (False, 2)])
def test_a_limit_without_room_is_refused_where_texts_are_packed(layer, paired, max_length):
    ids = layer.tokenize(["the food"])
    with pytest.raises(ValueError, match="max_length must be at least"):
        layer.pack(ids, ids if paired else None, max_length)


@pytest.mark.parametrize("limit", [1, 2, 7, 100, 1500])
def test_a_word_of_too_many_characters_is_unknown_as_in_python(vocab, limit):
    python = BertTokenizer(vocab, max_input_chars_per_word=limit)
    words = [c * (limit + more) for c in ("x", "é", "中", "\U00010400") for more in (-1, 0, 1)]
    texts = [*words, *(f"the {word}, food" for word in words), " ".join(words), "x" * 5000]
    assert_equal(python.in_graph()(tf.constant(texts)), python(texts))
    assert python(["x" * (limit + 1)])["input_ids"].shape == (1, 3)


def test_chinese_characters_that_stay_together_are_as_in_python(vocab):
    python = BertTokenizer([*vocab, "中文", "##国"], tokenize_chinese_chars=False)
    texts = ["中文国 the", "国中文", "中food", "豈\U0002a700"]
    assert_equal(python.in_graph()(tf.constant(texts)), python(texts))
    assert python.tokenize("中文国") == ["中文", "##国"]


@pytest.mark.parametrize("truncation", [True, "longest_first", "only_first", "only_second", False])
@pytest.mark.parametrize("max_length", [12, 14, None])
def test_ways_to_cut_are_those_of_python(tokenizer, truncation, max_length):
    layer = tokenizer.in_graph(max_length, truncation)
    lengths = [(one, other) for one in range(1, 9) for other in range(1, 9)]
    first, second = (["a " * pair[i] for pair in lengths] for i in (0, 1))
    expected = tokenizer(first, second, max_length=max_length, truncation=truncation)
    assert_equal(layer((tf.constant(first), tf.constant(second))), expected)


@pytest.mark.parametrize("truncation", ["only_first", "only_second"])
def test_without_room_for_a_text_the_other_is_cut_too(tokenizer, truncation):
    layer = tokenizer.in_graph(8, truncation)
    ids = layer((tf.constant(["a " * 9]), tf.constant(["b " * 9])))["input_ids"]
    kept = "b" if truncation == "only_first" else "a"
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == " ".join(kept * 5)


def test_ways_to_cut_that_cannot_be_are_refused(tokenizer):
    with pytest.raises(ValueError, match=r"truncation must be True, False, .*truncation='first'"):
        tokenizer.in_graph(8, "first")
    with pytest.raises(ValueError, match="Only a pair has a second text"):
        tokenizer.in_graph(8, "only_second")(tf.constant(["a"]))


def test_marks_out_of_order_are_not_put_in_order_unlike_in_python(vocab):
    marks = ["\u302e", "\U0001d165"]  # of combining classes 224 and 216
    python = BertTokenizer([*vocab, "".join(marks), "".join(marks[::-1])])
    text = "".join(marks)
    assert python.tokenize(text) == [text[::-1]]
    assert python.in_graph().tokenize([text]).to_list() == [[python.vocab[text]]]
    assert_equal(python.in_graph()(tf.constant([text[::-1]])), python([text[::-1]]))


def test_settings_survive_serialisation(tokenizer):
    settings = {
        "do_lower_case": False,
        "strip_accents": True,
        "tokenize_chinese_chars": False,
        "max_length": 7,
        "truncation": "only_first",
        "split_special_tokens": True,
        "never_split": ["food"],
        "additional_special_tokens": ["good"],
        "max_input_chars_per_word": 5,
    }
    layer = InGraphTokenizer(tokenizer.tokens, **settings, name="ids")
    config = layer.get_config()
    assert {name: config[name] for name in settings} == settings
    assert config["vocab"] == tokenizer.tokens
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == config
    assert_equal(copy(tf.constant(TEXTS)), layer(tf.constant(TEXTS)))
    assert layer.weights == []


FRESH = """
import sys
import keras, keras_bert_kit
import keras_bert_kit.tokenization.in_graph
import tensorflow as tf
model = keras.models.load_model(sys.argv[1])
print(model(tf.constant(["the food", "good"]))["input_ids"].numpy().tolist())
"""


def test_a_functional_model_takes_strings_and_is_saved_with_the_vocabulary(tokenizer, tmp_path):
    texts = keras.Input((), dtype="string")
    symbolic = tokenizer.in_graph(max_length=6)(texts)
    assert {name: symbolic[name].shape for name in NAMES} == dict.fromkeys(NAMES, (None, None))
    assert {symbolic[name].dtype for name in NAMES} == {"int32"}
    model = keras.Model(texts, symbolic)
    expected = tokenizer(TEXTS, max_length=6)
    assert_equal(model(tf.constant(TEXTS)), expected)
    model.save(tmp_path / "tokenizer.keras")
    loaded = keras.models.load_model(tmp_path / "tokenizer.keras")
    assert_equal(loaded(tf.constant(TEXTS)), expected)
    command = [sys.executable, "-c", FRESH, str(tmp_path / "tokenizer.keras")]
    fresh = subprocess.run(command, capture_output=True, text=True, check=False)
    assert fresh.returncode == 0, fresh.stderr
    assert fresh.stdout.strip() == str(tokenizer(["the food", "good"])["input_ids"].tolist())


def test_data_sets_map_texts_and_pairs(tokenizer):
    layer = tokenizer.in_graph(max_length=9)
    data = tf.data.Dataset.from_tensor_slices((TEXTS, PAIRS)).batch(2)
    batches = list(data.map(lambda text, pair: layer((text, pair))).as_numpy_iterator())
    for start, batch in zip(range(0, len(TEXTS), 2), batches, strict=True):
        part = slice(start, start + 2)
        assert_equal(batch, tokenizer(TEXTS[part], PAIRS[part], max_length=9))


def test_a_layer_made_while_a_graph_is_traced_works_outside_of_it(tiny_vocab):
    tokenizer = BertTokenizer([*tiny_vocab, "onlyhere"])  # so that no other test made its op
    made = []

    @tf.function
    def trace(texts):
        made.append(tokenizer.in_graph())
        return made[0](texts)

    texts = ["the onlyhere", "food"]
    assert_equal(trace(tf.constant(texts)), tokenizer(texts))
    assert_equal(made[0](tf.constant(texts)), tokenizer(texts))
    assert_equal(tokenizer.in_graph()(tf.constant(texts)), tokenizer(texts))
    again = tf.function(made[0])(tf.constant(texts))
    assert_equal(again, tokenizer(texts))
