"""Small files and models of every task, which a tiny BERT can learn in a moment."""

import dataclasses
import itertools
import json
from typing import Any

THINGS = ("food", "room", "staff", "phone", "battery", "screen", "service", "book", "film")
GOOD, BAD = ("good", "great", "fine", "nice"), ("bad", "awful", "poor", "slow")


@dataclasses.dataclass(frozen=True)
class Case:
    """A task on a small file.

    Attributes:
        name: Name of the file.
        content: What stands in it.
        columns: Columns to ask a trained model with.
        options: Options of the task.
        settings: Fields of the recipe.
        learnt: A score, and what it must reach.
    """

    name: str
    content: str
    columns: tuple[list[Any], ...]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    learnt: tuple[str, float] = ("accuracy", 0.9)


def _jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def _reviews():
    for thing, good, bad in itertools.product(THINGS, GOOD, BAD):
        yield f"the {thing} was {good}", "good"
        yield f"the {thing} was {bad}", "bad"


def _classified():
    return "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in _reviews())


def _several():
    rows = []
    for thing, word in itertools.product(THINGS[:4], GOOD + BAD):
        labels = [thing] + (["good"] if word in GOOD else [])
        rows.append(f"the {thing} was {word}\t{','.join(labels)}\n")
    return "text\tlabel\n" + "".join(rows) + "it was it\t\n" * 2


def _numbers():
    rows = (f"{text}\t{4.5 if label == 'good' else 1}\n" for text, label in _reviews())
    return "text\tlabel\n" + "".join(rows)


def _tagged():
    sentences = []
    for thing, word in itertools.product(THINGS, GOOD + BAD):
        tags = {thing: "B-THING", word: "B-GOOD" if word in GOOD else "B-BAD"}
        words = ("the", thing, "was", "very", word)
        sentences.append("".join(f"{w} {tags.get(w, 'O')}\n" for w in words))
    return "\n".join(sentences)


def _roles():
    sentences = []
    for thing, other, verb in itertools.product(THINGS[:4], THINGS[4:], ("love", "hate")):
        rows = [("the", "_", "_"), (thing, "_", "ARG0"), (verb, f"{verb}.01", "V"),
                ("the", "_", "_"), (other, "_", "ARG1")]  # fmt: skip
        lines = [
            "\t".join([str(n), word, *["_"] * 8, sense, role])
            for n, (word, sense, role) in enumerate(rows, 1)
        ]
        sentences.append("# a comment\n" + "\n".join(lines) + "\n")
    return "\n".join(sentences)


def _questions():
    paragraphs = []
    for thing, word in itertools.product(THINGS, GOOD + BAD):
        context = f"it was but the {thing} was {word} again"
        asked = {"id": f"{thing} {word}", "question": f"was it {word}?"}
        answers = [{"text": thing, "answer_start": context.index(thing)}]
        paragraphs.append({"context": context, "qas": [{**asked, "answers": answers}]})
    return json.dumps({"version": "1.1", "data": [{"title": "it", "paragraphs": paragraphs}]})


def _choices():
    rows = []
    for thing, good, bad in itertools.product(THINGS, GOOD, BAD):
        right = (len(thing) + len(good)) % 2
        choices = [good, bad] if right == 0 else [bad, good]
        rows.append({"question": f"i love the {thing}", "choices": choices, "label": right})
    return _jsonl(rows)


def _alike():
    rows = []
    for one, other in itertools.product(THINGS[:5], GOOD + BAD):
        for third in (GOOD[0], BAD[0]):
            same = (other in GOOD) == (third in GOOD)
            rows.append(f"the {one} was {other}\tit was {third}\t{5 if same else 0}\n")
    return "text\ttext_pair\tlabel\n" + "".join(rows)


def _long():
    rows = []
    for thing, word in itertools.product(THINGS, GOOD + BAD):
        filler = f"it was the {thing} again and again " * 2
        rows.append(f"{filler} {word}\t{'good' if word in GOOD else 'bad'}\n")
    return "text\tlabel\n" + "".join(rows)


TEXTS = ["the food was great", "", "very very awful! the room was awful, the staff was fine"]

#: At least one case a task, by the task's name and perhaps another one.
CASES = {
    "text-classification": Case("train.tsv", _classified(), (TEXTS,)),
    "text-classification, several labels": Case(
        "train.tsv",
        _several(),
        (TEXTS,),
        options={"problem_type": "multi_label_classification"},
        settings={"epochs": 30},
        learnt=("micro_f1", 0.8),
    ),
    "text-classification, a number": Case(
        "train.tsv",
        _numbers(),
        (TEXTS,),
        options={"problem_type": "regression"},
        learnt=("spearman", 0.8),
    ),
    "token-classification": Case("train.txt", _tagged(), (TEXTS,), learnt=("f1", 0.9)),
    "token-classification, CRF and LSTM": Case(
        "train.txt",
        _tagged(),
        (TEXTS,),
        options={"crf": True, "lstm": 5},
        settings={"epochs": 12, "head_learning_rate": 5e-3},
        learnt=("f1", 0.9),
    ),
    "semantic-role-labeling": Case(
        "train.conllu",
        _roles(),
        (["the food love the film and the staff hate the room", "", "the room was nice"],),
        settings={"epochs": 8},
        learnt=("f1", 0.9),
    ),
    "question-answering": Case(
        "train.json",
        _questions(),
        (
            ["was it good?", "was it?", "was it bad?"],
            ["it was but the food was good again " * 6, "", "the film"],
        ),
        settings={"epochs": 8},
        learnt=("exact_match", 0.8),
    ),
    "multiple-choice": Case(
        "train.jsonl", _choices(), (TEXTS[:2], [["good", "bad"], ["awful", "a fine film"]])
    ),
    "sentence-similarity": Case(
        "train.tsv", _alike(), (TEXTS,), learnt=("spearman", 0.7), settings={"epochs": 8}
    ),
    "fill-mask": Case(
        "train.txt",
        "".join(f"{text}\n" for text, _ in _reviews()),
        (["the [MASK] was good", "no mask", "[MASK] food [MASK] bad"],),
        learnt=("accuracy_at_5", 0.4),
    ),
    "document-classification": Case(
        "train.tsv",
        _long(),
        (["it was the film again and again " * 5 + "awful", "", "fine"],),
        settings={"max_length": 12, "epochs": 12},
        options={"pooling": "attention", "stride": 3},
    ),
}
