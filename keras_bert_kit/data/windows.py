"""Questions with windows of their contexts as ids, kept in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.squad import Questions
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_CHUNK = 512  # questions tokenized in one call


@dataclasses.dataclass(frozen=True)
class EncodedQuestions:
    """Windows as ids, each with the question before it and where the answer starts and ends.

    Attributes:
        ids: int32 array (windows, S).
        types: int32 array (windows, S), token type ids.
        starts: int32 array (windows,), place of the answer's first token; 0, the place of [CLS],
            where the window does not hold the whole answer.
        ends: int32 array (windows,), place of its last token.
        lengths: int32 array (windows,), tokens of each window.
        question_of_window: int32 array (windows,), number of the question.
        max_length: Longest sequence in tokens, specials included.
    """

    ids: np.ndarray
    types: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    lengths: np.ndarray
    question_of_window: np.ndarray
    max_length: int

    def __len__(self) -> int:
        return len(self.lengths)

    def pack(self, rows: tf.Tensor, length: tf.Tensor):
        """Gives a batch; see `Features`.

        Args:
            rows: int32 tensor (B,), numbers of the windows.
            length: int32 scalar, length to pad to.

        Returns:
            Inputs, a dict of int32 (B, S); and targets, a dict of `start_logits` and `end_logits`,
            int32 (B,), places.
        """

        def part(array):
            found = tf.gather(tf.constant(array), rows)[:, :length]
            return tf.pad(found, [[0, 0], [0, length - tf.shape(found)[1]]])

        places = tf.expand_dims(tf.range(length), 0)
        mask = places < tf.expand_dims(tf.gather(tf.constant(self.lengths), rows), 1)
        inputs = {
            "input_ids": part(self.ids),
            "token_type_ids": part(self.types),
            "attention_mask": tf.cast(mask, tf.int32),
        }
        names = {"start_logits": self.starts, "end_logits": self.ends}
        return inputs, {name: tf.gather(tf.constant(v), rows) for name, v in names.items()}


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
    width = max(part["input_ids"].shape[1] for part in parts)

    def joined(name):
        arrays = [part[name] for part in parts]
        if arrays[0].ndim == 2:
            arrays = [np.pad(one, [(0, 0), (0, width - one.shape[1])]) for one in arrays]
        return np.concatenate(arrays).astype("int32")

    return EncodedQuestions(
        ids=joined("input_ids"),
        types=joined("token_type_ids"),
        starts=joined("starts"),
        ends=joined("ends"),
        lengths=np.concatenate([part["attention_mask"].sum(axis=1) for part in parts]).astype(
            "int32"
        ),
        question_of_window=joined("question"),
        max_length=max_length,
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
        "starts": np.where(found, first.argmax(axis=1), 0),
        "ends": np.where(found, last.argmax(axis=1), 0),
    }


def _cut(question: str, tokenizer: BertTokenizer, max_query_length: int) -> str:
    """Cuts a question to a number of tokens."""
    row = tokenizer([question], add_special_tokens=False, return_offsets_mapping=True)
    ends = row["offset_mapping"][0, :, 1]
    return question if len(ends) <= max_query_length else question[: ends[max_query_length - 1]]
