"""What each word of a text added to a model's answer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_bert_kit.config import PROBLEM_TYPES
from keras_bert_kit.explain.gradients import integrated_gradients
from keras_bert_kit.explain.reading import Reading, read_text
from keras_bert_kit.models import (
    BertForSequenceClassification,
    BertForTokenClassification,
    PretrainedModel,
)

_, _MULTI_LABEL, _REGRESSION = PROBLEM_TYPES

#: What stands in the place of the text's tokens in the baseline.
BASELINES = ("[PAD]", "[MASK]")


@dataclasses.dataclass(frozen=True)
class WordScore:
    """A word and its attribution.

    Attributes:
        text: The word as it is written in the text.
        start: Where it starts in its text, in characters (Unicode code points).
        end: Where it ends.
        score: The sum of its tokens' attributions.
        text_number: 0 for the text, 1 for the second text of a pair.
    """

    text: str
    start: int
    end: int
    score: float
    text_number: int = 0


@dataclasses.dataclass(frozen=True)
class Attributions:
    """What each token and word added to a model's answer, against a baseline.

    Attributes:
        text: The text.
        text_pair: The second text of a pair, or `None`.
        tokens: The tokens, special ones included (S).
        scores: float32 (S,), the tokens' attributions; 0 for special tokens, which the baseline
            has too.
        words: BERT's words, in order; there are none of what was cut.
        target: The label whose output is explained.
        word: For labels of words, the number in `words` of the one explained; else `None`.
        output: The explained output, a logit or the number of a regression.
        baseline_output: The same for the baseline.
        probability: The target's probability; `None` for a regression.
        probabilities: The probability of each label; empty for a regression.
        baseline: What stood in the tokens' place in the baseline.
        steps: Points on the path of the integral.
        delta: `output - baseline_output` less the sum of the attributions, 0 for an exact
            integral. More steps make it smaller.
        cut: Whether the text was longer than the model reads.
    """

    text: str
    text_pair: str | None
    tokens: list[str]
    scores: np.ndarray
    words: list[WordScore]
    target: str
    word: int | None
    output: float
    baseline_output: float
    probability: float | None
    probabilities: dict[str, float]
    baseline: str
    steps: int
    delta: float
    cut: bool

    def as_dict(self) -> dict[str, Any]:
        """Gives the fields as what JSON can hold."""
        scores = [float(score) for score in self.scores]
        return {**dataclasses.asdict(self), "scores": scores}


@dataclasses.dataclass(frozen=True)
class _Target:
    """The number that is explained: one of the logits."""

    label: str
    place: tuple[int, ...]  # (class,), or (token, class)
    probabilities: dict[str, float]

    def output_of(self, outputs):
        """Gives the number of each row, (B,)."""
        return outputs["logits"][:, *self.place]


def attributions(
    model: PretrainedModel,
    text: str,
    text_pair: str | None = None,
    target: str | tuple[int, str | None] | None = None,
    steps: int = 50,
    baseline: str = "[PAD]",
) -> Attributions:
    """Tells what each word of a text added to a model's answer, by integrated gradients.

    The answer is compared with that for a baseline, the same sequence with [PAD] or [MASK] in the
    place of all but the special tokens. The words' scores add up to the difference of the two.

    Args:
        model: A `BertForSequenceClassification` (of one label, several labels or a number) or a
            `BertForTokenClassification`, with a tokenizer.
        text: The text; what is longer than `model.max_length` is cut.
        text_pair: The second text of a pair, or `None`.
        target: The label whose logit is explained; `None` takes the likeliest. For labels of
            words a pair (number of the word, label or `None`); `None` takes the first word whose
            likeliest label is not "O", or else the first.
        steps: Points on the path of the integral.
        baseline: One of `BASELINES`.

    Returns:
        `Attributions`.

    Raises:
        TypeError: The model is of another class, or a text is not a string.
        ValueError: The model has no tokenizer, there is no word in the text, the label or the word
            is not there, `steps` is below 1, or the baseline is unknown.

    Example:
        >>> model = BertForSequenceClassification.from_pretrained("path/to/model")
        >>> for word in attributions(model, "The acting is wonderful.").words:
        ...     print(word.text, word.score)

    Reference:
        Sundararajan et al. 2017, sections 3 and 5 (https://arxiv.org/abs/1703.01365).
    """
    if not isinstance(model, (BertForSequenceClassification, BertForTokenClassification)):
        raise TypeError(
            "The model must be a BertForSequenceClassification or a BertForTokenClassification. "
            f"Received: {type(model).__name__}"
        )
    if baseline not in BASELINES:
        raise ValueError(
            f"baseline must be one of {', '.join(BASELINES)}. Received: baseline={baseline!r}"
        )
    reading = read_text(model, text, text_pair)
    logits = np.asarray(model(reading.inputs)["logits"])[0]  # (C,) or (S, C)
    word = None
    if isinstance(model, BertForTokenClassification):
        word, label = _chosen_word(target, reading.words(), logits.argmax(-1), model.config)
        place = (reading.words()[word][0],)
    else:
        label, place = target, ()
    chosen = _target(label, place, logits, model.config)
    filler = model.tokenizer.convert_tokens_to_ids(baseline)
    found = integrated_gradients(
        model,
        reading.inputs,
        np.where(reading.special, reading.inputs["input_ids"], np.int32(filler)),
        chosen.output_of,
        steps,
    )
    return Attributions(
        text=text,
        text_pair=text_pair,
        tokens=reading.tokens,
        scores=found.scores,
        words=_words(reading, found.scores, (text, text_pair)),
        target=chosen.label,
        word=word,
        output=found.output,
        baseline_output=found.baseline_output,
        probability=chosen.probabilities.get(chosen.label),
        probabilities=chosen.probabilities,
        baseline=baseline,
        steps=steps,
        delta=found.delta,
        cut=reading.cut,
    )


def _chosen_word(target, words, predicted, config) -> tuple[int, str | None]:
    """Gives the number of the word whose label is explained, and the label, if it is named."""
    if target is None:
        outside = config.label2id.get("O", -1)
        labelled = (n for n, places in enumerate(words) if predicted[places[0]] != outside)
        return next(labelled, 0), None
    if not isinstance(target, tuple) or len(target) != 2:
        raise ValueError(
            "For labels of words the target must be a pair (number of the word, label or None). "
            f"Received: target={target!r}"
        )
    number, label = target
    if not 0 <= number < len(words):
        raise ValueError(
            f"The text has {len(words)} words; their numbers start from 0. Received: {number}"
        )
    return number, label


def _target(label, place, logits, config) -> _Target:
    """Makes the target of a label, or of the likeliest one, at a place."""
    names, logits = config.label_names, logits[place]
    if label is None:
        label = names[int(logits.argmax())]
    if label not in names:
        raise ValueError(f"target must be one of {', '.join(names)}. Received: target={label!r}")
    values = [] if config.problem_type == _REGRESSION else _probabilities(logits, config)
    probabilities = {name: float(value) for name, value in zip(names, values, strict=False)}
    return _Target(label, (*place, names.index(label)), probabilities)


def _probabilities(logits, config) -> np.ndarray:
    if config.problem_type == _MULTI_LABEL:
        return (1 + np.tanh(logits / 2)) / 2  # the logistic function, without an overflow
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _words(reading: Reading, scores: np.ndarray, texts) -> list[WordScore]:
    words = []
    for places in reading.words():
        number = int(reading.text_numbers[places[0]])
        start, end = int(reading.offsets[places[0], 0]), int(reading.offsets[places[-1], 1])
        score = float(scores[places].sum())
        words.append(WordScore(texts[number][start:end], start, end, score, number))
    return words
