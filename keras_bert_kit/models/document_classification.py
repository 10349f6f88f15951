"""BERT with a classifier over the windows of a long text."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert_kit.layers import ClassificationHead, WindowPooling
from keras_bert_kit.models.bert import BertModel
from keras_bert_kit.models.pretrained import PretrainedModel, unpack_inputs


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertForDocumentClassification(PretrainedModel):
    """BERT that gives a text of any length logits over classes, from windows over all of it.

    Each window goes through the encoder on its own; `config.window_pooling` says how one vector is
    made of theirs. Of a text of one window, "mean" and "max" give what
    `BertForSequenceClassification` gives. Loss and metrics see the logits alone.

    Memory grows with windows times texts: train with few texts a batch, and with
    `gradient_checkpointing=True` where that does not fit.

    Args:
        config: The model's config; `id2label` names the classes.
        tokenizer: The tokenizer that belongs to the weights, if there is one.

    Call arguments:
        input_ids: int tensor (B, W, S), W windows of each text, as
            `keras_bert_kit.data.documents.encode_documents` makes them; or a dict with the inputs.
        token_type_ids: int tensor (B, W, S), segment ids; `None` means 0.
        attention_mask: int or bool tensor (B, W, S), nonzero where a token may be seen, and nowhere
            in a window that is padding; `None` sees everything.
        position_ids: int tensor (B, W, S), the place of each token in its window; `None` counts
            from 0.

    Returns:
        A `ModelOutput` of `logits`, float32 (B, C), and `window_weights`, float32 (B, W): how much
        each window counts, see `WindowPooling`.

    Raises:
        ValueError: The inputs have no axis of windows.

    Example:
        >>> model = BertForDocumentClassification.from_pretrained(
        ...     "path/to/model", num_labels=2, window_pooling="attention"
        ... )
        >>> texts = encode_documents(Examples("texts", ["A long text."]), model.tokenizer)
        >>> model(texts.pack([0], texts.max_length)).window_weights

    Reference:
        Pappagari et al. 2019, Hierarchical Transformers for Long Document Classification
        (https://arxiv.org/abs/1910.10781).
    """

    heads = ("pooler/", "window_pooling/", "classifier/")

    def __init__(self, config, tokenizer=None, **kwargs):
        super().__init__(config, tokenizer, **kwargs)
        self.bert = BertModel(config, dtype=self.dtype_policy, name="bert")
        self.window_pooling = WindowPooling(
            config.window_pooling or "mean",
            initializer_range=config.initializer_range,
            name="window_pooling",
        )
        self.classifier = ClassificationHead(
            config.num_labels,
            dropout=config.head_dropout,
            initializer_range=config.initializer_range,
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.build(None)

    def build(self, input_shape):
        """Makes the weights of pooling and classifier; the encoder is made already."""
        self.window_pooling.build((None, None, self.config.hidden_size))
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
        """Classifies the texts; see the class."""
        inputs = unpack_inputs(
            input_ids,
            token_type_ids=token_type_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
        )
        _check_windows(inputs[0])
        windows, length = ops.shape(inputs[0])[1:]
        flat = [None if x is None else ops.reshape(x, (-1, length)) for x in inputs]  # (B*W, S)
        pooled = self.bert(*flat, pooled_only=True, training=training)["pooler_output"]
        pooled = ops.reshape(pooled, (-1, windows, self.config.hidden_size))  # (B, W, H)
        mask = None if inputs[2] is None else ops.any(ops.cast(inputs[2], "bool"), axis=-1)
        vector, weights = self.window_pooling(pooled, mask, return_window_weights=True)
        return {"logits": self.classifier(vector, training=training), "window_weights": weights}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the compiled loss of the logits.

        Args:
            x: The inputs.
            y: The targets.
            y_pred: The outputs.
            sample_weight: Weights of the samples.
            training: Whether the model is being trained.
        """
        return super().compute_loss(x, y, _learnt(y_pred), sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics of the logits and gives their values.

        Args:
            x: The inputs.
            y: The targets.
            y_pred: The outputs.
            sample_weight: Weights of the samples.
        """
        return super().compute_metrics(x, y, _learnt(y_pred), sample_weight)


def _learnt(outputs):
    return {"logits": outputs["logits"]}


def _check_windows(input_ids):
    if len(ops.shape(input_ids)) != 3:
        raise ValueError(
            "input_ids must be of shape (texts, windows, tokens). "
            f"Received: shape={tuple(ops.shape(input_ids))}. Make windows with "
            "keras_bert_kit.data.documents.encode_documents, or add one with [:, None]."
        )
