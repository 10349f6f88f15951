"""BERT with the heads that it is pretrained with: masked tokens and next sentence."""

from __future__ import annotations

import keras

from keras_bert_kit.config import BertConfig
from keras_bert_kit.layers import MaskedLMHead, NextSentenceHead
from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.encoder_with_head import EncoderWithHead
from keras_bert_kit.models.pretrained import PretrainedModel, unpack_inputs


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForPreTraining(PretrainedModel):
    """BERT with both heads: logits of the masked tokens, and of the next sentence.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen.
        masked_positions: int tensor (B, P), the positions whose tokens are to be predicted; `None`
            predicts all.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `prediction_logits`, float32 (B, P, V) or (B, S, V), and
        `seq_relationship_logits`, float32 (B, 2): 0 the second text follows, 1 it does not.

    Example:
        >>> model = BertForPreTraining.from_pretrained("path/to/model")
        >>> model(model.tokenizer(["A text."], ["Another."])).seq_relationship_logits

    Reference:
        Devlin et al. 2018, section 3.1 (https://arxiv.org/abs/1810.04805).
    """

    heads = ("pooler/", "masked_lm/", "next_sentence/")

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.bert = BertModel(config, dtype=self.dtype_policy, name="bert")
        self.masked_lm = _masked_lm_head(config, self.dtype_policy)
        self.next_sentence = _next_sentence_head(config, self.dtype_policy)
        self.build(None)

    def build(self, input_shape):
        """Makes the heads' weights; the encoder is made already."""
        self.masked_lm.build((None, None, self.config.hidden_size))
        self.next_sentence.build((None, self.config.hidden_size))
        self.built = True

    def call(
        self,
        input_ids,
        token_type_ids=None,
        attention_mask=None,
        masked_positions=None,
        position_ids=None,
        training=None,
    ):
        """Predicts; see the class."""
        *inputs, masked_positions = unpack_inputs(
            input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            masked_positions=masked_positions,
        )
        outputs = self.bert(*inputs, training=training)
        return {
            "prediction_logits": self.masked_lm(
                outputs["last_hidden_state"], self.bert.token_table, masked_positions
            ),
            "seq_relationship_logits": self.next_sentence(outputs["pooler_output"]),
        }


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForMaskedLM(PretrainedModel):
    """BERT that predicts tokens.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen.
        masked_positions: int tensor (B, P), the positions whose tokens are to be predicted; `None`
            predicts all.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `logits`, float32 (B, P, V) or (B, S, V).

    Example:
        >>> model = BertForMaskedLM.from_pretrained("path/to/model")
        >>> model(model.tokenizer(["A short text."])).logits

    Reference:
        Devlin et al. 2018, section 3.1, task 1 (https://arxiv.org/abs/1810.04805).
    """

    heads = ("masked_lm/",)

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.bert = BertModel(config, add_pooling_layer=False, dtype=self.dtype_policy, name="bert")
        self.masked_lm = _masked_lm_head(config, self.dtype_policy)
        self.build(None)

    def build(self, input_shape):
        """Makes the head's weights; the encoder is made already."""
        self.masked_lm.build((None, None, self.config.hidden_size))
        self.built = True

    def call(
        self,
        input_ids,
        token_type_ids=None,
        attention_mask=None,
        masked_positions=None,
        position_ids=None,
        training=None,
    ):
        """Predicts; see the class."""
        *inputs, masked_positions = unpack_inputs(
            input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            masked_positions=masked_positions,
        )
        states = self.bert(*inputs, training=training)["last_hidden_state"]
        return {"logits": self.masked_lm(states, self.bert.token_table, masked_positions)}


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForNextSentencePrediction(EncoderWithHead):
    """BERT that tells whether the second text of a pair follows the first.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the three inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `logits`, float32 (B, 2): 0 the second text follows, 1 it does not.

    Example:
        >>> model = BertForNextSentencePrediction.from_pretrained("path/to/model")
        >>> model(model.tokenizer(["A text."], ["Another."])).logits

    Reference:
        Devlin et al. 2018, section 3.1, task 2 (https://arxiv.org/abs/1810.04805).
    """

    heads = ("pooler/", "next_sentence/")
    pooled_only = True

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.next_sentence = _next_sentence_head(config, self.dtype_policy)
        self.build(None)

    def build(self, input_shape):
        """Makes the head's weights; the encoder is made already."""
        self.next_sentence.build((None, self.config.hidden_size))
        self.built = True

    def _from_encoder(self, outputs, training):
        """Classifies the pair."""
        return {"logits": self.next_sentence(outputs["pooler_output"])}


def _masked_lm_head(config: BertConfig, dtype) -> MaskedLMHead:
    return MaskedLMHead(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        hidden_act=config.mlm_hidden_act or config.hidden_act,
        layer_norm_eps=config.mlm_layer_norm_eps or config.layer_norm_eps,
        initializer_range=config.initializer_range,
        dtype=dtype,
        name="masked_lm",
    )


def _next_sentence_head(config: BertConfig, dtype) -> NextSentenceHead:
    return NextSentenceHead(config.initializer_range, dtype=dtype, name="next_sentence")
