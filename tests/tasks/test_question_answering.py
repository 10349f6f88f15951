"""Answers in the graph, against the usual rule done slowly in Python."""

import numpy as np
import pytest
import tensorflow as tf
from checks import randomise

from keras_bert_kit import BertForQuestionAnswering
from keras_bert_kit.export import serving_functions
from keras_bert_kit.tasks.question_answering import (
    QuestionAnswering,
    query_length,
    window_stride,
)

LENGTH = 20
CONTEXT = "the staff was nice but the room was very slow and the food, it was not great " * 2
ASKED = [
    ("was it good?", CONTEXT),
    ("what was bad?", "the film"),
    ("is it very very very very very very very very good?", CONTEXT),
    ("?", ""),
    ("", "où là 🙂 the food"),
]


@pytest.fixture(scope="module")
def model(tiny_folder):
    return randomise(BertForQuestionAnswering.from_pretrained(tiny_folder), seed=3)


@pytest.fixture(scope="module")
def answers(model):
    function = serving_functions(model, LENGTH)["serving_default"]
    questions, contexts = zip(*ASKED, strict=True)
    found = function(question=tf.constant(questions), context=tf.constant(contexts))
    return {name: values.numpy() for name, values in found.items()}


def spans_of(model, question, context):
    """Gives score, start and end of the possible answers, the best first, and the score of none."""
    tokenizer = model.tokenizer.as_text()
    asked = tokenizer([question], add_special_tokens=False, return_offsets_mapping=True)
    ends = asked["offset_mapping"][0, : query_length(LENGTH), 1]
    tokens = tokenizer(
        [question[: ends[-1]] if len(ends) else ""],
        [context],
        max_length=LENGTH,
        truncation="only_second",
        stride=window_stride(LENGTH),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    names = ("input_ids", "token_type_ids", "attention_mask")
    outputs = model({name: tokens[name] for name in names})
    best = {}
    none = min(np.asarray(outputs.start_logits)[:, 0] + np.asarray(outputs.end_logits)[:, 0])
    for window, offsets in enumerate(tokens["offset_mapping"]):
        places = [p for p, (a, b) in enumerate(offsets) if tokens["token_type_ids"][window, p]
                  and b > a]  # fmt: skip
        starts, ends = (np.asarray(outputs[f"{side}_logits"])[window] for side in ("start", "end"))
        firsts, lasts = (
            sorted(places, key=lambda p, logits=logits: -logits[p])[:20]
            for logits in (starts, ends)
        )
        for first in firsts:
            for last in lasts:
                if first <= last < first + 30:
                    span = (int(offsets[first][0]), int(offsets[last][1]))
                    score = starts[first] + ends[last]
                    best[span] = max(best.get(span, -np.inf), score)
    return sorted(((score, *span) for span, score in best.items()), reverse=True)[:20], none


def test_the_loss_is_the_mean_of_starts_and_ends(model):
    tokens = model.tokenizer(["was it good?"] * 2, ["the room", "the food was slow"])
    places = {"start_logits": np.array([4, 1]), "end_logits": np.array([5, 7])}
    outputs = model(tokens)
    own = [-tf.nn.log_softmax(outputs[name])[row, places[name][row]] for name in places
           for row in range(2)]  # fmt: skip
    model.compile(loss=QuestionAnswering().loss(model))
    loss, *_ = model.evaluate(tokens, places, verbose=0)
    np.testing.assert_allclose(loss, np.mean(own), rtol=1e-6)


@pytest.mark.parametrize("row", range(len(ASKED)))
def test_the_best_answers_are_those_of_the_usual_rule(model, answers, row):
    expected, none = spans_of(model, *ASKED[row])
    count = answers["n_best.count"][row]
    assert count == len(expected)
    found = list(
        zip(answers["n_best.start"][row][:count], answers["n_best.end"][row][:count], strict=True)
    )
    assert found == [(start, end) for _, start, end in expected]
    scores = np.array([score for score, _, _ in expected] + [none])
    probabilities = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(
        [*answers["n_best.score"][row][:count], answers["no_answer"][row]], probabilities, atol=1e-5
    )


@pytest.mark.parametrize("row", range(len(ASKED)))
def test_the_texts_are_those_of_the_context(answers, row):
    context = ASKED[row][1]
    for place in range(answers["n_best.count"][row]):
        start, end = answers["n_best.start"][row][place], answers["n_best.end"][row][place]
        assert answers["n_best.text"][row][place].decode() == context[start:end]
    assert answers["answer"][row].decode() == context[answers["start"][row] : answers["end"][row]]


def test_an_empty_context_has_no_answer(answers):
    assert answers["answer"][3] == b""
    assert (answers["start"][3], answers["end"][3], answers["score"][3]) == (0, 0, 0)
    assert answers["no_answer"][3] == pytest.approx(1)


def test_the_context_took_several_windows(model):
    tokens = model.tokenizer(["was it good?"], [CONTEXT])
    assert tokens["input_ids"].shape[1] > 2 * LENGTH
