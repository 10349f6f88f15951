import dataclasses
import json
import logging

import numpy as np
import pytest
from checks import check_same, check_same_weights

from keras_bert_kit import BertForSequenceClassification, BertModel, load_checkpoint


def test_everything_that_does_not_fit_is_named_in_one_error(encoder_folder, change_tensors):
    def damage(tensors):
        del tensors["embeddings.LayerNorm.bias"]
        tensors["encoder.layer.1.output.dense.bias"] = np.zeros(20, "float32")
        tensors["rotary.table"] = np.zeros(3, "float32")
        tensors["encoder.layer.0.intermediate.dense.bias"] = np.zeros(36, "float32")
        tensors["encoder.layer.0.output.dense.weight"][3, 4] = np.nan

    change_tensors(encoder_folder, damage)
    with pytest.raises(ValueError, match="must fill the model exactly") as caught:
        BertModel.from_pretrained(encoder_folder)
    text = str(caught.value)
    assert str(encoder_folder) in text
    assert "missing: embeddings/layer_norm/beta;" in text
    assert "unexpected: encoder.layer.1.output.dense.bias, rotary.table;" in text
    assert "encoder/block_0/intermediate_dense/bias is (36,) and must be (37,)" in text
    assert "not finite (NaN or infinite): encoder/block_0/output_dense/kernel." in text


def test_a_new_head_is_reported_and_logged(encoder, encoder_folder, caplog):
    with caplog.at_level(logging.WARNING, "keras_bert_kit"):
        model = BertForSequenceClassification.from_pretrained(encoder_folder, num_labels=4)
    new = ("classifier/dense/bias", "classifier/dense/kernel")
    assert tuple(sorted(model.loading_report.new)) == new
    assert all(name in caplog.text for name in (*new, "new weights", str(encoder_folder)))
    check_same_weights(model.bert, encoder)
    assert model.config.label_names == ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]


def test_a_whole_checkpoint_logs_nothing(classifier_folder, caplog):
    BertForSequenceClassification.from_pretrained(classifier_folder)
    assert caplog.records == []


def test_a_checkpoint_without_a_pooler_loads(encoder, tmp_path, caplog, inputs, make):
    make(BertModel, add_pooling_layer=False).save_pretrained(tmp_path / "model")
    loaded = BertModel.from_pretrained(tmp_path / "model")
    assert set(loaded.loading_report.new) == {"pooler/dense/kernel", "pooler/dense/bias"}
    assert "pooler/dense/kernel" in caplog.text
    key = "last_hidden_state"
    check_same(loaded(inputs)[key], encoder(inputs)[key], atol=0)


def test_a_head_of_another_shape_is_replaced_only_when_asked(classifier, classifier_folder, inputs):
    labels = ["no", "yes"]
    with pytest.raises(ValueError, match=r"\(20, 3\) and must be \(20, 2\).*new_head=True"):
        BertForSequenceClassification.from_pretrained(classifier_folder, id2label=labels)
    model = BertForSequenceClassification.from_pretrained(
        classifier_folder, id2label=labels, new_head=True
    )
    assert model.config.label_names == labels
    assert len(model.loading_report.new) == 2
    check_same_weights(model.bert, classifier.bert)
    assert model(inputs)["logits"].shape == (8, 2)
    with pytest.raises(ValueError, match="must fill the model exactly"):
        BertModel.from_pretrained(classifier_folder, intermediate_size=36, new_head=True)


def test_labels_are_named_without_another_shape(classifier, classifier_folder):
    names = {"0": "a", 1: "b", 2: "c"}
    model = BertForSequenceClassification.from_pretrained(classifier_folder, id2label=names)
    assert model.config.label_names == ["a", "b", "c"]
    same = BertForSequenceClassification.from_pretrained(classifier_folder, num_labels=3)
    assert same.config.id2label == classifier.config.id2label
    check_same_weights(model, classifier)


def test_fields_and_dtype_are_changed_while_loading(encoder, encoder_folder, inputs):
    model = BertModel.from_pretrained(
        encoder_folder, dtype="mixed_bfloat16", hidden_dropout_prob=0.0
    )
    assert model.config == dataclasses.replace(encoder.config, hidden_dropout_prob=0.0)
    assert model(inputs)["last_hidden_state"].dtype == "bfloat16"
    check_same_weights(model, encoder)
    with pytest.raises(TypeError, match="hidden_dropout"):
        BertModel.from_pretrained(encoder_folder, hidden_dropout=0.0)


def test_a_weight_under_two_names_is_refused(encoder_folder, change_tensors):
    name = "embeddings.LayerNorm.bias"
    change_tensors(encoder_folder, lambda tensors: tensors.update({f"bert.{name}": tensors[name]}))
    with pytest.raises(ValueError, match=name):
        BertModel.from_pretrained(encoder_folder)


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, -1])
def test_a_cut_weight_file_is_refused(encoder_folder, kept):
    path = encoder_folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match="must be a whole safetensors file") as caught:
        BertModel.from_pretrained(encoder_folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "must hold config.json. Found: .*vocab.txt"),
        ("model.safetensors", "must hold a BERT checkpoint: .*bert_model.ckpt.*Found: config.json"),
    ],
)
def test_a_missing_file_is_named_with_what_is_there(encoder_folder, name, message):
    (encoder_folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        load_checkpoint(encoder_folder)


def test_a_folder_without_a_tokenizer_is_refused(encoder_folder):
    (encoder_folder / "vocab.txt").unlink()
    (encoder_folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="must hold a tokenizer"):
        load_checkpoint(encoder_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "model_type='roberta'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'"),
        ({"vocab_size": 7}, "has 8 tokens and vocab_size=7"),
    ],
)
def test_another_model_is_refused(encoder_folder, change, message):
    path = encoder_folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        load_checkpoint(encoder_folder)
