import copy
import pickle

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


def test_special_tokens_in_a_text_are_read_as_text(tokenizer, vocab):
    ids = tokenizer(["[MASK] [PAD]"])["input_ids"][0, 1:-1]
    assert not {vocab.index("[MASK]"), vocab.index("[PAD]")} & set(ids.tolist())
    assert "mask" in tokenizer.decode(ids).replace(" ", "")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_reads_special_tokens_as_text_too(tokenizer, copied):
    ids = copied(tokenizer)("[MASK]")["input_ids"]
    np.testing.assert_array_equal(ids, tokenizer("[MASK]")["input_ids"])


def test_tokens_and_text_come_back(tokenizer):
    assert tokenizer.tokenize("Goodfood") == ["good", "##f", "##o", "##o", "##d"]
    ids = tokenizer("the foods")["input_ids"][0]
    assert tokenizer.decode(ids) == "[CLS] the foods [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the foods"
