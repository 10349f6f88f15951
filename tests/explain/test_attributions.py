import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForMaskedLM, BertForSequenceClassification
from keras_bert_kit.explain import Attributions, attributions, integrated_gradients
from keras_bert_kit.explain.reading import read_text

TEXT = "The food is not bad, but kettles!"


def logits(model, text, filler=None):
    reading = read_text(model, text)
    ids = reading.inputs["input_ids"]
    if filler is not None:
        ids = np.where(reading.special, ids, filler).astype("int32")
    return model({**reading.inputs, "input_ids": ids})["logits"].numpy()[0]


@pytest.mark.parametrize(("baseline", "filler"), [("[PAD]", 0), ("[MASK]", 4)])
def test_attributions_add_up_to_the_difference_from_the_baseline(classifier, baseline, filler):
    found = attributions(classifier, TEXT, target="so-so", steps=200, baseline=baseline)
    difference = logits(classifier, TEXT)[1] - logits(classifier, TEXT, filler)[1]
    assert abs(difference) > 0.05
    assert found.output - found.baseline_output == pytest.approx(difference, abs=1e-5)
    assert found.scores.sum() == pytest.approx(difference, rel=0.01)
    assert found.delta == pytest.approx(difference - found.scores.sum(), abs=1e-5)


def test_more_steps_make_the_error_smaller(classifier):
    deltas = [abs(attributions(classifier, TEXT, steps=n).delta) for n in (1, 2, 4, 64)]
    assert deltas[0] > 2 * deltas[1] > 4 * deltas[2] > 8 * deltas[3]
    assert deltas[3] < 1e-6


def test_a_linear_model_gives_each_token_its_own_part(make):
    """What f = sum(w * embeddings) gives is known: w * (x - x')."""
    model = make()
    reading = read_text(model, TEXT)
    ids = reading.inputs["input_ids"]
    weights = np.random.default_rng(3).normal(size=(ids.shape[1], 12)).astype("float32")
    table = model.bert.embeddings.word_embeddings.embeddings.numpy()

    class Linear(tf.Module):
        bert = model.bert

        def __call__(self, inputs_embeds, **_):
            return {"sums": tf.reduce_sum(inputs_embeds * weights, axis=(1, 2))}

    baseline = np.where(reading.special, ids, 0)
    found = integrated_gradients(Linear(), reading.inputs, baseline, lambda o: o["sums"], steps=1)
    expected = ((table[ids[0]] - table[baseline[0]]) * weights).sum(-1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    assert found.delta == pytest.approx(0, abs=1e-5)
    assert (found.scores[[0, -1]] == 0).all()


def test_steps_in_several_passes_give_the_same(classifier, monkeypatch):
    expected = attributions(classifier, TEXT, steps=7)
    monkeypatch.setattr("keras_bert_kit.explain.gradients._TOKENS_AT_ONCE", 45)  # 3 rows
    found = attributions(classifier, TEXT, steps=7)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_words_are_merged_and_have_their_place_in_the_text(found):
    words = [word.text for word in found.words]
    assert found.tokens[-4:-1] == ["kettle", "##s", "!"]
    assert words == ["The", "food", "is", "not", "bad", ",", "but", "kettles", "!"]
    assert [TEXT[word.start : word.end] for word in found.words] == words
    pieces = [n for n, token in enumerate(found.tokens) if token.startswith("##")]
    together = found.scores[[pieces[0] - 1, *pieces]].sum()
    assert found.words[7].score == pytest.approx(together, abs=1e-6)
    assert sum(word.score for word in found.words) == pytest.approx(found.scores.sum(), abs=1e-5)
    assert (found.scores[[0, -1]] == 0).all()


def test_offsets_count_characters_and_accents_stay():
    from keras_bert_kit import BertTokenizer

    tokenizer = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "a", "##s"])

    class Model:
        max_length = 9

    Model.tokenizer = tokenizer
    reading = read_text(Model, "😀 Cafés  a")
    text = "😀 Cafés  a"
    spans = [reading.offsets[[word[0], word[-1]]] for word in reading.words()]
    assert [text[span[0, 0] : span[1, 1]] for span in spans] == ["😀", "Cafés", "a"]


def test_the_second_text_has_words_of_its_own(classifier):
    found = attributions(classifier, "good food", "a bad room", steps=8)
    words = [(word.text_number, word.text, word.start) for word in found.words]
    assert words == [(0, "good", 0), (0, "food", 5), (1, "a", 0), (1, "bad", 2), (1, "room", 6)]
    middle = found.tokens.index("[SEP]")
    assert found.scores[middle] == 0


def test_the_likeliest_label_is_explained_unless_one_is_named(classifier):
    found = attributions(classifier, TEXT, steps=4)
    values = logits(classifier, TEXT)
    powers = np.exp(values) / np.exp(values).sum()
    assert list(found.probabilities) == ["bad", "so-so", "good"]
    np.testing.assert_allclose(list(found.probabilities.values()), powers, atol=1e-6)
    assert found.target == ["bad", "so-so", "good"][values.argmax()]
    assert found.output == pytest.approx(values.max(), abs=1e-5)
    other = ["bad", "so-so", "good"][values.argmin()]
    named = attributions(classifier, TEXT, target=other, steps=4)
    assert (named.target, named.probability) == (other, pytest.approx(powers.min(), abs=1e-6))
    assert named.output == pytest.approx(values.min(), abs=1e-5)


def test_labels_that_do_not_exclude_each_other_have_a_probability_each(make):
    model = make(problem_type="multi_label_classification")
    found = attributions(model, TEXT, steps=2)
    expected = 1 / (1 + np.exp(-logits(model, TEXT)))
    np.testing.assert_allclose(list(found.probabilities.values()), expected, atol=1e-6)


def test_a_regression_has_a_number_and_no_probability(make):
    model = make(problem_type="regression", id2label={0: "stars"})
    found = attributions(model, TEXT, steps=64)
    assert (found.target, found.probability, found.probabilities) == ("stars", None, {})
    assert found.output == pytest.approx(float(logits(model, TEXT)[0]), abs=1e-5)
    assert abs(found.delta) < 0.01 * abs(found.output - found.baseline_output)


def test_a_words_label_is_explained(tagger):
    found = attributions(tagger, TEXT, target=(7, "I-PER"), steps=64)
    place = found.tokens.index("but") + 1  # the first token of the word
    values = logits(tagger, TEXT)[place]
    assert (found.word, found.target) == (7, "I-PER")
    assert found.output == pytest.approx(float(values[2]), abs=1e-5)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert abs(found.delta) < 0.01 * abs(found.output - found.baseline_output)
    likeliest = attributions(tagger, TEXT, target=(7, None), steps=2)
    assert likeliest.target == ["O", "B-PER", "I-PER"][values.argmax()]


def test_the_first_word_with_a_label_is_taken(tagger):
    found = attributions(tagger, TEXT, steps=2)
    starts = [places[0] for places in read_text(tagger, TEXT).words()]
    labels = logits(tagger, TEXT)[starts].argmax(-1)
    assert (labels != 0).any()
    assert found.word == np.flatnonzero(labels)[0]


def test_a_text_that_is_cut_says_so(classifier):
    found = attributions(classifier, "good " * 40, steps=2)
    assert found.cut
    assert len(found.tokens) == 23
    assert found.words[-1].end == 21 * 5 - 1
    assert not attributions(classifier, "good", steps=2).cut


def test_half_precision_is_integrated_as_well(make, classifier):
    from keras_bert_kit import BertConfig

    model = BertForSequenceClassification(
        BertConfig.from_dict(classifier.config.to_dict()),
        tokenizer=classifier.tokenizer,
        dtype="mixed_bfloat16",
    )
    model.set_weights(classifier.get_weights())
    found = attributions(model, TEXT, target="good", steps=20)
    expected = attributions(classifier, TEXT, target="good", steps=20)
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.15)


def test_the_result_is_json(found):
    again = json.loads(json.dumps(found.as_dict()))
    assert again["words"][0].keys() == {"text", "start", "end", "score", "text_number"}
    assert again["scores"] == pytest.approx(found.scores.tolist())
    assert again.keys() == Attributions.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "text must have at least one word"),
        ({"text": " \n"}, "text must have at least one word"),
        ({"target": "great"}, "target must be one of bad, so-so, good. Received: target='great'"),
        ({"steps": 0}, "steps must be at least 1. Received: steps=0"),
        ({"baseline": "x"}, "baseline must be one of"),
    ],
)
def test_what_cannot_be_explained_is_refused(classifier, arguments, message):
    with pytest.raises(ValueError, match=message):
        attributions(classifier, **{"text": TEXT, **arguments})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("O", "the target must be a pair"),
        ((9, None), "The text has 9 words; their numbers start from 0. Received: 9"),
        ((-1, None), "Received: -1"),
        ((0, "good"), "target must be one of O, B-PER, I-PER"),
    ],
)
def test_a_word_or_label_that_is_not_there_is_refused(tagger, target, message):
    with pytest.raises(ValueError, match=message):
        attributions(tagger, TEXT, target=target)


def test_other_models_and_texts_are_refused(make, classifier):
    with pytest.raises(TypeError, match=r"must be a BertForSequenceClassification or .*MaskedLM"):
        attributions(make(BertForMaskedLM), TEXT)
    with pytest.raises(TypeError, match=r"text must be a string\. Received: text=3"):
        attributions(classifier, 3)
    bare = BertForSequenceClassification(classifier.config)
    with pytest.raises(ValueError, match="The model must have a tokenizer"):
        attributions(bare, TEXT)
