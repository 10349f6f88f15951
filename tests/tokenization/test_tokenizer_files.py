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
    "split_special_tokens": True,
    "never_split": ["the", "food"],
    "additional_special_tokens": ["it"],
    "max_input_chars_per_word": 6,
}


def test_a_saved_folder_keeps_every_setting(texts, vocab, tmp_path):
    tokenizer = BertTokenizer(vocab, **CHANGED)
    assert CHANGED.keys() == BertTokenizer(vocab).get_config().keys() - {"vocab"}
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
        assert made.tokens == tokenizer.tokens
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
        (
            {"model": {"type": "WordPiece", "vocab": {"a": 0}}, "added_tokens": []},
            r"Missing: \[PAD\]",
        ),
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


@pytest.mark.parametrize("name", [*CHANGED, None])
def test_a_saved_setting_is_read_alone(vocab, tmp_path, name):
    settings = {name: CHANGED[name]} if name else {}
    tokenizer = BertTokenizer(vocab, **settings)
    tokenizer.save_pretrained(tmp_path)
    assert BertTokenizer.from_pretrained(tmp_path).get_config() == tokenizer.get_config()
    written = json.loads((tmp_path / "tokenizer_config.json").read_text())
    rare = {"split_special_tokens", "never_split", "additional_special_tokens"}
    rare.add("max_input_chars_per_word")
    assert rare & written.keys() == rare & settings.keys()


def test_arguments_win_over_the_files(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    read = BertTokenizer.from_pretrained(tmp_path, do_lower_case=False, model_max_length=9)
    assert (read.do_lower_case, read.model_max_length) == (False, 9)
    with pytest.raises(TypeError, match="lower"):
        BertTokenizer.from_pretrained(tmp_path, lower=False)
    with pytest.raises(ValueError, match=r"cannot be used: never_split must be"):
        BertTokenizer.from_pretrained(tmp_path, never_split=["nowhere"])


@pytest.mark.parametrize(
    ("more", "lower"),
    [([], True), (["[Aa]", "<S>", "中", "ß", "##ing"], True), (["Tom"], False), (["##É"], False)],
)
def test_a_vocabulary_alone_tells_whether_texts_are_lower_cased(tiny_vocab, tmp_path, more, lower):
    write_vocabulary(tmp_path / "vocab.txt", [*tiny_vocab, *more])
    assert BertTokenizer.from_pretrained(tmp_path).do_lower_case == lower
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 8}')
    assert BertTokenizer.from_pretrained(tmp_path).do_lower_case


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lower"),
    [("uncased", True), ("chinese", True), ("cased", False), ("multilingual-cased", False)],
)
def test_the_published_vocabularies_tell_it_rightly(data_dir, name, lower):
    folder = data_dir / "vocab" / f"bert-base-{name}"
    assert BertTokenizer.from_pretrained(folder).do_lower_case == lower


def with_added(tokenizer, folder, *tokens):
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text())
    plain = dict.fromkeys(("special", "lstrip", "rstrip", "single_word", "normalized"), False)
    whole["added_tokens"] += [{**plain, **token} for token in tokens]
    path.write_text(json.dumps(whole))


def test_added_tokens_of_the_vocabulary_are_honoured(tokenizer, tmp_path):
    the, food = tokenizer.convert_tokens_to_ids(["the", "food"])
    with_added(
        tokenizer,
        tmp_path,
        {"id": the, "content": "the", "special": True, "normalized": False},
        {"id": food, "content": "food", "special": False, "normalized": False},
    )
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    read = BertTokenizer.from_pretrained(tmp_path)
    assert (read.additional_special_tokens, read.never_split) == (("the",), ("food",))
    for text in ("xthefoody THE", "the [MASK]"):
        assert read.encode(text) == library.encode(text).ids


def test_added_tokens_that_follow_the_vocabulary_join_it(tokenizer, tmp_path):
    ids = range(len(tokenizer), len(tokenizer) + 2)
    tokens = [
        {"id": i, "content": c, "special": True} for i, c in zip(ids, ["[E]", "[F]"], strict=True)
    ]
    with_added(tokenizer, tmp_path, *tokens)
    library = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    read = BertTokenizer.from_pretrained(tmp_path)
    assert read.tokens == [*tokenizer.tokens, "[E]", "[F]"]
    assert read.encode("the [F][E] [e]") == library.encode("the [F][E] [e]").ids


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            {"id": 5, "content": "?", "lstrip": True},
            r"added_tokens must be plain.*'\?' with lstrip",
        ),
        ({"id": 5, "content": "?", "normalized": True}, "with normalized"),
        ({"id": 5, "content": "!", "rstrip": True, "single_word": True}, "rstrip, single_word"),
        ({"id": 7, "content": "!"}, "Received: '!' as id 7"),
        ({"id": None, "content": "goodfood"}, "no word that a text .*'goodfood'"),
    ],
)
def test_added_tokens_that_are_not_honoured_are_refused(tokenizer, tmp_path, token, message):
    token = {**token, "id": len(tokenizer) if token["id"] is None else token["id"]}
    with_added(tokenizer, tmp_path, token)
    with pytest.raises(ValueError, match=message):
        BertTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("special_tokens_map.json", {"mask_token": "<mask>"}, "mask_token of special_tokens_map"),
        ("tokenizer_config.json", {"cls_token": {"content": "<s>"}}, "cls_token of tokenizer_con"),
        ("added_tokens.json", {"[ENT]": 200}, r"added_tokens.json must name .*\['\[ENT\]'\]"),
        ("tokenizer_config.json", {"never_split": ["nowhere"]}, "never_split must be tokens"),
    ],
)
def test_other_files_of_the_folder_are_heard(vocab, tmp_path, file, content, message):
    write_vocabulary(tmp_path / "vocab.txt", vocab)
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        BertTokenizer.from_pretrained(tmp_path)


def test_special_tokens_of_slow_tokenizers_are_honoured(vocab, tmp_path):
    write_vocabulary(tmp_path / "vocab.txt", vocab)
    token = {"content": "the", "special": True, "normalized": False}
    settings = {"added_tokens_decoder": {str(vocab.index("the")): token}, "never_split": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    specials = {"additional_special_tokens": [{"content": "the"}, "food", "[MASK]"]}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(specials))
    read = BertTokenizer.from_pretrained(tmp_path)
    assert (read.additional_special_tokens, read.never_split) == (("the", "food"), ())


def test_a_vocabulary_must_be_one_of_bert(vocab, tmp_path):
    with pytest.raises(ValueError, match=r"must stand once.*'the' as id \d+ and as id \d+"):
        BertTokenizer([*vocab, "the"])
    missing = [token for token in vocab if token not in ("[CLS]", "[MASK]")]
    with pytest.raises(ValueError, match=r"Missing: \[CLS\], \[MASK\] of \d+ tokens"):
        BertTokenizer(missing)
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(ValueError, match="must be UTF-8"):
        BertTokenizer(tmp_path / "vocab.txt")
