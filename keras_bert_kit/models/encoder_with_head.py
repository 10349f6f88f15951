"""What the models share that put one head on the encoder."""

from __future__ import annotations

from typing import Any, ClassVar

from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel


class EncoderWithHead(PretrainedModel):
    """Base of the models that turn the encoder's outputs into their own, whatever the inputs.

    A model of it makes its head in `__init__` and gives `_from_encoder`.

    Attributes:
        pooled_only: Whether the head takes nothing but `pooler_output`.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.
        add_pooling_layer: Whether the head needs `pooler_output`.

    Call arguments:
        input_ids: As those that follow it, of `BertModel`.
        inputs_embeds: float tensor (B, S, H), given by its name and instead of `input_ids`: what
            the token table would give. Gradients flow into it.
    """

    pooled_only: ClassVar[bool] = False

    def __init__(self, config, tokenizer=None, add_pooling_layer=True, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.bert = BertModel(
            config, add_pooling_layer=add_pooling_layer, dtype=self.dtype_policy, name="bert"
        )

    def _from_encoder(self, outputs: dict[str, Any], training: bool | None) -> dict[str, Any]:
        """Gives the model's outputs.

        Args:
            outputs: What `BertModel` gives.
            training: Whether the model is being trained.
        """
        raise NotImplementedError(f"{type(self).__name__} must have _from_encoder")

    def call(
        self,
        input_ids=None,
        token_type_ids=None,
        attention_mask=None,
        position_ids=None,
        inputs_embeds=None,
        training=None,
    ):
        """Computes; see the class."""
        inputs = (input_ids, token_type_ids, attention_mask, position_ids)
        outputs = self.bert(
            *inputs, inputs_embeds=inputs_embeds, pooled_only=self.pooled_only, training=training
        )
        return self._from_encoder(outputs, training)
