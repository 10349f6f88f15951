import subprocess
import sys

import pytest

from keras_bert_kit import BertTokenizer
from keras_bert_kit.tokenization.vocabulary import SPECIAL_TOKENS, learn_vocabulary

TEXTS = [
    "The kettle boils, the Kettles boiled; boiling kettles boil over.",
    "Résumé naïve café: the café's résumé is naïve!",
    "unboiled unboiling 東京 東",
] * 3


def test_special_tokens_come_first_then_characters_then_pieces():
    tokens = learn_vocabulary(TEXTS, 90)
    assert tuple(tokens[:5]) == SPECIAL_TOKENS
    assert len(tokens) == len(set(tokens)) <= 90
    sizes = [len(token.removeprefix("##")) for token in tokens[5:]]
    characters = sizes.index(2)
    assert set(sizes[:characters]) == {1}
    assert min(sizes[characters:]) > 1
    assert {"kettle", "boil", "##ed", "東"} <= set(tokens)


@pytest.mark.parametrize("do_lower_case", [True, False])
def test_no_word_of_the_texts_is_unknown(do_lower_case):
    tokens = learn_vocabulary(TEXTS, 120, do_lower_case=do_lower_case)
    tokenizer = BertTokenizer(tokens, do_lower_case=do_lower_case)
    pieces = [piece for text in TEXTS for piece in tokenizer.tokenize(text)]
    assert "[UNK]" not in pieces
    assert "kettle" in pieces


def test_settings_are_those_of_the_tokenizer():
    assert "é" not in "".join(learn_vocabulary(TEXTS, 90))
    assert "K" not in "".join(learn_vocabulary(TEXTS, 90)[5:])
    assert "é" in "".join(learn_vocabulary(TEXTS, 90, strip_accents=False))
    cased = "".join(learn_vocabulary(TEXTS, 120, do_lower_case=False)[5:])
    assert "K" in cased
    assert "é" in cased
    assert "##京" in learn_vocabulary(TEXTS, 120, tokenize_chinese_chars=False)


def test_progress_is_shown_on_demand(capfd):
    silent = learn_vocabulary(TEXTS, 90)
    assert "".join(capfd.readouterr()) == ""
    assert learn_vocabulary(TEXTS, 90, show_progress=True) == silent
    assert "".join(capfd.readouterr()) != ""


def test_texts_may_be_an_iterator():
    assert learn_vocabulary(iter(TEXTS), 90) == learn_vocabulary(TEXTS, 90)


def test_other_processes_learn_the_same():
    code = (
        "from keras_bert_kit.tokenization.vocabulary import learn_vocabulary; import sys; "
        "sys.stdout.reconfigure(encoding='utf-8'); "
        f"print(learn_vocabulary({TEXTS!r}, 200))"
    )
    command = [sys.executable, "-c", code]
    for _ in range(3):
        printed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
        assert printed.strip() == str(learn_vocabulary(TEXTS, 200))


def test_pieces_that_occur_once_are_not_joined():
    tokens = learn_vocabulary(["abc"], 100)
    assert tokens == [*SPECIAL_TOKENS, "a", "b", "c", "##b", "##c"]


def test_characters_must_fit():
    with pytest.raises(ValueError, match=r"at least 10 for these texts: 5 special .* and 5 char"):
        learn_vocabulary(["abc"], 9)


@pytest.mark.parametrize("texts", [[], ["", " \n"], iter([])])
def test_texts_must_hold_words(texts):
    with pytest.raises(ValueError, match="must hold words"):
        learn_vocabulary(texts, 100)


def test_one_text_is_refused():
    with pytest.raises(ValueError, match=r"must be several texts\. Received: one, 'the kettle'"):
        learn_vocabulary("the kettle", 100)


@pytest.mark.data
def test_real_prose(data_dir):
    from keras_bert_kit.data import read_documents

    documents = read_documents(data_dir / "pretraining_prose" / "speeches.txt.gz")
    texts = [sentence for document in documents for sentence in document]
    tokens = learn_vocabulary(texts, 2000)
    assert len(tokens) == 2000
    assert tokens == learn_vocabulary(texts, 2000)
    assert {"congress", "government", "peace"} <= set(tokens)
