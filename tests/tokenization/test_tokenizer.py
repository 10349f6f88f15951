import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tokenizers import BertWordPieceTokenizer

from keras_bert_kit import BertTokenizer


def random_texts(vocab, count, seed=5):
    """Texts of 0 to 20 words and pieces, some of them unknown or several tokens long."""
    generator = np.random.default_rng(seed)
    words = [*(token.removeprefix("##") for token in vocab[5:]), "unknownßword", "goodfood", "§"]
    lengths = generator.integers(0, 21, count) * (generator.random(count) > 0.1)
    return [" ".join(generator.choice(words, length)) for length in lengths]


def reference(vocab, max_length=None, **settings):
    """The `tokenizers` library's own BERT tokenizer."""
    ids = {token: index for index, token in enumerate(vocab)}
    tokenizer = BertWordPieceTokenizer(
        ids,
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.add_special_tokens(list(vocab[:5]))
    tokenizer.enable_padding(pad_id=ids["[PAD]"])
    if max_length is not None:
        tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer


def assert_equal(inputs, encodings):
    fields = {"input_ids": "ids", "token_type_ids": "type_ids", "attention_mask": "attention_mask"}
    assert inputs.keys() == fields.keys()
    for name, field in fields.items():
        expected = np.array([getattr(encoding, field) for encoding in encodings])
        np.testing.assert_array_equal(inputs[name], expected, err_msg=name)
        assert inputs[name].dtype == np.int32


def test_known_ids(tokenizer, vocab):
    tokens = ["[CLS]", "the", "food", "was", "great", "!", "[SEP]"]
    inputs = tokenizer(["The food was GREAT!", "food"])
    assert [vocab[i] for i in inputs["input_ids"][0]] == tokens
    assert [vocab[i] for i in inputs["input_ids"][1]] == ["[CLS]", "food", "[SEP]", *["[PAD]"] * 4]
    assert inputs["attention_mask"].tolist() == [[1] * 7, [1, 1, 1, 0, 0, 0, 0]]
    pair = tokenizer("food", "was it?")
    assert pair["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1, 1]]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("strip", [None, True, False])
@pytest.mark.parametrize("chinese", [True, False])
def test_ids_equal_the_reference_under_all_settings(texts, vocab, lower, strip, chinese):
    settings = {"do_lower_case": lower, "strip_accents": strip, "tokenize_chinese_chars": chinese}
    texts = [*texts, *random_texts(vocab, 40)]
    expected = reference(vocab, **settings).encode_batch(texts)
    assert_equal(BertTokenizer(vocab, **settings)(texts), expected)


@pytest.mark.parametrize("max_length", [5, 6, 11, 30])
def test_the_longer_text_of_a_pair_is_cut_first_as_in_the_reference(tokenizer, vocab, max_length):
    first, second = random_texts(vocab, 200, seed=1), random_texts(vocab, 200, seed=2)
    expected = reference(vocab, max_length).encode_batch(list(zip(first, second, strict=True)))
    assert_equal(tokenizer(first, second, max_length=max_length), expected)
    assert_equal(
        tokenizer(first, max_length=max_length), reference(vocab, max_length).encode_batch(first)
    )


def test_a_limit_of_one_call_is_forgotten_by_the_next(tokenizer):
    assert tokenizer(["the food was good"], max_length=3)["input_ids"].shape == (1, 3)
    assert tokenizer(["the food was good"])["input_ids"].shape == (1, 6)


def test_nothing_gives_empty_arrays(tokenizer):
    for inputs in (tokenizer([]), tokenizer([], [])):
        assert {array.shape for array in inputs.values()} == {(0, 0)}


@pytest.mark.parametrize(
    ("pair", "max_length", "least"), [(None, 2, 3), (None, 0, 3), (["a"], 4, 5), (["a"], -1, 5)]
)
def test_a_limit_without_room_is_refused(tokenizer, pair, max_length, least):
    with pytest.raises(ValueError, match=f"at least {least} .* max_length={max_length}"):
        tokenizer(["a"], pair, max_length=max_length)


def test_lists_of_different_lengths_are_refused(tokenizer):
    with pytest.raises(ValueError, match=r"same length\. Received: 2 and 1"):
        tokenizer(["a", "b"], ["c"])


def test_without_padding_sequences_must_be_of_one_length(tokenizer):
    assert tokenizer(["a", "b"], padding=False)["input_ids"].shape == (2, 3)
    with pytest.raises(ValueError, match="padding=True"):
        tokenizer(["a", "b c"], padding=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_is_the_same_tokenizer(vocab, copied):
    tokenizer = BertTokenizer(vocab, split_special_tokens=True, never_split=["food"])
    assert copied(tokenizer).get_config() == tokenizer.get_config()
    assert copied(tokenizer).encode("[MASK] xfood") == tokenizer.encode("[MASK] xfood")


def test_special_tokens_in_a_text_are_what_they_say_or_text(vocab):
    assert BertTokenizer(vocab).tokenize("the[MASK]food") == ["the", "[MASK]", "food"]
    split = BertTokenizer(vocab, split_special_tokens=True).tokenize("[MASK]")
    assert split == ["[UNK]", "m", "##a", "##s", "##k", "[UNK]"]


def test_words_that_are_never_split_keep_their_case(vocab):
    tokenizer = BertTokenizer([*vocab, "New"], never_split=["New"], split_special_tokens=True)
    assert tokenizer.tokenize("New new [PAD]")[0] == "New"
    assert "New" not in tokenizer.tokenize("new")
    assert "New" in tokenizer.decode(tokenizer.encode("New"), skip_special_tokens=True)


def test_additional_special_tokens_are_special(vocab):
    tokenizer = BertTokenizer([*vocab, "[ENT]"], additional_special_tokens=["[ENT]"])
    ids = tokenizer.encode("the [ENT]", add_special_tokens=False)
    assert ids == tokenizer.convert_tokens_to_ids(["the", "[ENT]"])
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the"
    assert tokenizer.all_special_ids == [0, 1, 2, 3, 4, len(vocab)]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"never_split": ["gibtsnicht"]}, ValueError, r"never_split .* vocabulary.*gibtsnicht"),
        ({"never_split": "the"}, TypeError, r"several tokens.*Use \[token\]"),
        ({"never_split": ["[MASK]"]}, ValueError, "special already"),
        ({"additional_special_tokens": ["[ENT]"]}, ValueError, "additional_special_tokens must be"),
        ({"max_input_chars_per_word": 0}, ValueError, "max_input_chars_per_word=0"),
    ],
)
def test_settings_that_cannot_be_are_refused(vocab, settings, error, message):
    with pytest.raises(error, match=message):
        BertTokenizer(vocab, **settings)


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize(("max_length", "stride"), [(30, 0), (31, 3), (40, 5)])
def test_windows_are_those_of_the_reference(tokenizer, vocab, strategy, max_length, stride):
    generator = np.random.default_rng(4)
    texts, pairs = (
        [" ".join(generator.choice(vocab[47:], n)) for n in generator.integers(low, high, 30)]
        for low, high in ((0, 6), (0, 40))
    )
    if strategy == "only_first":
        texts, pairs = pairs, texts
    library = reference(vocab)
    library.no_padding()
    library.enable_truncation(max_length, stride=stride, strategy=strategy)
    encodings = library.encode_batch(list(zip(texts, pairs, strict=True)))
    rows = [(i, row) for i, first in enumerate(encodings) for row in (first, *first.overflowing)]
    inputs = tokenizer(
        texts,
        pairs,
        max_length=max_length,
        padding=False,
        truncation=strategy,
        stride=stride,
        return_tensors=None,
        return_offsets_mapping=True,
        return_overflowing_tokens=True,
        return_special_tokens_mask=True,
        return_word_ids=True,
    )
    assert len(rows) > len(texts)
    assert inputs["overflow_to_sample_mapping"] == [index for index, _ in rows]
    assert inputs["input_ids"] == [row.ids for _, row in rows]
    assert inputs["token_type_ids"] == [row.type_ids for _, row in rows]
    assert inputs["attention_mask"] == [row.attention_mask for _, row in rows]
    assert inputs["special_tokens_mask"] == [row.special_tokens_mask for _, row in rows]
    assert inputs["offset_mapping"] == [list(map(list, row.offsets)) for _, row in rows]
    words = [[-1 if word is None else word for word in row.word_ids] for _, row in rows]
    assert inputs["word_ids"] == words


@pytest.mark.parametrize("max_length", [5, 8])
def test_windows_of_single_texts_share_the_stride(tokenizer, max_length):
    stride = max_length - 3
    inputs = tokenizer(
        ["a b c d e f g", "a"], max_length=max_length, stride=stride, return_overflowing_tokens=True
    )
    assert inputs["overflow_to_sample_mapping"][-1] == 1
    rows = inputs["input_ids"][inputs["overflow_to_sample_mapping"] == 0]
    assert len(rows) == 8 - (max_length - 2)
    assert np.array_equal(rows[0, 2:-1], rows[1, 1:-2])


@pytest.mark.parametrize(
    ("pair", "options"),
    [
        (None, {"max_length": 6, "stride": 4}),
        (None, {"max_length": 6, "stride": -1}),
        ("a b c", {"max_length": 9, "stride": 3}),
        ("a b c", {"max_length": 9, "stride": 3, "truncation": "only_first"}),
        ("a " * 20, {"max_length": 16, "stride": 8, "truncation": "only_second"}),
    ],
)
def test_a_stride_without_room_is_refused(tokenizer, pair, options):
    with pytest.raises(ValueError, match=r"stride must be from 0 to \d+, .*Received: stride="):
        tokenizer("a b c d e f g h", pair, return_overflowing_tokens=True, **options)


def test_a_stride_matters_only_where_a_text_is_cut(tokenizer):
    options = {"max_length": 10, "stride": 3, "truncation": "only_second"}
    inputs = tokenizer("a b c d", "e", **options, return_overflowing_tokens=True)
    assert inputs["input_ids"].shape == (1, 8)


def test_offsets_point_at_the_text(tokenizer):
    text = "  Goodfood, was\u200b   GREAT 中!"
    inputs = tokenizer(text, return_offsets_mapping=True)
    starts, ends = inputs["offset_mapping"][0].T
    pieces = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    assert pieces == ["", *["Good", "f", "o", "o", "d", ",", "was", "GREAT", "中", "!"], ""]
    assert inputs["offset_mapping"].dtype == np.int32


def test_words_that_are_given_are_numbered(tokenizer):
    words = [["Goodfood", "was", "GREAT!"], ["was"]]
    inputs = tokenizer(words, is_split_into_words=True, return_word_ids=True)
    assert inputs["word_ids"].tolist() == [[-1, 0, 0, 0, 0, 0, 1, 2, 2, -1], [-1, 0] + [-1] * 8]
    whole = tokenizer([" ".join(text) for text in words])
    np.testing.assert_array_equal(inputs["input_ids"], whole["input_ids"])
    one = tokenizer(words[1], is_split_into_words=True)["input_ids"]
    np.testing.assert_array_equal(one, tokenizer("was")["input_ids"])


@pytest.mark.parametrize("strategy", [False, True, "only_first", "only_second"])
def test_ways_to_cut_are_those_of_the_library(tokenizer, vocab, strategy):
    library = reference(vocab)
    if strategy:
        name = "longest_first" if strategy is True else strategy
        library.enable_truncation(12, strategy=name)
    pairs = [("a " * one, "b " * other) for one in range(1, 9) for other in range(1, 9)]
    assert_equal(
        tokenizer(*zip(*pairs, strict=True), max_length=12, truncation=strategy),
        library.encode_batch(pairs),
    )


def test_a_text_that_is_not_cut_must_leave_room(tokenizer):
    with pytest.raises(ValueError, match=r"must leave room .* max_length=6 .*'only_first'"):
        tokenizer("a b", "a b c d e f", max_length=6, truncation="only_first")
    assert tokenizer("a b", "a b c d e f")["input_ids"].shape == (1, 11)


def test_padding_to_a_length(tokenizer):
    inputs = tokenizer(["the food", "a b c d e f"], max_length=6, padding="max_length")
    assert inputs["input_ids"].shape == (2, 6)
    assert inputs["attention_mask"].sum(1).tolist() == [4, 6]
    with pytest.raises(ValueError, match="Received: max_length=None"):
        tokenizer("a", padding="max_length")


def test_tensors_and_lists(tokenizer):
    texts = ["the food", "a"]
    arrays = tokenizer(texts)
    tensors = tokenizer(texts, return_tensors="tf")
    lists = tokenizer(texts, return_tensors=None)
    for name, array in arrays.items():
        assert tensors[name].dtype == "int32"
        np.testing.assert_array_equal(tensors[name], array)
        assert lists[name] == array.tolist()
    uneven = tokenizer(texts, padding=False, return_tensors=None)
    assert uneven["attention_mask"] == [[1] * 4, [1] * 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_tensors": "pt"}, "return_tensors must be 'np' or 'tf' or None. .*='pt'"),
        ({"padding": "left"}, "padding must be True or False or 'longest' or 'max_length'"),
        ({"truncation": "last"}, "truncation must be True, False, 'longest_first'.*='last'"),
        ({"truncation": "only_second"}, "Only a pair has a second text"),
    ],
)
def test_choices_that_there_are_not_are_refused(tokenizer, options, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(["a"], **options)


@pytest.mark.parametrize(
    ("texts", "received"),
    [
        ([{"text": "a", "label": 1}], "dict at index 0"),
        ({"text": ["a"]}, "dict"),
        (["a", None], "NoneType at index 1"),
        ([b"a"], "bytes at index 0"),
        (b"a", "bytes"),
        ([("a", "b")], "tuple at index 0"),
        (3, "int"),
    ],
)
def test_what_is_no_text_is_refused(tokenizer, texts, received):
    for arguments in ((texts,), (["a"], texts)):
        with pytest.raises(TypeError, match=f"must be strings in a list. Received: {received}"):
            tokenizer(*arguments)


def test_what_is_no_word_is_refused(tokenizer):
    with pytest.raises(TypeError, match=r"lists of words.*Received: list at index 1"):
        tokenizer([["a"], [1]], is_split_into_words=True)


def test_tokens_and_text_come_back(tokenizer):
    assert tokenizer.tokenize("Goodfood") == ["good", "##f", "##o", "##o", "##d"]
    ids = tokenizer("the foods")["input_ids"][0]
    assert tokenizer.decode(ids) == "[CLS] the foods [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the foods"
    rows = tokenizer(["the foods", "a"], return_tensors="tf")["input_ids"]
    assert tokenizer.batch_decode(rows, skip_special_tokens=True) == ["the foods", "a"]


def test_one_text_or_pair_is_encoded(tokenizer):
    assert (
        tokenizer.encode("the food", "a b") == tokenizer("the food", "a b")["input_ids"][0].tolist()
    )
    assert len(tokenizer.encode("the food", "a b", max_length=6)) == 6
    plain = tokenizer.encode("the food", "a", add_special_tokens=False, max_length=2)
    assert tokenizer.convert_ids_to_tokens(plain) == ["the", "a"]


def test_tokens_and_ids(tokenizer, vocab):
    assert tokenizer.get_vocab() == {token: index for index, token in enumerate(vocab)}
    assert tokenizer.get_vocab() is not tokenizer.vocab
    assert tokenizer.vocab_size == len(tokenizer) == len(vocab)
    assert tokenizer.convert_tokens_to_ids("the") == vocab.index("the")
    assert tokenizer.convert_tokens_to_ids(["the", "§"]) == [vocab.index("the"), 1]
    assert tokenizer.convert_ids_to_tokens(np.int64(7)) == vocab[7]
    assert tokenizer.convert_ids_to_tokens(np.array([7, 0])) == [vocab[7], "[PAD]"]
    with pytest.raises(ValueError, match=r"from 0 to \d+\. Received: -1"):
        tokenizer.convert_ids_to_tokens([3, -1])
    names = ("pad", "unk", "cls", "sep", "mask")
    tokens = [getattr(tokenizer, f"{name}_token") for name in names]
    assert tokens == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] == tokenizer.all_special_tokens
    ids = [getattr(tokenizer, f"{name}_token_id") for name in names]
    assert ids == tokenizer.all_special_ids == tokenizer.convert_tokens_to_ids(tokens)


def test_threads_do_not_mix_their_lengths(tokenizer):
    texts = ["the food was good " * 5] * 20
    with ThreadPoolExecutor(4) as pool:
        lengths = [3, 9, 12, None] * 20
        results = list(pool.map(lambda n: tokenizer(texts, max_length=n)["input_ids"], lengths))
    assert [ids.shape[1] for ids in results] == [length or 22 for length in lengths]
