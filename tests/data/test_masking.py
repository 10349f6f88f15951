import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertConfig, BertForMaskedLM, BertTokenizer
from keras_bert_kit.data.masking import TokenMasker

SPECIAL = 5  # the first ids


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


def batch(tokenizer, rows=64, length=40, seed=3):
    """Random tokens between [CLS] and [SEP], of different lengths, padded."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(SPECIAL, len(tokenizer.tokens), (rows, length))
    ends = generator.integers(3, length, (rows, 1))
    position = np.arange(length)
    ids[:, 0] = tokenizer.vocab["[CLS]"]
    ids = np.where(position == ends, tokenizer.vocab["[SEP]"], ids) * (position <= ends)
    mask = (position <= ends).astype("int32")
    return {
        "input_ids": ids.astype("int32"),
        "token_type_ids": np.zeros_like(mask),
        "attention_mask": mask,
    }


def run(masker, inputs, seed=(1, 2)):
    outputs = tf.function(masker)(inputs, tf.constant(seed, tf.int64))
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)


@pytest.mark.parametrize("whole_word_mask", [False, True])
@pytest.mark.parametrize("max_predictions", [4, 20, 60])
def test_chosen_tokens_are_those_that_were_there(tokenizer, whole_word_mask, max_predictions):
    inputs = batch(tokenizer)
    masker = TokenMasker(tokenizer, 0.3, max_predictions, whole_word_mask)
    masked, labels, weights = run(masker, inputs)
    positions = masked["masked_positions"]
    assert positions.shape == labels.shape == weights.shape == (64, max_predictions)
    for row in range(64):
        chosen = positions[row][weights[row] == 1]
        assert len(set(chosen)) == len(chosen)
        assert list(chosen) == sorted(chosen)
        original = inputs["input_ids"][row]
        assert (original[chosen] >= SPECIAL).all()  # neither special nor padding
        np.testing.assert_array_equal(labels[row][weights[row] == 1], original[chosen])
        others = np.setdiff1d(np.arange(40), chosen)
        np.testing.assert_array_equal(masked["input_ids"][row][others], original[others])
        assert not labels[row][weights[row] == 0].any()
    for name in ("token_type_ids", "attention_mask"):
        np.testing.assert_array_equal(masked[name], inputs[name])


def test_the_number_follows_the_recipe(tokenizer):
    inputs = batch(tokenizer, rows=300, length=100)
    _, _, weights = run(TokenMasker(tokenizer, 0.15, 10), inputs)
    tokens = inputs["attention_mask"].sum(1)
    expected = np.clip(np.round(0.15 * tokens.astype("float32")), 1, 10)
    candidates = (inputs["input_ids"] >= SPECIAL).sum(1)
    np.testing.assert_array_equal(weights.sum(1), np.minimum(expected, candidates))


@pytest.mark.parametrize("whole_word_mask", [False, True])
def test_most_are_hidden_a_tenth_is_random_and_a_tenth_stays(tokenizer, whole_word_mask):
    inputs = batch(tokenizer, rows=2000, length=60)
    masked, labels, weights = run(TokenMasker(tokenizer, 0.3, 20, whole_word_mask), inputs)
    now = np.take_along_axis(masked["input_ids"], masked["masked_positions"], 1)[weights == 1]
    before = labels[weights == 1]
    is_mask = now == tokenizer.vocab["[MASK]"]
    count = len(now)
    assert count > 10_000
    four_deviations = 4 * np.sqrt(0.2 * 0.8 / count)
    assert abs(is_mask.mean() - 0.8) < four_deviations + 0.1 / len(tokenizer.tokens)
    assert abs((now == before).mean() - 0.1) < four_deviations + 0.1 / len(tokenizer.tokens)
    others = now[~is_mask & (now != before)]
    assert len(set(others)) > 0.9 * len(tokenizer.tokens)  # from all of the vocabulary


def test_every_token_has_the_same_chance(tokenizer):
    inputs = {name: np.repeat(value, 4000, 0) for name, value in batch(tokenizer, rows=1).items()}
    masked, _, weights = run(TokenMasker(tokenizer, 0.3, 20), inputs)
    counts = np.bincount(masked["masked_positions"][weights == 1], minlength=40)
    candidates = inputs["input_ids"][0] >= SPECIAL
    expected = weights.sum() / candidates.sum()
    assert np.abs(counts[candidates] - expected).max() < 5 * np.sqrt(expected)
    assert not counts[~candidates].any()


def test_whole_words_are_chosen_or_left(tokenizer):
    inputs = batch(tokenizer, rows=200)
    masked, _, weights = run(TokenMasker(tokenizer, 0.3, 20, whole_word_mask=True), inputs)
    tokens = np.array(tokenizer.tokens, dtype=object)
    count = np.clip(np.round(0.3 * inputs["attention_mask"].sum(1)), 1, 20)
    assert (weights.sum(1) <= count).all()
    assert weights.sum() > 0.7 * count.sum()
    for row in range(200):
        chosen = set(masked["masked_positions"][row][weights[row] == 1])
        for position, token in enumerate(tokens[inputs["input_ids"][row]]):
            before = position - 1
            if token.startswith("##") and before > 0:  # a piece, and what it goes on with
                assert (position in chosen) == (before in chosen)


@pytest.mark.parametrize("whole_word_mask", [False, True])
def test_the_seed_decides(tokenizer, whole_word_mask):
    inputs, masker = batch(tokenizer), TokenMasker(tokenizer, 0.3, 9, whole_word_mask)
    one, again, other = (run(masker, inputs, seed) for seed in ((1, 2), (1, 2), (2, 1)))
    tf.nest.map_structure(np.testing.assert_array_equal, one, again)
    assert (one[0]["masked_positions"] != other[0]["masked_positions"]).mean() > 0.5


def test_masked_batches_train_a_model_with_fit(tokenizer):
    keras.utils.set_random_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer.tokens),
        hidden_size=20,
        num_hidden_layers=1,
        num_attention_heads=5,
        intermediate_size=37,
    )
    model = BertForMaskedLM(config)
    model.compile(
        keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    inputs = batch(tokenizer)
    ids = inputs["input_ids"]
    inputs["input_ids"] = np.where(ids >= SPECIAL, ids[:, 1:2] % 9 + SPECIAL, ids)  # one a row
    batches = tf.data.Dataset.from_tensor_slices(inputs).batch(16)
    seeds = tf.data.Dataset.random(seed=0, rerandomize_each_iteration=True).batch(2)
    masked = tf.data.Dataset.zip(batches, seeds).map(TokenMasker(tokenizer))
    first, second = (next(iter(masked))[0]["masked_positions"] for _ in range(2))
    assert (first.numpy() != second.numpy()).any()  # other tokens in each epoch
    history = model.fit(masked, epochs=8, shuffle=False, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mlm_probability": 0.0}, "mlm_probability=0.0"),
        ({"mlm_probability": 1.0}, "mlm_probability=1.0"),
        ({"max_predictions": 0}, "max_predictions must be at least 1. Received: 0"),
    ],
)
def test_numbers_out_of_range(tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        TokenMasker(tokenizer, **arguments)
