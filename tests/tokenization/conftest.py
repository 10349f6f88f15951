import pytest

from keras_bert_kit import BertTokenizer


@pytest.fixture(scope="session")
def vocab(tiny_vocab):
    return [*tiny_vocab, "中", "é", "A", "##é"]


@pytest.fixture(scope="session")
def tokenizer(vocab):
    return BertTokenizer(vocab)


@pytest.fixture(scope="session")
def texts():
    return [
        "The food was GREAT!",
        "",
        "café, naïve 3-room",
        "中文 the",
        "a\tb\u200bc\x00d \ufffd",
        "🙂",
    ]
