"""Models with sinusoidal positions, pre-norm blocks and recomputation; sequences in one row."""

import json

import keras
import numpy as np
import pytest
from checks import check_same, check_same_weights, randomise
from safetensors.numpy import load_file

from keras_bert_kit import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
)

B, S = 13, 7
SIZES = {
    "vocab_size": 61,
    "hidden_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "intermediate_size": 37,
    "max_position_embeddings": 11,
    "type_vocab_size": 3,
}
VARIANT = {"position_embedding_type": "sinusoidal", "norm_first": True}
random = np.random.default_rng(5)
INPUTS = {
    "input_ids": random.integers(1, 61, (B, S)).astype("int32"),
    "token_type_ids": random.integers(0, 3, (B, S)).astype("int32"),
    "attention_mask": (np.arange(S) < random.integers(1, S, (B, 1))).astype("int32"),
}
OUTPUT = "last_hidden_state"


def make(model_class=BertModel, **changes):
    tokenizer = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
    return randomise(model_class(BertConfig(**{**SIZES, **changes}), tokenizer=tokenizer))


@pytest.mark.parametrize("model_class", [BertModel, BertForSequenceClassification])
def test_a_folder_keeps_a_variant(model_class, tmp_path):
    model = make(model_class, **VARIANT, gradient_checkpointing=True)
    model.save_pretrained(tmp_path / "model")
    values = json.loads((tmp_path / "model" / "config.json").read_text())
    assert values["model_type"] == "keras-bert-kit"
    loaded = model_class.from_pretrained(tmp_path / "model")
    assert loaded.config == model.config
    assert str(loaded.loading_report) == "every weight was loaded"
    check_same_weights(loaded, model)
    check_same(loaded(INPUTS), model(INPUTS), atol=0)
    names = load_file(tmp_path / "model" / "model.safetensors").keys()
    prefix = "" if model_class is BertModel else "bert."
    norms = {f"{prefix}encoder.LayerNorm.weight", f"{prefix}encoder.LayerNorm.bias"}
    assert norms <= names
    assert not [name for name in names if "position" in name]


def test_a_keras_file_keeps_a_variant(tmp_path):
    model = make(**VARIANT, gradient_checkpointing=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    check_same(loaded(INPUTS), model(INPUTS), atol=0)


def test_the_files_of_a_plain_bert_are_plain(tmp_path):
    make().save_pretrained(tmp_path / "model")
    values = json.loads((tmp_path / "model" / "config.json").read_text())
    assert values["model_type"] == "bert"
    assert not values.keys() & {*VARIANT, "gradient_checkpointing"}
    names = load_file(tmp_path / "model" / "model.safetensors").keys()
    assert "encoder.LayerNorm.weight" not in names
    assert "embeddings.position_embeddings.weight" in names


def test_weights_of_a_plain_bert_do_not_fill_a_pre_norm_one(tmp_path):
    make().save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="missing: encoder/final_layer_norm/gamma"):
        BertModel.from_pretrained(tmp_path / "model", norm_first=True)


@pytest.mark.parametrize("name", VARIANT)
def test_each_option_changes_what_the_model_computes(name):
    model, usual = make(**{name: VARIANT[name]}), make()
    theirs = usual.weights_by_path()
    for path, weight in model.weights_by_path().items():
        if path in theirs:
            weight.assign(theirs[path])
    assert np.abs(model(INPUTS)[OUTPUT] - usual(INPUTS)[OUTPUT]).max() > 0.01


def test_recomputation_is_chosen_while_loading(tmp_path):
    model = make()
    model.save_pretrained(tmp_path / "model")
    loaded = BertModel.from_pretrained(tmp_path / "model", gradient_checkpointing=True)
    assert loaded.encoder.gradient_checkpointing
    check_same(loaded(INPUTS), model(INPUTS), atol=0)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_recomputation_fits_to_the_same_weights(jit_compile):
    models = []
    for recomputed in (False, True):
        keras.utils.set_random_seed(3)
        model = make(BertForSequenceClassification, gradient_checkpointing=recomputed)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), {"logits": loss}, jit_compile=jit_compile)
        model.fit(INPUTS, np.arange(B) % 2, batch_size=5, shuffle=False, verbose=0)
        models.append(model)
    check_same(models[0].get_weights(), models[1].get_weights())
    assert np.abs(models[0].get_weights()[0] - make().get_weights()[0]).max() > 0


def test_every_weight_of_a_variant_is_trained():
    model = make(BertForSequenceClassification, **VARIANT)
    before = model.get_weights()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", {"logits": loss}, jit_compile=False)
    model.fit(INPUTS, np.arange(B) % 2, verbose=0)
    moved = [np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)]
    assert min(moved) > 0


@pytest.mark.parametrize("changes", [{}, VARIANT])
def test_sequences_packed_into_one_row_are_as_each_alone(changes):
    model, lengths = make(**changes), (5, 9)  # together longer than the position table
    alone = [
        {
            "input_ids": random.integers(1, 61, (1, length)).astype("int32"),
            "token_type_ids": random.integers(0, 3, (1, length)).astype("int32"),
        }
        for length in lengths
    ]
    packed = {name: np.concatenate([one[name] for one in alone], 1) for name in alone[0]}
    owner = np.repeat([0, 1], lengths)
    packed["attention_mask"] = (owner[:, None] == owner)[None]  # (1, 14, 14)
    packed["position_ids"] = np.concatenate([np.arange(n) for n in lengths])[None]
    first, second = np.split(model(packed)[OUTPUT], [5], axis=1)
    check_same([first, second], [model(one)[OUTPUT].numpy() for one in alone])
    check_same(model(**packed), model(packed), atol=0)
    with pytest.raises(ValueError, match="at most max_position_embeddings=11 tokens"):
        model({name: packed[name] for name in alone[0]})
