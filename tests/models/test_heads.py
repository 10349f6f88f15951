"""The models whose tasks have no run of their own yet: outputs, training, `.keras` files."""

import keras
import numpy as np
import pytest
from checks import check_same, check_same_weights

import keras_bert_kit as kbk

IDS = np.random.default_rng(3).integers(1, 60, (4, 7))
MASK = (np.arange(7) < np.array([[7], [5], [2], [7]])).astype("int32")
INPUTS = {"input_ids": IDS, "attention_mask": MASK}
CHOICES = {name: array.reshape(2, 2, 7) for name, array in INPUTS.items()}
MODELS = {
    "BertForTokenClassification": (INPUTS, {"logits": (4, 7, 3)}, np.ones((4, 7))),
    "BertForQuestionAnswering": (
        INPUTS,
        {"start_logits": (4, 7), "end_logits": (4, 7)},
        {"start_logits": np.ones(4), "end_logits": np.ones(4)},
    ),
    "BertForMultipleChoice": (CHOICES, {"logits": (2, 2)}, np.ones(2)),
    "BertSentenceEncoder": (INPUTS, {"sentence_embedding": (4, 20)}, None),
}


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def model(name, tiny_folder):
    keras.utils.set_random_seed(3)
    options = {"num_labels": 3} if name == "BertForTokenClassification" else {}
    if name == "BertSentenceEncoder":
        options = {"pooling": kbk.PoolingConfig("max", normalize=True)}
    return getattr(kbk, name).from_pretrained(tiny_folder, **options)


def test_outputs_have_their_names_and_shapes(model, name):
    inputs, shapes, _ = MODELS[name]
    outputs = model(inputs)
    assert {key: tuple(value.shape) for key, value in outputs.items()} == shapes
    assert {value.dtype.name for value in outputs.values()} == {"float32"}


def test_a_folder_and_a_keras_file_keep_the_model(model, name, tmp_path):
    inputs, _, _ = MODELS[name]
    model.save_pretrained(tmp_path / "folder")
    model.save(tmp_path / "model.keras")
    from_folder = type(model).from_pretrained(tmp_path / "folder")
    assert from_folder.loading_report.new == from_folder.loading_report.unused == ()
    for loaded in (from_folder, keras.models.load_model(tmp_path / "model.keras")):
        check_same_weights(loaded, model)
        check_same(dict(loaded(inputs)), dict(model(inputs)), atol=0)
        assert loaded.config == model.config


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name][2] is not None])
def test_fit_lowers_the_loss(model, name):
    inputs, _, labels = MODELS[name]
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = dict.fromkeys(labels, crossentropy) if isinstance(labels, dict) else crossentropy
    model.compile(optimizer=keras.optimizers.Adam(2e-2), loss=losses, run_eagerly=True)
    history = model.fit(inputs, labels, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2


def test_a_sentence_is_encoded_alone_and_in_a_batch(tiny_folder):
    model = kbk.BertSentenceEncoder.from_pretrained(tiny_folder)
    assert model.pooling == kbk.PoolingConfig("mean", normalize=False)
    texts = ["the food", "", "the room was very very very good", "bad"]
    together = model.encode(texts, batch_size=3)
    assert together.shape == (4, 20)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(model.encode(text), vector, atol=1e-5)
    assert model.encode([]).shape == (0, 20)


def test_an_encoder_is_loaded_without_its_pooler_if_wanted(tiny_folder):
    model = kbk.BertModel.from_pretrained(tiny_folder, add_pooling_layer=False)
    assert list(model(INPUTS)) == ["last_hidden_state"]
    assert set(model.loading_report.unused) == {"pooler/dense/kernel", "pooler/dense/bias"}
