import dataclasses
import json

import pytest

from keras_bert_kit import BertConfig
from keras_bert_kit.config import ACTIVATIONS

CHANGED = {
    "vocab_size": 97,
    "hidden_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "intermediate_size": 37,
    "hidden_act": "relu",
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.3,
    "max_position_embeddings": 41,
    "type_vocab_size": 3,
    "initializer_range": 0.03,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 4,
    "classifier_dropout": 0.4,
    "id2label": {0: "bad", 1: "so-so", 2: "good"},
    "problem_type": "multi_label_classification",
    "position_embedding_type": "sinusoidal",
    "norm_first": True,
    "gradient_checkpointing": True,
    "mlm_hidden_act": "silu",
    "mlm_layer_norm_eps": 1e-4,
    "window_pooling": "max",
    "window_stride": 5,
    "use_crf": True,
    "lstm_hidden_size": 7,
    "finetuning_task": "token-classification",
}
# What transformers 4 and 5 wrote for a fine-tuned classifier, without the sizes.
HUGGING_FACE = {
    "_name_or_path": "bert-base-cased",
    "_num_labels": 3,
    "add_cross_attention": False,
    "architectures": ["BertForSequenceClassification"],
    "bos_token_id": None,
    "chunk_size_feed_forward": 0,
    "dtype": "float32",
    "eos_token_id": None,
    "finetuning_task": "mrpc",
    "gradient_checkpointing": False,
    "is_decoder": False,
    "label2id": None,
    "model_type": "bert",
    "output_past": True,
    "position_embedding_type": "absolute",
    "pruned_heads": {},
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "5.23.0",
    "use_cache": True,
}
# bert_config.json of google-research/bert, multi_cased_L-12_H-768_A-12.
GOOGLE = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
    "type_vocab_size": 2,
    "vocab_size": 119547,
}


def test_the_changed_values_are_those_of_every_field_and_no_default():
    default = BertConfig()
    assert CHANGED.keys() == {field.name for field in dataclasses.fields(BertConfig)}
    assert all(getattr(default, name) != value for name, value in CHANGED.items())


def test_a_dict_keeps_every_field():
    config = BertConfig(**CHANGED)
    assert dataclasses.asdict(config) == CHANGED
    assert BertConfig.from_dict(config.to_dict()) == config


def test_a_json_file_keeps_every_field(tmp_path):
    config = BertConfig(**CHANGED)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    assert BertConfig.from_file(tmp_path / "config.json") == config
    assert BertConfig.from_file(str(tmp_path / "config.json")) == config


def test_labels_are_told_by_index_by_name_and_by_number():
    config = BertConfig(id2label={"2": "good", "0": "bad", "1": "so-so"})
    assert config.id2label == {0: "bad", 1: "so-so", 2: "good"}
    assert config.label_names == ["bad", "so-so", "good"]
    assert config.label2id == {"bad": 0, "so-so": 1, "good": 2}
    assert config.num_labels == 3


@pytest.mark.parametrize("foreign", [HUGGING_FACE, GOOGLE], ids=["hugging_face", "google"])
def test_harmless_keys_of_real_files_are_passed_over(foreign):
    config = BertConfig.from_dict({**foreign, "vocab_size": 77})
    assert config == BertConfig(vocab_size=77, finetuning_task=foreign.get("finetuning_task"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_embedding_type", "relative_key"),
        ("position_embedding_type", "rotary"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("chunk_size_feed_forward", 64),
        ("pruned_heads", {"0": [1]}),
        ("tie_word_embeddings", False),
        ("embedding_size", 128),
        ("rotary_base", 10000),
    ],
)
def test_a_key_that_changes_the_maths_is_refused_with_its_value(key, value):
    with pytest.raises(ValueError, match="must be implemented") as caught:
        BertConfig.from_dict({**CHANGED, key: value})
    assert f"{key}={value!r}" in str(caught.value)


def test_every_refused_key_is_named_at_once():
    with pytest.raises(ValueError, match="is_decoder=True, rotary_base=7"):
        BertConfig.from_dict({"rotary_base": 7, "is_decoder": True, "use_cache": True})


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="model_type='roberta'"):
        BertConfig.from_dict({**CHANGED, "model_type": "roberta"})


OURS = {
    "position_embedding_type": "sinusoidal",
    "norm_first": True,
    "use_crf": True,
    "lstm_hidden_size": 7,
}


@pytest.mark.parametrize("name", OURS)
def test_a_model_that_transformers_computes_otherwise_has_another_type(name):
    config = BertConfig(**{name: OURS[name]})
    values = config.to_dict()
    assert (values["model_type"], values[name]) == ("keras-bert-kit", OURS[name])
    assert BertConfig.from_dict(values) == config
    with pytest.raises(ValueError, match="must stand in a config of model_type='keras-bert-kit'"):
        BertConfig.from_dict({**values, "model_type": "bert"})


def test_the_file_of_a_plain_bert_holds_no_key_of_ours():
    values = BertConfig().to_dict()
    assert values["model_type"] == "bert"
    assert not values.keys() & {*OURS, "gradient_checkpointing", "finetuning_task"}
    for shared in ({"gradient_checkpointing": True}, {"finetuning_task": "mrpc"}):
        assert BertConfig(**shared).to_dict() == {**values, **shared}


@pytest.mark.parametrize("name", [*OURS, "gradient_checkpointing", "finetuning_task"])
def test_none_in_a_file_means_what_bert_usually_has(name):
    assert BertConfig.from_dict({"model_type": "bert", name: None}) == BertConfig()


@pytest.mark.parametrize("value", [0, 2.0, True, "8"])
def test_the_lstm_has_a_whole_number_of_units_or_is_none(value):
    with pytest.raises(
        ValueError, match="lstm_hidden_size must be a whole number above 0, or None"
    ):
        BertConfig(lstm_hidden_size=value)
    with pytest.raises(ValueError, match=r"finetuning_task must be a name, or None\. Received: 3"):
        BertConfig(finetuning_task=3)


@pytest.mark.parametrize("name", ["norm_first", "gradient_checkpointing", "use_crf"])
def test_a_switch_is_true_or_false(name):
    with pytest.raises(ValueError, match=f"{name} must be True or False. Received: 'yes'"):
        BertConfig(**{name: "yes"})


SIZES = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "8", None])
def test_a_size_must_be_a_whole_number_above_zero(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number above 0.*{value!r}"):
        BertConfig(**{**CHANGED, name: value})


@pytest.mark.parametrize(
    "name", ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"]
)
def test_a_dropout_rate_is_at_least_zero_and_below_one(name):
    assert getattr(BertConfig(**{**CHANGED, name: 0}), name) == 0
    for value in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=f"{name} must be at least 0 and below 1"):
            BertConfig(**{**CHANGED, name: value})


@pytest.mark.parametrize("name", ["initializer_range", "layer_norm_eps"])
@pytest.mark.parametrize("value", [0, -1e-5, float("nan"), float("inf")])
def test_a_scale_is_above_zero(name, value):
    with pytest.raises(ValueError, match=f"{name} must be finite and above 0. Received: {value!r}"):
        BertConfig(**{**CHANGED, name: value})


def test_heads_must_divide_the_hidden_size():
    with pytest.raises(ValueError, match="hidden_size=20, num_attention_heads=3"):
        BertConfig(**{**CHANGED, "num_attention_heads": 3})


@pytest.mark.parametrize("name", ["hidden_act", "problem_type", "position_embedding_type"])
def test_a_choice_must_be_known(name):
    with pytest.raises(ValueError, match=f"{name} must be one of .*'other'"):
        BertConfig(**{**CHANGED, name: "other"})


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_the_list_is_one_of_the_layers(name):
    from keras_bert_kit.layers.activations import activation

    assert BertConfig(hidden_act=name).hidden_act == name
    assert callable(activation(name))


@pytest.mark.parametrize("labels", [{0: "a", 2: "c"}, {1: "a", 2: "b"}, {}])
def test_labels_are_numbered_without_a_gap(labels):
    with pytest.raises(ValueError, match="id2label must number its labels 0, 1, 2"):
        BertConfig(id2label=labels)


def test_a_number_of_labels_alone_gives_them_names():
    assert BertConfig.from_dict({"num_labels": 3}).label_names == ["LABEL_0", "LABEL_1", "LABEL_2"]
    with pytest.raises(ValueError, match="num_labels must be a whole number above 0"):
        BertConfig.from_dict({"num_labels": -3})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hidden_size: 8", "must be a JSON file"),
        (b"\xff\xfe{}", "must be a JSON file"),
        (b"[1, 2]", "must hold a JSON object. Received: list"),
        (b'{"d_model": 8}', "must be the config of a BERT.*d_model"),
        (b"{}", "must be the config of a BERT.*none"),
        (b'{"hidden_size": 7}', "hidden_size=7, num_attention_heads=12"),
        (b'{"hidden_size": 12, "id2label": 3}', "config.json: "),
    ],
)
def test_a_file_that_is_no_config_is_named_in_the_error(tmp_path, content, message):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        BertConfig.from_file(tmp_path / "config.json")
    assert str(tmp_path / "config.json") in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        BertConfig.from_file(tmp_path / "config.json")


def test_a_config_cannot_be_changed_and_takes_no_positional_argument():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BertConfig().hidden_size = 4
    with pytest.raises(TypeError, match="positional"):
        BertConfig(97)
    assert dataclasses.replace(BertConfig(), vocab_size=97) == BertConfig(vocab_size=97)
