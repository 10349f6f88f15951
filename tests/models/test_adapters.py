"""LoRA and quantization, where Keras gives them."""

import keras
import numpy as np
import pytest
from checks import check_same, randomise

import keras_bert_kit as kbk

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789.!"]
IDS = np.random.default_rng(2).integers(5, 40, (4, 9)).astype("int32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make(model_class=kbk.BertForSequenceClassification):
    config = kbk.BertConfig(
        vocab_size=43,
        hidden_size=20,
        num_hidden_layers=2,
        num_attention_heads=5,
        intermediate_size=37,
        max_position_embeddings=11,
    )
    return randomise(model_class(config, kbk.BertTokenizer(TOKENS)))


def values(model):
    return {path: np.array(v.value) for path, v in model.weights_by_path().items()}


def train(model):
    model.compile(keras.optimizers.Adam(0.05), LOSS)
    model.fit(IDS, IDS[:, 0] % 2, epochs=2, verbose=0)


def test_lora_trains_the_additions_and_the_head_alone():
    model = make()
    before = values(model)
    outputs = model(IDS)
    model.enable_lora(3)
    check_same(model(IDS), outputs)  # the additions start at 0
    trained = {v.path.split("bert/")[-1] for v in model.trainable_variables}
    assert len(trained) == 2 * 2 * 2 + 2
    train(model)
    changed = {path for path, array in values(model).items() if (array != before[path]).any()}
    assert changed == {"classifier/dense/kernel", "classifier/dense/bias"}
    assert np.abs(model(IDS)["logits"] - outputs["logits"]).max() > 1e-3


@pytest.mark.parametrize("alpha", [None, 7.0])
def test_saving_merges_lora(tmp_path, alpha):
    model = make()
    model.enable_lora(3, alpha=alpha, targets=("key", "output_dense"))
    train(model)
    model.save_pretrained(tmp_path / "model")
    loaded = kbk.BertForSequenceClassification.from_pretrained(tmp_path / "model", new_head=False)
    assert not any("lora" in weight.path for weight in loaded.weights)
    check_same(loaded(IDS), model(IDS))
    model.save(tmp_path / "model.keras")
    loaded = kbk.load_model(tmp_path / "model.keras")
    check_same(loaded(IDS), model(IDS))
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    loaded.fit(IDS, IDS[:, 0] % 2, verbose=0)


def test_an_unknown_target_of_lora_is_refused():
    with pytest.raises(ValueError, match=r"must be some of query, key, value, output_dense.*'foo'"):
        make().enable_lora(3, targets=("foo",))


def test_a_layer_alone_takes_lora():
    layer = kbk.MultiHeadSelfAttention(hidden_size=20, num_attention_heads=5)
    layer.build((None, None, 20))
    layer.query.enable_lora(2)
    names = [weight.path for weight in layer.trainable_weights]
    assert any("query/lora_kernel_a" in name for name in names)
    assert not any("query/kernel" in name for name in names)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.parametrize("model_class", [kbk.BertForPreTraining, kbk.BertForSequenceClassification])
def test_int8_weights_give_nearly_the_same(tmp_path, model_class):
    model = make(model_class)
    expected = model(IDS)
    model.quantize("int8")
    outputs = model(IDS)
    for name, logits in expected.items():
        error = np.abs(outputs[name] - logits).max() / np.abs(logits).max()
        assert 0 < error < 0.1, (name, error)
    for save in (model.save_pretrained, model.save):
        with pytest.raises(ValueError, match=r"before model\.quantize"):
            save(tmp_path / "model.keras")
        assert not (tmp_path / "model.keras").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_an_int8_model_is_served(tmp_path):
    model = make()
    model.quantize("int8")
    expected = keras.ops.softmax(model(model.tokenizer(["a b. c!"]))["logits"])[0]
    path = kbk.export.saved_model(model, tmp_path / "1")
    answer = kbk.serving.Pipeline.load(path)(["a b. c!"])[0]
    np.testing.assert_allclose(list(answer["probabilities"].values()), expected, atol=1e-5)
