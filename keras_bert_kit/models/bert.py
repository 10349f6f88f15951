"""The encoder as a model: ids to hidden states."""

from __future__ import annotations

import keras

from keras_bert_kit.layers import BertEmbeddings, Pooler, TransformerEncoder
from keras_bert_kit.models.pretrained import PretrainedModel, unpack_inputs


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertModel(PretrainedModel):
    """BERT without a task: embeddings, encoder and pooler.

    Args:
        config: The model's config.
        tokenizer: The tokenizer that belongs to the weights, if there is one.
        add_pooling_layer: Whether to compute `pooler_output`.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the inputs up to `position_ids`.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen;
            `None` sees everything.
        position_ids: int tensor (B, S), positions in the sequence; `None` counts from 0. Texts
            packed into one row start again at 0.
        inputs_embeds: float tensor (B, S, H), given by its name and instead of `input_ids`: what
            the token table would give. Gradients flow into it.
        output_hidden_states: Whether to return all hidden states.
        output_attentions: Whether to return the attention probabilities.
        pooled_only: Whether `pooler_output` is all that is wanted of the last block, which then
            computes the first token alone: the same numbers for, in a model of 6 blocks, about a
            seventh less work.

    Returns:
        A `ModelOutput` of `last_hidden_state`, float (B, S, H), or (B, 1, H) with `pooled_only`,
        `pooler_output`, float (B, H), and if asked for, `hidden_states` and `attentions`.

    Example:
        >>> model = BertModel.from_pretrained("path/to/model")
        >>> model(model.tokenizer(["A short text."])).last_hidden_state

    Reference:
        Devlin et al. 2018, section 3 (https://arxiv.org/abs/1810.04805).
    """

    options = ("add_pooling_layer",)

    def __init__(self, config, tokenizer=None, add_pooling_layer=True, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.embeddings = BertEmbeddings(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            max_position_embeddings=config.max_position_embeddings,
            type_vocab_size=config.type_vocab_size,
            hidden_dropout_prob=config.hidden_dropout_prob,
            layer_norm_eps=config.layer_norm_eps,
            initializer_range=config.initializer_range,
            position_embedding_type=config.position_embedding_type,
            dtype=self.dtype_policy,
            name="embeddings",
        )
        self.encoder = TransformerEncoder(
            num_hidden_layers=config.num_hidden_layers,
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            hidden_act=config.hidden_act,
            hidden_dropout_prob=config.hidden_dropout_prob,
            attention_probs_dropout_prob=config.attention_probs_dropout_prob,
            layer_norm_eps=config.layer_norm_eps,
            initializer_range=config.initializer_range,
            norm_first=config.norm_first,
            gradient_checkpointing=config.gradient_checkpointing,
            dtype=self.dtype_policy,
            name="encoder",
        )
        self.pooler = None
        if add_pooling_layer:
            self.pooler = Pooler(
                config.hidden_size,
                initializer_range=config.initializer_range,
                dtype=self.dtype_policy,
                name="pooler",
            )
        self.build(None)

    def build(self, input_shape):
        """Makes all weights; nothing depends on the input's shape."""
        hidden = (None, None, self.config.hidden_size)
        self.embeddings.build((None, None))
        self.encoder.build(hidden)
        if self.pooler is not None:
            self.pooler.build(hidden)
        self.built = True

    def call(
        self,
        input_ids=None,
        token_type_ids=None,
        attention_mask=None,
        position_ids=None,
        inputs_embeds=None,
        output_hidden_states=False,
        output_attentions=False,
        pooled_only=False,
        training=None,
    ):
        """Encodes; see the class."""
        input_ids, token_type_ids, attention_mask, position_ids = unpack_inputs(
            input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
        )
        hidden_states = self.embeddings(
            input_ids,
            token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            training=training,
        )
        outputs = self.encoder(
            hidden_states,
            attention_mask=attention_mask,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            output_length=1 if pooled_only else None,
            training=training,
        )
        if not isinstance(outputs, dict):
            outputs = {"last_hidden_state": outputs}
        pooled = {}
        if self.pooler is not None:
            pooled["pooler_output"] = self.pooler(outputs["last_hidden_state"])
        last = {"last_hidden_state": outputs.pop("last_hidden_state")}
        return {**last, **pooled, **outputs}

    @property
    def token_table(self):
        """The token embeddings (V, H), which a masked-LM head predicts with."""
        table = self.embeddings.word_embeddings
        if table.quantization_mode is None:
            return table.embeddings
        return table(keras.ops.arange(table.input_dim))  # the layer knows the scales

    def get_config(self):
        """Gives what `.keras` files keep of the model."""
        return {**super().get_config(), "add_pooling_layer": self.pooler is not None}
