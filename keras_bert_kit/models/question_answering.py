"""BERT that finds a span of the text: where an answer starts and where it ends."""

from __future__ import annotations

import keras

from keras_bert_kit.layers import ClassificationHead
from keras_bert_kit.models.encoder_with_head import EncoderWithHead


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForQuestionAnswering(EncoderWithHead):
    """BERT that gives each token a logit for the start, and one for the end, of an answer.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, S), question and context; or a dict with the inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen;
            `None` sees everything.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `start_logits` and `end_logits`, float32 (B, S) each.

    Example:
        >>> model = BertForQuestionAnswering.from_pretrained("path/to/model")
        >>> model(model.tokenizer(["Who?"], ["Ada wrote it."])).start_logits

    Reference:
        Devlin et al. 2018, section 4.2 (https://arxiv.org/abs/1810.04805).
    """

    heads = ("span/",)

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, add_pooling_layer=False, **kwargs)
        self.span = ClassificationHead(
            2,
            dropout=0.0,
            initializer_range=config.initializer_range,
            dtype=self.dtype_policy,
            name="span",
        )
        self.build(None)

    def build(self, input_shape):
        """Makes the head's weights; the encoder is made already."""
        self.span.build((None, None, self.config.hidden_size))
        self.built = True

    def _from_encoder(self, outputs, training):
        """Scores starts and ends."""
        logits = self.span(outputs["last_hidden_state"], training=training)  # (B, S, 2)
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
