import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert_kit as kbk
from keras_bert_kit.config import PoolingConfig
from keras_bert_kit.data import Examples, bucketed_batches
from keras_bert_kit.data.pairs_of_texts import encode_text_pairs
from keras_bert_kit.models import CosineSimilarityLoss, MultipleNegativesRankingLoss, nearest

B, H = 5, 4
random = np.random.default_rng(12)
PAIRS = random.normal(size=(B, 2, H)).astype("float32")
SCORES = random.uniform(-1, 1, B).astype("float32")
LOSSES = [
    CosineSimilarityLoss,
    MultipleNegativesRankingLoss,
    lambda **arguments: MultipleNegativesRankingLoss(symmetric=True, **arguments),
]


def cosines(first, second):
    """The cosine of each of one with each of the other."""
    first, second = (x.astype("float64") for x in (first, second))
    norms = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)
    return first @ second.T / norms


def lead_of_the_diagonal(first, second):
    """By how much the cosine of those that belong together is above that of the others."""
    every = cosines(first, second)
    return np.diag(every).mean() - every[~np.eye(len(every), dtype=bool)].mean()


def cross_entropy_of_the_diagonal(scores):
    return -np.log(np.diag(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)))


@pytest.mark.parametrize("shape", [(B,), (B, 1)])
def test_the_cosine_is_held_against_the_score(shape):
    errors = np.square(np.diag(cosines(PAIRS[:, 0], PAIRS[:, 1])) - SCORES)
    np.testing.assert_allclose(
        CosineSimilarityLoss(reduction=None)(SCORES.reshape(shape), PAIRS), errors, rtol=1e-5
    )
    weights = np.arange(B, dtype="float32")
    weighted = CosineSimilarityLoss()(SCORES, PAIRS, sample_weight=weights)
    np.testing.assert_allclose(weighted, (weights * errors).mean(), rtol=1e-5)


@pytest.mark.parametrize("scale", [20.0, 3.0])
def test_the_second_text_is_to_be_found_in_the_batch(scale):
    scores = scale * cosines(PAIRS[:, 0], PAIRS[:, 1])
    there, back = map(cross_entropy_of_the_diagonal, (scores, scores.T))
    loss = MultipleNegativesRankingLoss(scale, reduction=None)(SCORES, PAIRS)
    np.testing.assert_allclose(loss, there, rtol=1e-4)
    both = MultipleNegativesRankingLoss(scale, symmetric=True)(SCORES, PAIRS)
    np.testing.assert_allclose(both, (there + back).mean() / 2, rtol=1e-4)


def test_the_usual_scale_is_20():
    expected = MultipleNegativesRankingLoss(20.0)(SCORES, PAIRS)
    assert float(MultipleNegativesRankingLoss()(SCORES, PAIRS)) == float(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_length_of_an_embedding_does_not_matter(loss):
    lengths = random.uniform(0.01, 100, (B, 2, 1)).astype("float32")
    np.testing.assert_allclose(loss()(SCORES, PAIRS * lengths), loss()(SCORES, PAIRS), rtol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_zero_has_cosine_0_and_no_gradient(loss, jit_compile):
    pairs = PAIRS.copy()
    pairs[1, 0] = pairs[3] = 0

    @tf.function(jit_compile=jit_compile)
    def errors_and_gradient(pairs):
        with tf.GradientTape() as tape:
            tape.watch(pairs)
            errors = loss(reduction=None)(SCORES, pairs)
        return errors, tape.gradient(errors, pairs)

    errors, gradient = errors_and_gradient(tf.constant(pairs))
    assert np.isfinite(errors).all()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[3], np.zeros((2, H)))
    assert np.abs(gradient[0]).max() > 0
    if loss is CosineSimilarityLoss:
        np.testing.assert_allclose(errors[3], SCORES[3] ** 2, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_serialised(loss):
    made = loss() if loss is CosineSimilarityLoss else loss(scale=7.0)
    copy = keras.losses.deserialize(keras.losses.serialize(made))
    assert type(copy) is type(made)
    assert copy.get_config() == made.get_config()
    assert float(copy(SCORES, PAIRS)) == float(made(SCORES, PAIRS))


@pytest.mark.parametrize("shape", [(B, H), (B, 3, H)])
def test_other_than_pairs_is_refused(shape):
    for loss in LOSSES:
        with pytest.raises(ValueError, match=r"must be of pairs.*encode_text_pairs") as caught:
            loss()(SCORES, np.zeros(shape, "float32"))
        assert f"Received: shape={shape}" in str(caught.value)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan")])
def test_a_scale_is_above_zero(scale):
    with pytest.raises(ValueError, match=f"scale must be above 0. Received: scale={scale}"):
        MultipleNegativesRankingLoss(scale)


WORDS = (("good", "great"), ("bad", "awful"), ("food", "kettle"), ("room", "staff"))
TEXTS = [f"the {one} was {one}" for one, _ in WORDS], [f"very {two} {two}" for _, two in WORDS]


@pytest.fixture
def encoder(tiny_folder):
    keras.utils.set_random_seed(6)
    return kbk.BertSentenceEncoder.from_pretrained(
        tiny_folder, pooling=PoolingConfig("mean", normalize=True), hidden_dropout_prob=0.0
    )


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("mode", ["mean", "cls", "max"])
def test_pairs_are_embedded_as_their_texts_alone(tiny_folder, mode, jit_compile):
    model = kbk.BertSentenceEncoder.from_pretrained(tiny_folder, pooling=PoolingConfig(mode))
    pairs = encode_text_pairs(Examples("pairs", *TEXTS), model.tokenizer, 12)
    inputs = pairs.pack(np.arange(4), 12)
    embed = tf.function(lambda x: model(x)["sentence_embedding"], jit_compile=jit_compile)
    embeddings = embed(inputs)
    assert embeddings.shape == (4, 2, 20)
    for side, texts in enumerate(TEXTS):
        np.testing.assert_allclose(embeddings[:, side], model.encode(texts), atol=1e-5)
    positions = np.tile(np.arange(12, dtype="int32"), (4, 2, 1))
    again = model({**inputs, "position_ids": positions})["sentence_embedding"]
    np.testing.assert_allclose(again, embeddings, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_fit_brings_paraphrases_together(encoder, loss):
    first = [text for text in TEXTS[0] for _ in range(2)]
    second = [TEXTS[1][(i // 2 + i % 2) % 4] for i in range(8)]
    scores = np.array([1.0, 0.0] * 4)
    if loss is not CosineSimilarityLoss:  # it needs those that belong together alone
        (first, second), scores = TEXTS, np.ones(4)
    examples = Examples("pairs", first, second)
    pairs = encode_text_pairs(examples, encoder.tokenizer, 12, scores=scores)
    before = encoder.encode(TEXTS[0]), encoder.encode(TEXTS[1])
    encoder.compile(keras.optimizers.Adam(5e-3), loss(), jit_compile=False)
    [batch] = bucketed_batches(pairs, None, batch_size=8)
    losses = encoder.fit(*batch, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    after = encoder.encode(TEXTS[0]), encoder.encode(TEXTS[1])
    assert lead_of_the_diagonal(*after) > max(0.5, lead_of_the_diagonal(*before) + 0.2)
    rows, _ = nearest(*after, k=1)
    assert rows[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("at_once", [1, 40, 10**6])
def test_the_nearest_are_those_of_all_pairs_compared(monkeypatch, at_once):
    monkeypatch.setattr(kbk.models.sentence_encoder, "_COSINES", at_once)
    queries, corpus = random.normal(size=(7, H)), random.normal(size=(13, H))
    every = cosines(queries, corpus)
    rows, found = nearest(queries, corpus, k=4)
    assert (rows.dtype, found.dtype) == ("int64", "float32")
    np.testing.assert_array_equal(rows, np.argsort(-every, axis=1)[:, :4])
    np.testing.assert_allclose(found, -np.sort(-every, axis=1)[:, :4], atol=1e-6)


def test_a_small_corpus_is_given_whole_and_zeros_have_cosine_0():
    rows, found = nearest(np.array([[2.0, 0]]), np.array([[0, 0], [3.0, 0], [3.0, 0], [-1, 0]]))
    assert rows.tolist() == [[1, 2, 0, 3]]
    assert found.tolist() == [[1, 1, 0, -1]]
    rows, found = nearest(np.zeros((2, 3)), np.zeros((0, 3)))
    assert rows.shape == found.shape == (2, 0)


@pytest.mark.parametrize("k", [0, -1])
def test_one_neighbour_at_least_is_looked_for(k):
    with pytest.raises(ValueError, match=f"k must be at least 1. Received: k={k}"):
        nearest(np.zeros((1, 2)), np.zeros((1, 2)), k=k)


@pytest.mark.parametrize("shapes", [((3,), (5, 3)), ((2, 3), (5, 4)), ((2, 3), (3,))])
def test_vectors_of_other_sizes_are_refused(shapes):
    with pytest.raises(ValueError, match=r"must be of shapes \(Q, H\) and \(N, H\)"):
        nearest(*map(np.zeros, shapes))
