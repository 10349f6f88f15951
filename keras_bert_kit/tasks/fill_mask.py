"""Words for the places where a text has [MASK]; trained on plain texts."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.data.features import EncodedTexts, encode_texts
from keras_bert_kit.data.masking import TokenMasker
from keras_bert_kit.data.readers import Examples, read_examples
from keras_bert_kit.data.segmentation import continuing_tokens, load_segmenter
from keras_bert_kit.models import BertForMaskedLM
from keras_bert_kit.tasks.served import IDS, MASK, TYPES, Served, texts_spec
from keras_bert_kit.tasks.task import Task, TaskData, outputs_of_rows
from keras_bert_kit.tokenization.rows import dense_rows

_POSITIONS = tf.TensorSpec([None, None], tf.int32, name="masked_positions")


@dataclasses.dataclass(frozen=True)
class FillMask(Task):
    """Words for the places where a text has [MASK]; trained on plain texts.

    Args:
        mlm_probability: Share of the tokens that are hidden in training.
        whole_word_mask: Whether whole words are hidden.
        segmenter: "module:function" that gives the words of a text, such as "jieba:lcut", for
            languages without spaces; whole words are hidden then.
    """

    mlm_probability: float = dataclasses.field(
        default=0.15, metadata={"help": "Share of the tokens that are hidden in training."}
    )
    whole_word_mask: bool = dataclasses.field(default=False, metadata={"help": "Hide whole words."})
    segmenter: str = dataclasses.field(
        default="", metadata={"help": "Gives whole words to hide: module:function, as jieba:lcut."}
    )

    name: ClassVar = "fill-mask"
    purpose: ClassVar = "finds the words that [MASK] stands for"
    metric: ClassVar = "accuracy"
    model_class: ClassVar = BertForMaskedLM

    def read(self, path: str) -> Examples:
        """Reads texts; see `read_examples`."""
        return read_examples(path, labelled=False)

    def config(self, train: Examples) -> dict[str, Any]:
        """Gives nothing: the vocabulary is the model's."""
        return {}

    def check(self, train: Examples, validation: Examples):
        """Checks nothing: any texts fit each other."""

    def data(self, model, examples: Examples, max_length: int) -> TaskData:
        """Encodes texts; they are masked batch by batch."""
        texts = encode_texts(examples, model.tokenizer, max_length)
        masker = TokenMasker(
            model.tokenizer,
            mlm_probability=self.mlm_probability,
            max_predictions=max(1, round(self.mlm_probability * max_length)),
            whole_word_mask=self.whole_word_mask or bool(self.segmenter),
        )
        continues = None
        if self.segmenter:
            segment = load_segmenter(self.segmenter)
            continues = continuing_tokens(examples.texts, model.tokenizer, segment, examples.path)
        return TaskData(
            examples, MaskedTexts(texts, masker, continues), texts.summary(examples.path)
        )

    def loss(self, model) -> keras.losses.Loss:
        """Gives the cross-entropy over the vocabulary."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def evaluate(self, model, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model on hidden words.

        The batches are of 32 rows, whatever is asked for, so that the same words are hidden in each
        call.

        Returns:
            `rows`; `accuracy` and `accuracy_at_5`, shares of the hidden tokens that are the most
            probable one, and among the 5 most probable; and `loss`, in nats a token.
        """
        ranks, losses = [], []
        for _, (_, labels, weights), outputs in outputs_of_rows(model, data.features, 32):
            logits, tokens = outputs["logits"][weights > 0], labels[weights > 0]
            own = np.take_along_axis(logits, tokens[:, None], axis=1)
            ranks.append((logits > own).sum(axis=1))
            losses.append(np.asarray(tf.reduce_logsumexp(logits, axis=1)) - own[:, 0])
        rank = np.concatenate(ranks)
        return {
            "rows": len(data.features),
            "accuracy": float(np.mean(rank < 1)),
            "accuracy_at_5": float(np.mean(rank < 5)),
            "loss": float(np.mean(np.concatenate(losses))),
        }

    def served(self, model, tokenizer, **options) -> ServedMaskedLM:
        """Gives the words for the masks of texts."""
        return ServedMaskedLM(model, tokenizer, **options)


@dataclasses.dataclass(frozen=True)
class MaskedTexts:
    """Texts whose tokens are hidden batch by batch; see `Features`.

    What is hidden depends on the rows of a batch and their order, so that it is another choice in
    each epoch, and yet the same in a run that is resumed.

    Attributes:
        texts: The texts.
        masker: Chooses the tokens.
        continues: bool ragged tensor (texts, None), the tokens that go on with a segmenter's word,
            or `None`.
    """

    texts: EncodedTexts
    masker: TokenMasker
    continues: tf.RaggedTensor | None = None

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        return self.texts.lengths

    @property
    def max_length(self) -> int:
        """Longest sequence in tokens."""
        return self.texts.max_length

    def __len__(self) -> int:
        return len(self.texts)

    def pack(self, rows: tf.Tensor, length: tf.Tensor):
        """Gives inputs, the hidden tokens (B, P), and weights, float32 (B, P), of mean 1."""
        order = tf.reduce_sum(rows * (tf.range(tf.size(rows)) + 1))
        continues = None
        if self.continues is not None:
            flags = tf.gather(self.continues, rows).to_tensor(shape=[None, length - 1])
            continues = tf.pad(flags, [[0, 0], [1, 0]])  # behind [CLS]
        inputs, tokens, weights = self.masker(
            self.texts.pack(rows, length), tf.stack([rows[0], order]), continues
        )
        return inputs, tokens, weights / tf.maximum(tf.reduce_mean(weights), 1e-9)


class ServedMaskedLM(Served):
    """A masked language model from texts to words.

    `serving_default(text)` gives the 5 most probable tokens for each [MASK] in a text, one mask
    after the other: `predictions.mask`, int32 (B, N), the number of the mask from 0 on;
    `predictions.token`, string; `predictions.score`, float32, its probability; and
    `predictions.count`, int32 (B,), which is 0 where a text has no [MASK].
    """

    task = FillMask.name
    top_k = 5

    def __init__(self, model, tokenizer, **options):
        super().__init__(model, tokenizer, **options)
        self._predicted = self.network(
            lambda inputs: model(inputs, training=False), (IDS, MASK, TYPES, _POSITIONS)
        )

    def functions(self):
        """Gives each signature's function and inputs, by name."""
        text = texts_spec("text")
        return {
            "serving_default": (self.fill, [text]),
            "embed": (self.embed, [text]),
            "tokenize": (self.tokenize, [text]),
        }

    def sample(self, text: str) -> str:
        """Hides a text's first and last words."""
        mask = self.model.tokenizer.mask_token
        return " ".join([mask, *text.split()[1:-1], mask][: len(text.split())])

    def fill(self, text):
        """Gives the words for the masks of texts (B,)."""
        inputs = self.padded(self.tokenize(text))
        is_mask = inputs["input_ids"] == self.model.tokenizer.mask_token_id
        where = tf.cast(tf.where(is_mask), tf.int32)  # (M, 2), row by row
        count = tf.reduce_sum(tf.cast(is_mask, tf.int32), axis=1)  # (B,)
        positions = dense_rows(where[:, 1], where[:, 0], tf.size(count))  # (B, P)
        outputs = self._predicted({**inputs, "masked_positions": positions})
        probabilities = tf.nn.softmax(tf.cast(outputs["logits"], tf.float32))  # (B, P, V)
        scores, ids = tf.math.top_k(probabilities, self.top_k)  # (B, P, K)
        shape = tf.shape(scores)
        flat = [shape[0], shape[1] * self.top_k]
        mask = tf.broadcast_to(tf.reshape(tf.range(shape[1]), [1, -1, 1]), shape)
        vocab = tf.constant(self.model.tokenizer.tokens)
        return {
            "predictions.mask": tf.reshape(mask, flat),
            "predictions.token": tf.reshape(tf.gather(vocab, ids), flat),
            "predictions.score": tf.reshape(scores, flat),
            "predictions.count": count * self.top_k,
        }
