import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer

from keras_bert_kit import BertTokenizer
from keras_bert_kit.tokenization.vocabulary import read_vocabulary, write_vocabulary

CHANGED = {
    "do_lower_case": False,
    "strip_accents": True,
    "tokenize_chinese_chars": False,
    "model_max_length": 77,
}


def test_a_saved_folder_keeps_every_setting(texts, vocab, tmp_path):
    tokenizer = BertTokenizer(vocab, **CHANGED)
    assert tokenizer.get_config() == {"vocab": vocab, **CHANGED}
    assert BertTokenizer.from_config(tokenizer.get_config()).get_config() == tokenizer.get_config()
    tokenizer.save_pretrained(tmp_path / "new")
    for unneeded in ("vocab.txt", "tokenizer.json"):
        part = shutil.copytree(tmp_path / "new", tmp_path / f"without {unneeded}")
        (part / unneeded).unlink()
        assert BertTokenizer.from_pretrained(part).get_config() == tokenizer.get_config()
    read = BertTokenizer.from_pretrained(str(tmp_path / "new"))
    assert read.get_config() == tokenizer.get_config()
    np.testing.assert_array_equal(read(texts)["input_ids"], tokenizer(texts)["input_ids"])


def test_the_saved_tokenizer_json_is_the_same_tokenizer(texts, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in texts:
        assert library.encode(text).ids == tokenizer(text)["input_ids"][0].tolist()


def test_a_vocabulary_alone_is_enough(vocab, tokenizer, tmp_path):
    write_vocabulary(tmp_path / "vocab.txt", vocab)
    for made in (BertTokenizer.from_pretrained(tmp_path), BertTokenizer(tmp_path / "vocab.txt")):
        assert made.get_config() == tokenizer.get_config()
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(vocab).encode())
    assert read_vocabulary(tmp_path / "vocab.txt") == vocab


@pytest.mark.parametrize("limit", [10**30, 1e30])
def test_no_limit_of_length_is_none(vocab, tmp_path, limit):
    write_vocabulary(tmp_path / "vocab.txt", vocab)
    settings = {"model_max_length": limit, "do_lower_case": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = BertTokenizer.from_pretrained(tmp_path)
    assert (tokenizer.model_max_length, tokenizer.do_lower_case) == (None, False)


def test_the_config_file_wins_over_tokenizer_json_as_in_transformers(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": False}))
    assert not BertTokenizer.from_pretrained(tmp_path).do_lower_case


def test_a_vocabulary_for_another_word_splitter_is_refused(vocab, tmp_path):
    write_vocabulary(tmp_path / "vocab.txt", vocab)
    settings = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="BertJapaneseTokenizer"):
        BertTokenizer.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json or vocab\.txt"):
        BertTokenizer.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        BertTokenizer(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"type": "BPE", "vocab": {}}},
            "type of model .* must be 'WordPiece'. Received: 'BPE'",
        ),
        ({"model": {}}, "must hold a vocabulary"),
        ({"normalizer": {"type": "NFC"}}, "must be 'BertNormalizer'. Received: 'NFC'"),
        ({"normalizer": None}, "must be BertNormalizer. Received: none"),
        (
            {"model": {"type": "WordPiece", "vocab": {"a": 0, "b": 2}}},
            "numbers its tokens from 0 on",
        ),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, r"Missing: \[PAD\]"),
        ("[1]", "must hold a JSON object. Received: list"),
        ('{"model": ', "must be a JSON file"),
    ],
)
def test_another_kind_of_tokenizer_is_refused(tokenizer, tmp_path, changes, message):
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    whole = {**json.loads(path.read_text()), **changes} if isinstance(changes, dict) else {}
    path.write_text(json.dumps(whole) if whole else changes)
    with pytest.raises(ValueError, match=message) as caught:
        BertTokenizer.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("model", {"continuing_subword_prefix": "@@"}),
        ("model", {"max_input_chars_per_word": 3}),
        ("normalizer", {"clean_text": False}),
        (None, {"pre_tokenizer": {"type": "WhitespaceSplit"}}),
        (None, {"post_processor": None}),
        (None, {"added_tokens": [{"id": 999, "content": "[ENTITY]", "special": True}]}),
    ],
)
def test_settings_that_are_not_honoured_are_refused(tokenizer, tmp_path, part, changes):
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    whole = json.loads(path.read_text())
    (whole[part] if part else whole).update(changes)
    path.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=next(iter(changes))):
        BertTokenizer.from_pretrained(tmp_path)


def test_a_vocabulary_must_be_one_of_bert(vocab, tmp_path):
    with pytest.raises(ValueError, match=r"must stand once.*'the' as id \d+ and as id \d+"):
        BertTokenizer([*vocab, "the"])
    missing = [token for token in vocab if token not in ("[CLS]", "[MASK]")]
    with pytest.raises(ValueError, match=r"Missing: \[CLS\], \[MASK\] of \d+ tokens"):
        BertTokenizer(missing)
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(ValueError, match="must be UTF-8"):
        BertTokenizer(tmp_path / "vocab.txt")
