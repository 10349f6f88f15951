"""What a served model computes, as TensorFlow functions by signature name."""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_bert_kit.layers import SentencePooling
from keras_bert_kit.models import BertForSequenceClassification
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer

TEXT, TEXT_PAIR, EXAMPLES = (
    tf.TensorSpec([None], tf.string, name=name) for name in ("text", "text_pair", "inputs")
)
IDS, MASK, TYPES = (
    tf.TensorSpec([None, None], tf.int32, name=name)
    for name in ("input_ids", "attention_mask", "token_type_ids")
)
#: Largest difference of numbers between an artefact and the model; of half precision, 0.05.
TOLERANCE = 1e-5
_TOLERANCE_OF_HALF_PRECISION = 0.05
_SHORTEST_COMPILED = 16


class ServedClassifier:
    """A classifier from texts or tokens to answers, in operations that can be exported.

    Args:
        model: The classifier, with a tokenizer.
        max_length: Longest sequence in tokens, specials included; longer texts are cut. `None`
            takes `model.max_length`.
        xla: Whether the network is compiled by XLA, for sequences padded to a few lengths.
        scope: Gives a context in which the network is traced.

    Raises:
        ValueError: The model has no tokenizer, or takes no sequence of `max_length`.
    """

    def __init__(
        self,
        model: BertForSequenceClassification,
        max_length: int | None = None,
        xla: bool = False,
        scope: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    ):
        self.model = model
        self.scope = scope
        self.tokenizer = model_tokenizer(model, max_length)
        # XLA compiles anew for each length, so there are few: powers of 2, then the longest.
        self.compiled_lengths: list[int] = []
        if xla:
            longest = self.tokenizer.max_length
            doubled = (_SHORTEST_COMPILED << step for step in itertools.count())
            self.compiled_lengths = [*itertools.takewhile(longest.__gt__, doubled), longest]
        self.pooling = SentencePooling("mean")
        self._logits = self._network(lambda inputs: model(inputs, training=False)["logits"])
        self._encode = self._network(lambda inputs: model.bert(inputs, training=False))

    @property
    def kind(self) -> str:
        """The config's `problem_type`."""
        return self.model.config.problem_type or "single_label_classification"

    @property
    def tolerance(self) -> float:
        """Largest difference of numbers that an artefact may have from the model."""
        exact = self.model.compute_dtype == "float32"
        return TOLERANCE if exact else _TOLERANCE_OF_HALF_PRECISION

    def functions(self) -> dict[str, tuple[Callable, list[tf.TensorSpec]]]:
        """Gives each signature's function and inputs, by name; see `serving_functions`."""
        functions = {
            "serving_default": (self.classify_text, [TEXT]),
            "pair": (self.classify_text, [TEXT, TEXT_PAIR]),
            "tokens": (self.classify_tokens, [IDS, MASK, TYPES]),
            "embed": (self.embed_text, [TEXT]),
            "tokenize": (self.tokenize, [TEXT]),
        }
        if self.kind != "regression":
            functions["classify"] = (self.classify_examples, [EXAMPLES])
            functions["classify_pair"] = (self.classify_paired_examples, [EXAMPLES])
        elif self.model.config.num_labels == 1:
            functions["regress"] = (self.classify_examples, [EXAMPLES])
            functions["regress_pair"] = (self.classify_paired_examples, [EXAMPLES])
        return functions

    def signatures(self) -> dict[str, Callable]:
        """Gives the functions of a SavedModel, by name."""
        return {
            name: tf.function(_of_shapes(function, inputs), inputs, autograph=False)
            for name, (function, inputs) in self.functions().items()
        }

    def tokenize(self, text, text_pair=None):
        """Gives the three inputs of the model, int32 (B, S)."""
        return self.tokenizer(text if text_pair is None else (text, text_pair))

    def classify_text(self, text, text_pair=None):
        """Gives the answer for texts (B,), or pairs of texts."""
        return self.answer(self.probabilities(self.tokenize(text, text_pair)))

    def classify_tokens(self, input_ids, attention_mask, token_type_ids):
        """Gives the answer for tokens (B, S)."""
        inputs = self._tokens(input_ids, attention_mask, token_type_ids)
        return self.answer(self.probabilities(inputs))

    def embed_text(self, text):
        """Gives vectors of texts (B,), float32 (B, H)."""
        inputs = self._padded(self.tokenize(text))
        outputs = self._encode(inputs)
        embedding = self.pooling(outputs["last_hidden_state"], inputs["attention_mask"])
        pooled = tf.cast(outputs["pooler_output"], tf.float32)
        return {"embedding": embedding, "pooler_output": pooled}

    def classify_examples(self, inputs):
        """Gives `classes` and `scores`, or `outputs`, for serialized tf.Example (B,)."""
        return self._of_examples(inputs, ["text"])

    def classify_paired_examples(self, inputs):
        """The same for examples with a second text."""
        return self._of_examples(inputs, ["text", "text_pair"])

    def probabilities(self, inputs):
        """Gives probabilities, or a regression's numbers, float32 (B, C), for a dict of tokens."""
        logits = tf.cast(self._logits(self._padded(inputs)), tf.float32)
        if self.kind == "regression":
            return logits
        return tf.nn.softmax(logits) if self.kind.startswith("single") else tf.sigmoid(logits)

    def answer(self, probabilities):
        """Gives the named outputs of a signature, for `probabilities` (B, C)."""
        if self.kind == "regression":
            if self.model.config.num_labels == 1:
                return {"score": tf.squeeze(probabilities, 1)}
            return {"labels": self._labels(probabilities), "scores": probabilities}
        every = {"labels": self._labels(probabilities), "probabilities": probabilities}
        if not self.kind.startswith("single"):
            return every
        names = tf.constant(self.model.config.label_names)
        return {
            "label": tf.gather(names, tf.argmax(probabilities, axis=-1)),
            "score": tf.reduce_max(probabilities, axis=-1),
            **every,
        }

    def _of_examples(self, inputs, columns: Sequence[str]):
        features = dict.fromkeys(columns, tf.io.FixedLenFeature([], tf.string))
        parsed = tf.io.parse_example(inputs, features)
        texts = (parsed[column] for column in columns)
        probabilities = self.probabilities(self.tokenize(*texts))
        if self.kind == "regression":
            return {"outputs": probabilities}  # (B, 1)
        return {"classes": self._labels(probabilities), "scores": probabilities}

    def _labels(self, probabilities):
        names = tf.expand_dims(tf.constant(self.model.config.label_names), 0)
        return tf.tile(names, [tf.shape(probabilities)[0], 1])  # (B, C)

    def _tokens(self, input_ids, attention_mask, token_type_ids):
        """Masks what TensorFlow Serving's batcher may have added to rows of tokens.

        It pads each input with its own first element: ids with [CLS], and the mask with 1.
        """
        position = tf.expand_dims(tf.range(tf.shape(input_ids)[1]), 0)  # (1, S)
        is_other = input_ids != self.tokenizer.cls_token_id
        last = tf.reduce_max(tf.where(is_other, position, 0), axis=1, keepdims=True)
        return {
            "input_ids": input_ids,
            "token_type_ids": token_type_ids,
            "attention_mask": tf.where(position <= last, attention_mask, 0),
        }

    def _network(self, network: Callable) -> Callable:
        """Makes one graph of a network, which all signatures share."""

        def traced(inputs):
            with self.scope():
                return network(inputs)

        inputs = {spec.name: spec for spec in (IDS, MASK, TYPES)}
        compiled = True if self.compiled_lengths else None
        return tf.function(traced, [inputs], autograph=False, jit_compile=compiled)

    def _padded(self, inputs):
        """Pads tokens (B, S) to one of the compiled lengths, where there are such."""
        if not self.compiled_lengths:
            return inputs
        length = tf.shape(inputs["input_ids"])[1]
        steps = tf.constant(self.compiled_lengths)
        missing = tf.reduce_min(tf.where(steps >= length, steps, steps[-1])) - length
        added = [[0, 0], [0, tf.maximum(missing, 0)]]
        return {name: tf.pad(tensor, added) for name, tensor in inputs.items()}


def _of_shapes(function: Callable, specs: Sequence[tf.TensorSpec]) -> Callable:
    """Refuses tensors of other shapes: a server lets them through, and tensorflow-text crashes."""

    def checked(*tensors):
        return function(
            *(
                tf.ensure_shape(tensor, spec.shape)
                for tensor, spec in zip(tensors, specs, strict=True)
            )
        )

    names = [
        inspect.Parameter(spec.name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for spec in specs
    ]
    checked.__signature__ = inspect.Signature(names)
    return checked


def serving_functions(
    model: BertForSequenceClassification, max_length: int | None = None, xla: bool = False
) -> dict[str, Callable]:
    """Gives what a served model computes, as functions by signature name.

    Args:
        model: A classifier with a tokenizer.
        max_length: Longest sequence in tokens, specials included; longer texts are cut. `None`
            takes `model.max_length`.
        xla: Whether XLA compiles the network.

    Returns:
        A dict of TensorFlow functions, each from named tensors to a dict of named tensors whose
        first axis is the batch (B):

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

    Raises:
        ValueError: The model has no tokenizer, or takes no sequence of `max_length`.
    """
    return ServedClassifier(model, max_length, xla).signatures()


def model_tokenizer(
    model: BertForSequenceClassification, max_length: int | None
) -> InGraphTokenizer:
    """Gives the layer that tokenizes for a model.

    Raises:
        TypeError: It is no classifier of texts.
        ValueError: The model has no tokenizer, or takes no sequence of `max_length`.
    """
    check_kind(model)
    if model.tokenizer is None:
        raise ValueError(
            "The model must have a tokenizer. Load it with from_pretrained, or set "
            "model.tokenizer = BertTokenizer(...). Received: tokenizer=None"
        )
    if max_length is None:
        max_length = model.max_length
    model.check_length(max_length)
    return model.tokenizer.in_graph(max_length)


def check_kind(model: BertForSequenceClassification):
    """Checks that a model is one that can be exported.

    Raises:
        TypeError: It is no classifier of texts.
    """
    if not isinstance(model, BertForSequenceClassification):
        raise TypeError(
            "Only a BertForSequenceClassification can be exported. "
            f"Received: {type(model).__name__}"
        )
