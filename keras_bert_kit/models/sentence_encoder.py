"""BERT that turns a text into one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_bert_kit.config import PoolingConfig
from keras_bert_kit.layers import SentencePooling
from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel, unpack_inputs


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertSentenceEncoder(PretrainedModel):
    """BERT with pooling over the tokens: embeddings of sentences, to be compared by their cosine.

    `save_pretrained` writes the layout of sentence-transformers.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.
        pooling: A `PoolingConfig`; `from_pretrained` takes the checkpoint's, or the mean where it
            has none.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S), nonzero where there is a token; `None` means
            everywhere.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `sentence_embedding`, float32 (B, H).

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
        hidden_states = self.bert(*inputs, training=training)["last_hidden_state"]
        return {"sentence_embedding": self.sentence_pooling(hidden_states, inputs[2])}

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
