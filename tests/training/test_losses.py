import dataclasses

import keras
import numpy as np
import pytest

from keras_bert_kit import BertConfig, BertForPreTraining, BertForSequenceClassification
from keras_bert_kit.config import PROBLEM_TYPES, default_labels
from keras_bert_kit.training import classification_loss, pretraining_losses

B, S, P, V = 5, 7, 3, 31
CONFIG = BertConfig(
    vocab_size=V,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=9,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.5,
)
RANDOM = np.random.default_rng(4)
IDS = RANDOM.integers(1, V, (B, S)).astype("int32")
CLASSES = np.array([0, 2, 1, 1, 0])
NUMBERS = RANDOM.normal(size=B).astype("float32")


def cross_entropy(logits, labels):
    """Minus the logarithm of the softmax at the labels."""
    logits = np.asarray(logits, "float64")
    total = np.log(np.exp(logits).sum(-1))
    return total - np.take_along_axis(logits, labels[..., None], -1)[..., 0]


def single_label(logits, labels):
    return cross_entropy(logits, labels).mean()


def multi_label(logits, labels):
    probabilities = 1 / (1 + np.exp(-np.asarray(logits, "float64")))
    return -np.log(np.where(labels, probabilities, 1 - probabilities)).mean()


def regression(logits, labels):
    assert logits.shape == (B, 1)
    return np.square(logits[:, 0] - labels.reshape(B)).mean()


SINGLE, MULTI, REGRESSION = PROBLEM_TYPES
CASES = [
    (None, 3, CLASSES, single_label),
    (SINGLE, 3, CLASSES.astype("int32"), single_label),
    (SINGLE, 3, CLASSES[:, None], lambda logits, labels: single_label(logits, labels[:, 0])),
    (MULTI, 3, np.eye(3, dtype="int32")[CLASSES] | np.eye(3, dtype="int32")[2], multi_label),
    (REGRESSION, 1, NUMBERS, regression),
    (REGRESSION, 1, NUMBERS[:, None], regression),
    (REGRESSION, 1, CLASSES, regression),
]


@pytest.mark.parametrize(("problem_type", "classes", "labels", "expected"), CASES)
def test_the_loss_of_a_classifier_trains_it(problem_type, classes, labels, expected):
    keras.utils.set_random_seed(2)
    config = dataclasses.replace(
        CONFIG, problem_type=problem_type, id2label=default_labels(classes)
    )
    model = BertForSequenceClassification(config)
    logits = model(IDS)["logits"].numpy()
    assert np.ptp(logits) > 0.1
    loss = classification_loss(config.problem_type)
    np.testing.assert_allclose(loss(labels, logits), expected(logits, labels), rtol=1e-5)
    model.compile(keras.optimizers.SGD(0.01), loss)
    before = model.train_on_batch(IDS, labels)
    np.testing.assert_allclose(before, expected(logits, labels), rtol=1e-5)
    assert model.test_on_batch(IDS, labels) < before


def test_a_weight_of_a_text_weighs_its_loss():
    logits = NUMBERS[:, None] + 1
    weights = np.array([1, 0, 0, 2, 0], "float32")
    loss = classification_loss(REGRESSION)(NUMBERS - NUMBERS[::-1], logits, weights)
    errors = np.square(NUMBERS + 1 - NUMBERS + NUMBERS[::-1])
    np.testing.assert_allclose(loss, (weights * errors).mean(), rtol=1e-5)


def test_the_problem_type_must_be_known():
    with pytest.raises(ValueError, match=r"keras_bert_kit\.config\.PROBLEM_TYPES.*'ranking'"):
        classification_loss("ranking")


@pytest.fixture
def predictions():
    """Labels, and weights of mean 1: most places of the batch are padding."""
    labels = {
        "prediction_logits": RANDOM.integers(0, V, (B, P)),
        "seq_relationship_logits": CLASSES % 2,
    }
    chosen = np.arange(B)[:, None] % 3 >= np.arange(P)
    assert 0 < chosen.sum() < 0.7 * B * P
    weights = {
        "prediction_logits": (chosen / chosen.mean()).astype("float32"),
        "seq_relationship_logits": np.ones(B, "float32"),
    }
    return labels, weights, chosen


def test_the_pretraining_loss_is_the_papers(predictions):
    labels, weights, chosen = predictions
    keras.utils.set_random_seed(3)
    model = BertForPreTraining(CONFIG)
    inputs = {"input_ids": IDS, "masked_positions": np.tile(np.array([[1, 3, 4]], "int32"), (B, 1))}
    logits = model(inputs)
    errors = {name: cross_entropy(logits[name], labels[name]) for name in labels}
    masked = (chosen * errors["prediction_logits"]).sum() / chosen.sum()
    next_sentence = errors["seq_relationship_logits"].mean()
    model.compile(keras.optimizers.SGD(0.01), pretraining_losses())
    logs = model.train_on_batch(inputs, labels, weights, return_dict=True)
    np.testing.assert_allclose(logs["loss"], masked + next_sentence, rtol=1e-5)
    np.testing.assert_allclose(logs["prediction_logits_loss"], masked, rtol=1e-5)
    np.testing.assert_allclose(logs["seq_relationship_logits_loss"], next_sentence, rtol=1e-5)


def test_the_mean_over_equal_parts_is_the_loss_of_the_batch():
    labels, chosen = RANDOM.integers(0, V, (6, P)), RANDOM.random((6, P)) < 0.4
    logits = RANDOM.normal(size=(6, P, V)).astype("float32")
    weights = (chosen / chosen.mean()).astype("float32")
    loss = pretraining_losses()["prediction_logits"]
    parts = [
        float(loss(labels[part], logits[part], weights[part]))
        for part in (slice(0, 2), slice(2, 4), slice(4, 6))
    ]
    errors = cross_entropy(logits, labels)
    np.testing.assert_allclose(np.mean(parts), (chosen * errors).sum() / chosen.sum(), rtol=1e-5)
