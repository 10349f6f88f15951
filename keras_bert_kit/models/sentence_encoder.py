"""BERT that turns a text into one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from keras_bert_kit.config import PoolingConfig
from keras_bert_kit.layers import SentencePooling
from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel, unpack_inputs

# How many cosines are computed at once, so that they take 64 MiB.
_COSINES = 2**24


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertSentenceEncoder(PretrainedModel):
    """BERT with pooling over the tokens: embeddings of sentences, to be compared by their cosine.

    `save_pretrained` writes the layout of sentence-transformers. The losses of
    `keras_bert_kit.models.sentence_losses` train it on pairs of texts; they stand on an axis of
    their own, as `keras_bert_kit.data.pairs_of_texts` makes them.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.
        pooling: A `PoolingConfig`; `from_pretrained` takes the checkpoint's, or the mean where it
            has none.

    Call arguments:
        input_ids: int tensor (B, S), or (B, 2, S) for pairs of texts; or a dict with the inputs.
        token_type_ids: int tensor of that shape, segment ids; `None` means 0.
        attention_mask: int or bool tensor of that shape, nonzero where there is a token; `None`
            means everywhere.
        position_ids: int tensor of that shape, the place of each token in its sequence; `None`
            counts from 0.

    Returns:
        A `ModelOutput` of `sentence_embedding`, float32 (B, H), or (B, 2, H) for pairs.

    Example:
        >>> model = BertSentenceEncoder.from_pretrained("path/to/model")
        >>> one, other = model.encode(["A cat sits.", "A cat is sitting."])
        >>> one @ other

    Reference:
        Reimers and Gurevych 2019, Sentence-BERT, section 3 (https://arxiv.org/abs/1908.10084).
    """

    options = ("pooling",)

    def __init__(self, config, tokenizer=None, pooling=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        pooling = {} if pooling is None else pooling
        self.pooling = PoolingConfig(**pooling) if isinstance(pooling, Mapping) else pooling
        self.bert = BertModel(config, add_pooling_layer=False, dtype=self.dtype_policy, name="bert")
        self.sentence_pooling = SentencePooling(
            self.pooling.mode, self.pooling.normalize, name="sentence_pooling"
        )
        self.build(None)

    def build(self, input_shape):
        """Makes nothing; the encoder is made already."""
        self.built = True

    def call(
        self,
        input_ids,
        token_type_ids=None,
        attention_mask=None,
        position_ids=None,
        training=None,
    ):
        """Embeds; see the class."""
        inputs = unpack_inputs(
            input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
        )
        *texts, length = ops.shape(inputs[0])
        flat = [None if x is None else ops.reshape(x, (-1, length)) for x in inputs]  # (B*2, S)
        if len(texts) == 1:
            flat = inputs
        hidden_states = self.bert(*flat, training=training)["last_hidden_state"]
        embedding = self.sentence_pooling(hidden_states, flat[2])
        if len(texts) > 1:
            embedding = ops.reshape(embedding, (-1, *texts[1:], self.config.hidden_size))
        return {"sentence_embedding": embedding}

    def encode(self, texts: str | Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Embeds texts, cut to `max_length` tokens.

        Args:
            texts: A text, or N texts.
            batch_size: Texts that are computed together; those of like length are.

        Returns:
            float32 array (N, H), or (H,) for one text.
        """
        if isinstance(texts, str):
            return self.encode([texts], batch_size)[0]
        order = np.argsort([-len(text) for text in texts], kind="stable")
        embeddings = np.zeros((len(texts), self.config.hidden_size), "float32")
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            inputs = self.tokenizer([texts[row] for row in rows], max_length=self.max_length)
            embeddings[rows] = self.predict_on_batch(inputs)["sentence_embedding"]
        return embeddings

    def get_config(self):
        """Gives what `.keras` files keep of the model."""
        pooling = {"mode": self.pooling.mode, "normalize": self.pooling.normalize}
        return {**super().get_config(), "pooling": pooling}


def nearest(queries: np.ndarray, corpus: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Finds the texts of a small corpus that are nearest to each query, by comparing all.

    Args:
        queries: float array (Q, H), embeddings; of any length, for their cosines are compared.
        corpus: float array (N, H), embeddings.
        k: How many to find; where N is less, all are.

    Returns:
        The numbers of the corpus' rows, int64 array (Q, k), the nearest first, and their cosines,
        float32 array (Q, k). A vector of length 0 has the cosine 0 to all.

    Raises:
        ValueError: The arrays do not hold vectors of one size, or `k` is below 1.

    Example:
        >>> corpus = model.encode(["A cat sits.", "Stocks fell.", "A dog runs."])
        >>> rows, cosines = nearest(model.encode(["The cat is sitting."]), corpus, k=1)
    """
    queries, corpus = np.asarray(queries, "float32"), np.asarray(corpus, "float32")
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise ValueError(
            "queries and corpus must be of shapes (Q, H) and (N, H). "
            f"Received: {queries.shape} and {corpus.shape}. One query is queries[None]."
        )
    if k < 1:
        raise ValueError(f"k must be at least 1. Received: k={k}")
    queries, corpus = _of_length_1(queries), _of_length_1(corpus)
    k = min(k, len(corpus))
    rows, cosines = np.zeros((len(queries), k), "int64"), np.zeros((len(queries), k), "float32")
    step = max(_COSINES // max(len(corpus), 1), 1)
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        every = queries[part] @ corpus.T  # (Q, N)
        found = np.argpartition(-every, k - 1, axis=1)[:, :k] if k else rows[part]
        found.sort(axis=1)  # of equal cosines, the first one stays first
        order = np.argsort(-np.take_along_axis(every, found, 1), axis=1, kind="stable")
        rows[part] = np.take_along_axis(found, order, 1)
        cosines[part] = np.take_along_axis(every, rows[part], 1)
    return rows, cosines


def _of_length_1(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
