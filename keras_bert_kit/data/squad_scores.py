"""Scores of answers by SQuAD's rule, and by that of CMRC 2018 for Chinese."""

from __future__ import annotations

import collections
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence

from keras_bert_kit.data.squad import Questions

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
_HAN = re.compile("[\u3400-\u9fff]")


def squad_scores(predictions: Mapping[str, str], questions: Questions) -> dict[str, float]:
    """Scores answers against those of a file, the best of them counting.

    Where most contexts are Chinese, the rule is that of CMRC 2018: characters are compared, by
    their longest common run.

    Args:
        predictions: An answer by the question's id, empty for none; one that is missing is wrong.
        questions: The questions, with their answers.

    Returns:
        `exact_match` and `f1`, between 0 and 1; where the file has questions without an answer
        also `has_answer_f1` and `no_answer_accuracy`, over the questions with and without one.

    References:
        Rajpurkar et al. 2016, section 6.1 (https://arxiv.org/abs/1606.05250); Rajpurkar et al. 2018
        (https://arxiv.org/abs/1806.03822); Cui et al. 2019, section 4
        (https://arxiv.org/abs/1810.07366).
    """
    chinese = sum(bool(_HAN.search(text)) for text in questions.contexts) * 2 > len(questions)
    exact, f1 = (_chinese_exact, _chinese_f1) if chinese else (exact_match, word_f1)
    rows = []
    for id_, answers, impossible in zip(
        questions.ids, questions.answers, questions.impossible, strict=True
    ):
        golden = [text for text, _ in answers] or ([""] if impossible else [])
        given = predictions.get(id_)
        if not golden:
            continue
        one = (0.0, 0.0)
        if given is not None:
            one = (max(exact(given, gold) for gold in golden), max(f1(given, g) for g in golden))
        rows.append((*one, impossible))
    scores = {"exact_match": _mean([row[0] for row in rows]), "f1": _mean([r[1] for r in rows])}
    if any(questions.impossible):
        scores["has_answer_f1"] = _mean([row[1] for row in rows if not row[2]])
        scores["no_answer_accuracy"] = _mean([row[0] for row in rows if row[2]])
    return scores


def exact_match(given: str, golden: str) -> float:
    """Tells whether two answers are the same but for case, punctuation, articles and spaces.

    Args:
        given: An answer.
        golden: The right one.

    Returns:
        1.0 or 0.0.
    """
    return float(_words(given) == _words(golden))


def word_f1(given: str, golden: str) -> float:
    """Gives the F1 of the words of two answers, normalised as in `exact_match`.

    Args:
        given: An answer.
        golden: The right one.
    """
    one, other = _words(given), _words(golden)
    if not one or not other:
        return float(one == other)
    common = sum((collections.Counter(one) & collections.Counter(other)).values())
    return _f1(common, len(one), len(other))


def _words(text: str) -> list[str]:
    kept = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return _ARTICLES.sub(" ", kept).split()


def _chinese_exact(given: str, golden: str) -> float:
    return float(_without_punctuation(given) == _without_punctuation(golden))


def _chinese_f1(given: str, golden: str) -> float:
    one, other = _segments(given), _segments(golden)
    return _f1(_longest_run(one, other), len(one), len(other))


def _segments(text: str) -> list[str]:
    """Gives Chinese characters one by one, and other words whole."""
    return re.findall("[\u3400-\u9fff]|[^\u3400-\u9fff\\s]+", _without_punctuation(text, " "))


def _without_punctuation(text: str, instead: str = "") -> str:
    kept = (
        instead if unicodedata.category(one)[0] in "PS" else one for one in text.lower().strip()
    )
    return "".join(kept)


def _longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Gives the length of the longest run that two sequences share."""
    longest, before = 0, [0] * (len(other) + 1)
    for left in one:
        row = [0]
        for place, right in enumerate(other):
            row.append(before[place] + 1 if left == right else 0)
        longest, before = max(longest, *row), row
    return longest


def _f1(common: int, one: int, other: int) -> float:
    return 2 * common / (one + other) if common else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
