"""BERT with a classifier over every token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops, tree

from keras_bert_kit.checkpoints.matching import not_filled
from keras_bert_kit.layers import ClassificationHead, ConditionalRandomField
from keras_bert_kit.models.encoder_with_head import EncoderWithHead

# Of the weights that a plain token classifier does not have, those that its labels depend on.
_OPTIONAL = ("lstm/", "crf/")


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForTokenClassification(EncoderWithHead):
    """BERT that gives each token logits over classes.

    With `config.lstm_hidden_size` a bidirectional LSTM stands between the encoder and the
    classifier. With `config.use_crf` the tags of a row are chosen together, by a conditional random
    field over the logits; the loss then is its own, and the compiled one is not looked at.

    Args:
        config: The model's config; `id2label` names the classes.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, S); or a dict with the inputs.
        token_type_ids: int tensor (B, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, S) or (B, S, S), nonzero where a token may be seen;
            `None` sees everything.
        position_ids: int tensor (B, S), the place of each token in its sequence; `None` counts from
            0.

    Returns:
        A `ModelOutput` of `logits`, float32 (B, S, C).

    Raises:
        ValueError: There is an LSTM, and the attention mask is not (B, S).

    Example:
        >>> model = BertForTokenClassification.from_pretrained("path/to/model", num_labels=9)
        >>> inputs = model.tokenizer(["A short text."])
        >>> tags = model.decode(model(inputs).logits, inputs["attention_mask"])

    Reference:
        Devlin et al. 2018, section 5.3 (https://arxiv.org/abs/1810.04805); Lample et al. 2016, of
        LSTM and conditional random field (https://arxiv.org/abs/1603.01360).
    """

    heads = ("classifier/", *_OPTIONAL)

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, add_pooling_layer=False, **kwargs)
        self.lstm = None
        if config.lstm_hidden_size is not None:
            one_way = keras.layers.LSTM(
                config.lstm_hidden_size,
                return_sequences=True,
                dtype=self.dtype_policy,
                name="lstm",
            )
            self.lstm = keras.layers.Bidirectional(one_way, dtype=self.dtype_policy, name="lstm")
        self.classifier = ClassificationHead(
            config.num_labels,
            dropout=config.head_dropout,
            initializer_range=config.initializer_range,
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.crf = None
        if config.use_crf:
            self.crf = ConditionalRandomField(
                config.num_labels, dtype=self.dtype_policy, name="crf"
            )
        self.build(None)

    @classmethod
    def from_pretrained(cls, source: Any, **options: Any):
        """Makes a model with the weights and the tokenizer of a checkpoint.

        Args:
            source: As in `PretrainedModel.from_pretrained`.
            **options: The other arguments of that.

        Raises:
            FileNotFoundError: The checkpoint, or a file of it, is missing.
            ValueError: As in `PretrainedModel.from_pretrained`; and where the checkpoint holds an
                LSTM or a conditional random field that the model is to be without.
        """
        model = super().from_pretrained(source, **options)
        left_out = [name for name in model.loading_report.unused if name.startswith(_OPTIONAL)]
        if left_out:
            raise ValueError(
                f"{not_filled(str(source), {'unexpected': left_out})} The config must have use_crf "
                "and lstm_hidden_size as the model was trained."
            )
        return model

    def build(self, input_shape):
        """Makes the weights of LSTM and classifier; the encoder and the field have theirs."""
        width = self.config.hidden_size
        if self.lstm is not None:
            self.lstm.build((None, None, width))
            width = 2 * self.config.lstm_hidden_size
        self.classifier.build((None, None, width))
        self.built = True

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
        outputs = self.bert(*inputs, inputs_embeds=inputs_embeds, training=training)
        states = outputs["last_hidden_state"]
        if self.lstm is not None:
            if isinstance(input_ids, Mapping):
                attention_mask = input_ids.get("attention_mask", attention_mask)
            states = self._neighbors(states, attention_mask, training)
        return {"logits": self.classifier(states, training=training)}

    def decode(self, logits, mask=None):
        """Chooses the tags: each place's best, or with a conditional random field the row's.

        Args:
            logits: float tensor (B, S, C), as the model gives them.
            mask: int or bool tensor (B, S), nonzero at the places that are to have a tag, such as
                the first piece of each word, and in training had one; `None` means all.

        Returns:
            int32 tensor (B, S), 0 where the mask is.
        """
        if self.crf is not None:
            return self.crf.decode(logits, mask)[0]
        tags = tf.argmax(logits, axis=-1, output_type="int32")  # Keras' is more than LiteRT knows
        return tags if mask is None else ops.where(ops.cast(mask, "bool"), tags, 0)

    def tag_probabilities(self, logits, mask=None):
        """Computes the probability of each tag, with a conditional random field over rows.

        Args:
            logits: float tensor (B, S, C), as the model gives them.
            mask: As for `decode`.

        Returns:
            float32 tensor (B, S, C), 0 where the mask is.
        """
        if self.crf is not None:
            return self.crf.marginals(logits, mask)
        found = ops.softmax(ops.cast(logits, "float32"), axis=-1)
        if mask is None:
            return found
        return ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), found, 0.0)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the compiled loss, or that of the conditional random field.

        The latter is the negative log-likelihood of the rows' tags, for each place with a label.

        Args:
            x: The inputs.
            y: The tags, int (B, S).
            y_pred: The outputs.
            sample_weight: float (B, S), above 0 where a place has a label and the same at all of
                them, with a mean of 1 over all places of the batch; `None` means that all have one.
            training: Whether the model is being trained.

        Raises:
            ValueError: There is a field, and the weights are not (B, S).
        """
        if self.crf is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        tags = tree.flatten(y)[0]
        weights = next(iter(tree.flatten(sample_weight)), None)
        weights = ops.ones_like(tags, "float32") if weights is None else weights
        if len(weights.shape) != 2:
            raise ValueError(
                "Weights of samples must be those of the places, (batch, sequence). "
                f"Received: shape={tuple(weights.shape)}"
            )
        return self._field_loss(y_pred["logits"], tags, ops.cast(weights, "float32"))

    def _neighbors(self, states, attention_mask, training):
        """Runs the LSTM over the tokens; its states are 0 at padding."""
        if attention_mask is None:
            return self.lstm(states, training=training)
        if len(attention_mask.shape) != 2:
            raise ValueError(
                "attention_mask must have the shape (batch, sequence) in a model with an LSTM, "
                "which cannot keep texts of one row apart. "
                f"Received: shape={tuple(attention_mask.shape)}"
            )
        seen = ops.cast(attention_mask, "bool")
        states = self.lstm(states, mask=seen, training=training)
        return states * ops.cast(ops.expand_dims(seen, -1), states.dtype)

    def _field_loss(self, logits, tags, weights):
        """Computes a replica's part of the mean over the labelled places of the whole batch.

        Let the batch have P places in all and n with a label, whose weights then are P / n. A
        replica of R has P / R places. The sum of its rows' -log p, each times the row's weight, by
        its number of places is R / n times the sum of -log p; by R, as Keras has it, it is the
        replica's part of the batch's sum of -log p by n. The parts are added.
        """
        labelled = ops.cast(weights > 0, "float32")
        row = ops.sum(weights * labelled, -1) / ops.maximum(ops.sum(labelled, -1), 1.0)  # (B,)
        total = ops.sum(-self.crf.log_likelihood(logits, tags, labelled) * row)
        places = ops.cast(tf.size(weights), "float32")
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return total / ops.maximum(places, 1.0) / replicas  # a replica may be without a row
