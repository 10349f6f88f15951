"""Questions with windows of their contexts as ids, kept in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.sequences import EncodedSequences, joined_rows
from keras_bert_kit.data.squad import Questions
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_CHUNK = 512  # questions tokenized in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedQuestions(EncodedSequences):
    """Windows as ids, each with the question before it and where the answer starts and ends.

    Attributes:
        ids: int32 array (windows, S).
        types: int32 array (windows, S), token type ids.
        lengths: int32 array (windows,), tokens of each window.
        max_length: Longest sequence in tokens, specials included.
        pad_token_id: The id behind the end of a window.
        starts: int32 array (windows,), place of the answer's first token; 0, the place of [CLS],
            where the window does not hold the whole answer.
        ends: int32 array (windows,), place of its last token.
        question_of_window: int32 array (windows,), number of the question.
    """

    starts: np.ndarray
    ends: np.ndarray
    question_of_window: np.ndarray

    def pack(self, rows: tf.Tensor, length: tf.Tensor):
        """Gives a batch; see `Features`.

        Args:
            rows: int32 tensor (B,), numbers of the windows.
            length: int32 scalar, length to pad to.

        Returns:
            Inputs, a dict of int32 (B, S); and targets, a dict of `start_logits` and `end_logits`,
            int32 (B,), places.
        """
        names = {"start_logits": self.starts, "end_logits": self.ends}
        targets = {name: tf.gather(tf.constant(array), rows) for name, array in names.items()}
        return self.inputs(rows, length), targets


def encode_questions(
    questions: Questions,
    tokenizer: BertTokenizer,
    max_length: int = 384,
    stride: int = 128,
    max_query_length: int = 64,
) -> EncodedQuestions:
    """Tokenizes questions with each window of their contexts, and finds the answers in them.

    Of several answers the first is taken.

    Args:
        questions: The questions.
        tokenizer: The model's tokenizer.
        max_length: Longest sequence in tokens, specials included.
        stride: How many tokens of its context each window shares with the one before it.
        max_query_length: Tokens of a question that are kept.

    Raises:
        ValueError: The lengths leave no room for the context.
    """
    parts = [
        _encoded(questions, range(start, min(start + _CHUNK, len(questions))), tokenizer,
                 max_length, stride, max_query_length)
        for start in range(0, len(questions), _CHUNK)
    ]  # fmt: skip

    def joined(name):
        return np.concatenate([part[name] for part in parts]).astype("int32")

    return EncodedQuestions(
        ids=joined_rows([part["input_ids"] for part in parts], tokenizer.pad_token_id),
        types=joined_rows([part["token_type_ids"] for part in parts], 0),
        starts=joined("starts"),
        ends=joined("ends"),
        lengths=joined("lengths"),
        question_of_window=joined("question"),
        max_length=max_length,
        pad_token_id=tokenizer.pad_token_id,
    )


def _encoded(questions, rows, tokenizer, max_length, stride, max_query_length):
    """Gives the windows of some questions, as arrays by name."""
    asked = [_cut(questions.questions[row], tokenizer, max_query_length) for row in rows]
    tokens = tokenizer(
        asked,
        [questions.contexts[row] for row in rows],
        max_length=max_length,
        truncation="only_second",
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    question = rows.start + tokens["overflow_to_sample_mapping"]
    firsts = [answers[0] if answers else ("", -1) for answers in questions.answers]
    start = np.array([firsts[row][1] for row in question])[:, None]
    end = start + np.array([len(firsts[row][0]) for row in question])[:, None]
    offsets = tokens["offset_mapping"]
    is_context = (tokens["token_type_ids"] == 1) & (offsets[..., 1] > offsets[..., 0])
    first = is_context & (offsets[..., 0] <= start) & (offsets[..., 1] > start)
    last = is_context & (offsets[..., 0] < end) & (offsets[..., 1] >= end)
    found = first.any(axis=1) & last.any(axis=1) & (start[:, 0] >= 0)
    return {
        **tokens,
        "question": question,
        "lengths": tokens["attention_mask"].sum(axis=1),
        "starts": np.where(found, first.argmax(axis=1), 0),
        "ends": np.where(found, last.argmax(axis=1), 0),
    }


def _cut(question: str, tokenizer: BertTokenizer, max_query_length: int) -> str:
    """Cuts a question to a number of tokens."""
    row = tokenizer([question], add_special_tokens=False, return_offsets_mapping=True)
    ends = row["offset_mapping"][0, :, 1]
    return question if len(ends) <= max_query_length else question[: ends[max_query_length - 1]]
