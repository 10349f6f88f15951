"""Losses over the embeddings of pairs of texts, to train a sentence encoder with."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_bert_kit")
class CosineSimilarityLoss(keras.losses.Loss):
    """Squared error between the cosine of two embeddings and a score.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: As in `keras.losses.Loss`.
        dtype: As in `keras.losses.Loss`.

    Call arguments:
        y_true: float tensor (B,) or (B, 1), scores in [-1, 1] or [0, 1].
        y_pred: float tensor (B, 2, H), two embeddings each. One of length 0 has the cosine 0, and
            no gradient.

    Returns:
        float32 scalar; float32 (B,) with `reduction=None`.

    Raises:
        ValueError: The embeddings are not pairs.

    Example:
        >>> model = BertSentenceEncoder.from_pretrained("path/to/model")
        >>> model.compile(bert_optimizer(total_steps=1000), CosineSimilarityLoss())

    Reference:
        Reimers and Gurevych 2019, Sentence-BERT, section 3 (https://arxiv.org/abs/1908.10084).
    """

    def __init__(
        self, reduction="sum_over_batch_size", name="cosine_similarity_loss", dtype="float32"
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        """Computes the error of each pair, (B,)."""
        first, second = _directions(y_pred)
        cosines = ops.sum(first * second, axis=-1)
        return ops.square(cosines - ops.reshape(y_true, (-1,)))


@keras.saving.register_keras_serializable("keras_bert_kit")
class MultipleNegativesRankingLoss(keras.losses.Loss):
    """Cross-entropy of finding each text's second one among all the second texts of the batch.

    It needs pairs that belong together and nothing else: the others of a batch are what they are
    told from. So large batches are better, and no text should be twice in one. Under several
    replicas the others are those of the replica's part of the batch.

    Args:
        scale: What the cosines are multiplied by; 1 over a temperature.
        symmetric: Whether the mean is taken with finding each second text's first one.
        reduction: As in `keras.losses.Loss`.
        name: As in `keras.losses.Loss`.
        dtype: As in `keras.losses.Loss`.

    Call arguments:
        y_true: Tensor (B,) of any numbers, which are not read.
        y_pred: float tensor (B, 2, H), two embeddings each. One of length 0 has the cosine 0, and
            no gradient.

    Returns:
        float32 scalar; float32 (B,) with `reduction=None`.

    Raises:
        ValueError: The scale is not above 0, or the embeddings are not pairs.

    Example:
        >>> model = BertSentenceEncoder.from_pretrained("path/to/model")
        >>> model.compile(bert_optimizer(total_steps=1000), MultipleNegativesRankingLoss())

    Reference:
        Henderson et al. 2017, Efficient Natural Language Response Suggestion for Smart Reply,
        section 4.4 (https://arxiv.org/abs/1705.00652).
    """

    def __init__(
        self,
        scale=20.0,
        symmetric=False,
        reduction="sum_over_batch_size",
        name="multiple_negatives_ranking_loss",
        dtype="float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not scale > 0:
            raise ValueError(f"scale must be above 0. Received: scale={scale}")
        self.scale = scale
        self.symmetric = symmetric

    def call(self, y_true, y_pred):
        """Computes the cross-entropy of each text, (B,)."""
        first, second = _directions(y_pred)
        scores = self.scale * ops.matmul(first, ops.transpose(second))  # (B, B)
        right = ops.diagonal(scores)
        error = ops.logsumexp(scores, axis=1) - right
        if self.symmetric:
            error = (error + ops.logsumexp(scores, axis=0) - right) / 2
        return error

    def get_config(self):
        """Gives the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale, "symmetric": self.symmetric}


def _directions(pairs):
    """Gives the two embeddings of each pair, (B, H), scaled to length 1; zeros stay zeros."""
    if len(pairs.shape) != 3 or pairs.shape[1] not in (2, None):
        raise ValueError(
            "The embeddings must be of pairs, (B, 2, H). "
            f"Received: shape={tuple(pairs.shape)}. Make the inputs with "
            "keras_bert_kit.data.pairs_of_texts.encode_text_pairs."
        )
    square = ops.sum(ops.square(pairs), axis=-1, keepdims=True)
    # The root is taken of no 0, where its gradient is infinite.
    scale = ops.where(square > 1e-24, ops.rsqrt(ops.maximum(square, 1e-24)), 0.0)
    scaled = pairs * scale
    return scaled[:, 0], scaled[:, 1]
