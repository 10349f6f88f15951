"""The functions of a served model, and the checks before it is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tasks import task_of
from keras_bert_kit.tasks.served import Served
from keras_bert_kit.tasks.text_classification import ServedClassifier


def serving_functions(
    model: PretrainedModel, max_length: int | None = None, xla: bool = False
) -> dict[str, Callable]:
    """Gives what a served model computes, as functions by signature name.

    Args:
        model: A model of one of the tasks, with a tokenizer.
        max_length: Longest sequence in tokens, specials included; longer texts are cut. `None`
            takes `model.max_length`.
        xla: Whether XLA compiles the network.

    Returns:
        A dict of TensorFlow functions, each from named tensors to a dict of named tensors whose
        first axis is the batch (B). Those of a classifier are:

        - `serving_default(text)`, `pair(text, text_pair)`, strings (B,), and
          `tokens(input_ids, attention_mask, token_type_ids)`, int32 (B, S), give the answer:
          `label`, string (B,); `score`, float32 (B,), that label's probability; `labels`, string
          (B, C); `probabilities`, float32 (B, C). A model of several labels a text gives the last
          two; a regression gives `score`, float32 (B,), or `labels` and `scores` (B, C).
        - `embed(text)` gives `embedding`, the mean of the last hidden states over the tokens, and
          `pooler_output`, float32 (B, H).
        - `tokenize(text)` gives the inputs of `tokens`.
        - `classify(inputs)` and `classify_pair(inputs)`, serialized tf.Example (B,) with features
          `text` and `text_pair`, give `classes`, string (B, C), and `scores`, float32 (B, C). A
          regression of one number has `regress` and `regress_pair` instead, which give `outputs`,
          float32 (B, 1).

        Those of other tasks stand in the docstrings of their `Served` classes.

    Raises:
        TypeError: The model belongs to no task.
        ValueError: The model has no tokenizer, or takes no sequence of `max_length`.
    """
    return served_model(model, max_length, xla=xla).signatures()


def served_model(model: PretrainedModel, max_length: int | None = None, **options: Any) -> Served:
    """Gives what a model computes for a server.

    Args:
        model: A model of one of the tasks, with a tokenizer.
        max_length: As in `serving_functions`.
        **options: Of `Served`: `xla` and `scope`.

    Raises:
        TypeError: The model belongs to no task.
        ValueError: The model has no tokenizer, or takes no sequence of `max_length`.
    """
    task = task_of(model)
    if model.tokenizer is None:
        raise ValueError(
            "The model must have a tokenizer. Load it with from_pretrained, or set "
            "model.tokenizer = BertTokenizer(...). Received: tokenizer=None"
        )
    length = model.max_length if max_length is None else max_length
    model.check_length(length)
    return task.served(model, task.tokenizer(model, length), **options)


def served_classifier(model: PretrainedModel, max_length: int | None = None) -> ServedClassifier:
    """Gives what a classifier of texts computes, for the formats that take no other model.

    Args:
        model: A classifier of texts, with a tokenizer.
        max_length: As in `serving_functions`.

    Raises:
        TypeError: It is no classifier of texts.
        ValueError: As in `served_model`.
    """
    served = served_model(model, max_length)
    if not isinstance(served, ServedClassifier):
        raise TypeError(
            "Only a BertForSequenceClassification can be exported to this format; saved-model "
            f"takes every task. Received: {type(model).__name__}"
        )
    return served
