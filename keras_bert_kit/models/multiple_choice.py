"""BERT that chooses one of several texts."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert_kit.layers import ClassificationHead
from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel, unpack_inputs


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForMultipleChoice(PretrainedModel):
    """BERT that gives each choice, a text or a pair of texts, one logit.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, C, S), C choices of one question; or a dict with the inputs.
        token_type_ids: int tensor (B, C, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, C, S), nonzero where a token may be seen; `None` sees
            everything.
        position_ids: int tensor (B, C, S), the place of each token in its sequence; `None` counts
            from 0.

    Returns:
        A `ModelOutput` of `logits`, float32 (B, C).

    Example:
        >>> model = BertForMultipleChoice.from_pretrained("path/to/model")
        >>> choices = model.tokenizer(["Who?", "Who?"], ["Ada.", "At noon."])
        >>> model({name: array[None] for name, array in choices.items()}).logits

    Reference:
        Devlin et al. 2018, section 4.4 (https://arxiv.org/abs/1810.04805).
    """

    heads = ("pooler/", "classifier/")

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.bert = BertModel(config, dtype=self.dtype_policy, name="bert")
        self.classifier = ClassificationHead(
            1,
            dropout=config.head_dropout,
            initializer_range=config.initializer_range,
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.build(None)

    def build(self, input_shape):
        """Makes the classifier's weights; the encoder is made already."""
        self.classifier.build((None, self.config.hidden_size))
        self.built = True

    def call(
        self,
        input_ids,
        token_type_ids=None,
        attention_mask=None,
        position_ids=None,
        training=None,
    ):
        """Scores the choices; see the class."""
        inputs = unpack_inputs(
            input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
        )
        choices, length = ops.shape(inputs[0])[1:]
        flat = [None if x is None else ops.reshape(x, (-1, length)) for x in inputs]  # (B*C, S)
        pooled = self.bert(*flat, pooled_only=True, training=training)["pooler_output"]
        logits = self.classifier(pooled, training=training)  # (B*C, 1)
        return {"logits": ops.reshape(logits, (-1, choices))}
