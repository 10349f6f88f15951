"""Rows of examples, and their folds."""

import dataclasses

import numpy as np
import pytest

from keras_bert_kit.data import Examples
from keras_bert_kit.data.propositions import Propositions
from keras_bert_kit.data.rows import row_count, take
from keras_bert_kit.data.squad import Questions
from keras_bert_kit.search.folds import fold_rows
from keras_bert_kit.tasks import get_task

LABELS = ["a"] * 12 + ["b"] * 6


def examples(labels):
    return Examples("t.tsv", [f"text {row}" for row in range(len(labels))], labels=labels)


def check_partition(folds, rows):
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(rows))
    for train, held_out in folds:
        assert sorted([*train, *held_out]) == list(range(rows))


def test_folds_are_disjoint_and_have_the_same_share_of_each_class():
    folds = fold_rows(get_task("text-classification"), examples(LABELS), 3, seed=5)
    check_partition(folds, 18)
    for _, held_out in folds:
        assert sorted(LABELS[row] for row in held_out) == ["a"] * 4 + ["b"] * 2


def test_the_seed_decides_the_folds():
    task = get_task("text-classification")
    first, same, other = (
        [held_out.tolist() for _, held_out in fold_rows(task, examples(LABELS), 3, seed)]
        for seed in (0, 0, 1)
    )
    assert first == same != other
    assert first[0] != sorted(range(18))[:6]


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("regression", [str(0.1 * number) for number in range(9)]),
        ("multi_label_classification", ["a", "a,b", "", "b", "c,a", "b", "c", "", "a"]),
    ],
)
def test_rows_without_a_class_are_split_at_random(kind, labels):
    task = get_task("text-classification", {"problem_type": kind})
    folds = fold_rows(task, examples(labels), 3, seed=0)
    check_partition(folds, 9)
    assert [len(held_out) for _, held_out in folds] == [3, 3, 3]


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (1, "folds must lie between 2 and the number of rows, 18. Received: folds=1"),
        (19, "folds must lie between 2 and the number of rows, 18"),
        (7, "rows of the least class, 6 of 'b'. Received: folds=7"),
    ],
)
def test_folds_that_cannot_be_are_refused(folds, message):
    with pytest.raises(ValueError, match=message):
        fold_rows(get_task("text-classification"), examples(LABELS), folds, 0)


def questions(contexts):
    count = len(contexts)
    ids, texts = [str(row) for row in range(count)], ["Who?"] * count
    return Questions("t.json", ids, texts, contexts, [[("a", 0)]] * count, [False] * count)


def test_questions_on_one_context_are_in_one_fold():
    task, contexts = get_task("question-answering"), [f"a {row // 3}" for row in range(18)]
    folds = fold_rows(task, questions(contexts), 3, seed=0)
    check_partition(folds, 18)
    for train, held_out in folds:
        assert not {contexts[row] for row in train} & {contexts[row] for row in held_out}
        assert len(held_out) == 6
    other = fold_rows(task, questions(contexts), 3, seed=1)
    assert [list(fold[1]) for fold in folds] != [list(fold[1]) for fold in other]


def test_there_are_no_more_folds_than_contexts():
    with pytest.raises(ValueError, match=r"t.json: folds must be at most the contexts.*, 2\."):
        fold_rows(get_task("question-answering"), questions(["a", "b", "a"]), 3, seed=0)


def test_rows_of_one_sentence_are_in_one_fold():
    words = [["a", "b"]] * 2 + [["c"]] * 2
    rows = Propositions("t", words, [["O"] * len(one) for one in words], [None, 0, None, 0], 2)
    folds = fold_rows(get_task("semantic-role-labeling"), rows, 2, seed=0)
    assert sorted(tuple(held_out) for _, held_out in folds) == [(0, 1), (2, 3)]


def test_rows_are_taken_of_each_list_that_has_one_a_row():
    @dataclasses.dataclass(frozen=True)
    class Sentences:
        path: str
        words: list[list[str]]
        tags: list[list[str]]
        names: list[str]
        ids: list[str] | None = None

    whole = Sentences("p", [["a"], ["b", "c"], []], [["X"], ["Y", "Z"], []], ["X", "Y"])
    taken = take(whole, np.array([2, 1]))
    assert taken == Sentences("p", [[], ["b", "c"]], [[], ["Y", "Z"]], ["X", "Y"])
    assert (row_count(whole), row_count(taken)) == (3, 2)


def test_examples_without_rows_are_refused():
    @dataclasses.dataclass
    class Empty:
        path: str

    with pytest.raises(TypeError, match=r"a list with an entry a row\. Received: Empty"):
        take(Empty("p"), [0])
