"""BERT with a classifier over the pooled first token."""

from __future__ import annotations

import keras

from keras_bert_kit.layers import ClassificationHead
from keras_bert_kit.models.encoder_with_head import EncoderWithHead


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForSequenceClassification(EncoderWithHead):
    """BERT that gives a text, or a pair of texts, logits over classes.

    Args:
        config: The model's config; `id2label` names the classes.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the three inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen;
            `None` sees everything.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `logits`, float32 (B, C).

    Example:
        >>> model = BertForSequenceClassification.from_pretrained("path/to/model", num_labels=2)
        >>> model(model.tokenizer(["A short text."])).logits

    Reference:
        Devlin et al. 2018, section 4.1 (https://arxiv.org/abs/1810.04805).
    """

    heads = ("pooler/", "classifier/")
    pooled_only = True

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.classifier = ClassificationHead(
            config.num_labels,
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

    def _from_encoder(self, outputs, training):
        """Classifies the text."""
        return {"logits": self.classifier(outputs["pooler_output"], training=training)}
