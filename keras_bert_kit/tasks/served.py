"""What a served model computes, as TensorFlow functions by signature name."""

from __future__ import annotations

import abc
import contextlib
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import ClassVar

import tensorflow as tf

from keras_bert_kit.layers import SentencePooling
from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer


def texts_spec(name: str) -> tf.TensorSpec:
    """Gives the spec of a batch of strings.

    Args:
        name: The name of the input.
    """
    return tf.TensorSpec([None], tf.string, name=name)


IDS, MASK, TYPES = (
    tf.TensorSpec([None, None], tf.int32, name=name)
    for name in ("input_ids", "attention_mask", "token_type_ids")
)
#: Largest difference of numbers between an artefact and the model; of half precision, 0.05.
TOLERANCE = 1e-5
_TOLERANCE_OF_HALF_PRECISION = 0.05
_SHORTEST_COMPILED = 16

#: A signature: its function, and its inputs in order.
Signature = tuple[Callable, list[tf.TensorSpec]]


class Served(abc.ABC):
    """A model from texts to answers, in operations that can be exported.

    A class of it gives `functions`. What they return is a dict of tensors whose first axis is the
    batch (B). Tensors (B, N) with names like `entities.label` are a list of things for each text;
    `entities.count`, int32 (B,), says how many of the N are real.

    Args:
        model: The model, with a tokenizer.
        tokenizer: The tokenizer, or what gives the same ids.
        xla: Whether the network is compiled by XLA, for sequences padded to a few lengths.
        scope: Gives a context in which the network is traced.
        masked: What the network adds to the scores of masked keys, instead of what the model adds;
            `None` leaves it to the model. For formats whose whole numbers must cover it.
    """

    def __init__(
        self,
        model: PretrainedModel,
        tokenizer: InGraphTokenizer,
        xla: bool = False,
        scope: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
        masked: float | None = None,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.scope = scope
        self.masked = masked
        # XLA compiles anew for each length, so there are few: powers of 2, then the longest.
        self.compiled_lengths: list[int] = []
        if xla:
            longest = tokenizer.max_length
            doubled = (_SHORTEST_COMPILED << step for step in itertools.count())
            self.compiled_lengths = [*itertools.takewhile(longest.__gt__, doubled), longest]
        self.pooling = SentencePooling("mean")
        self.outputs = self.network(lambda inputs: model(inputs, training=False))
        self._encode = self.network(lambda inputs: model.bert(inputs, training=False))

    #: Name of the task.
    task: ClassVar[str]

    @abc.abstractmethod
    def functions(self) -> dict[str, Signature]:
        """Gives each signature's function and inputs, by name; `serving_default` is one."""

    @property
    def tolerance(self) -> float:
        """Largest difference of numbers that an artefact may have from the model."""
        exact = self.model.compute_dtype == "float32"
        return TOLERANCE if exact else _TOLERANCE_OF_HALF_PRECISION

    def signatures(self) -> dict[str, Callable]:
        """Gives the functions of a SavedModel, by name."""
        return {
            name: tf.function(of_shapes(function, inputs), inputs, autograph=False)
            for name, (function, inputs) in self.functions().items()
        }

    def sample(self, text: str) -> str:
        """Makes of any text one that the model may be asked, no longer in tokens."""
        return text

    def tokenize(self, text, text_pair=None):
        """Gives the three inputs of the model, int32 (B, S)."""
        return self.tokenizer(text if text_pair is None else (text, text_pair))

    def embed(self, text):
        """Gives vectors of texts (B,), float32 (B, H)."""
        inputs = self.padded(self.tokenize(text))
        outputs = self._encode(inputs)
        embedding = self.pooling(outputs["last_hidden_state"], inputs["attention_mask"])
        vectors = {"embedding": tf.cast(embedding, tf.float32)}
        if "pooler_output" in outputs:
            vectors["pooler_output"] = tf.cast(outputs["pooler_output"], tf.float32)
        return vectors

    def own_tokens(self, input_ids, attention_mask, token_type_ids):
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

    def network(
        self, network: Callable, specs: Sequence[tf.TensorSpec] = (IDS, MASK, TYPES)
    ) -> Callable:
        """Makes one graph of a network, which all signatures share.

        Args:
            network: A function of a dict of inputs.
            specs: The inputs.
        """

        def traced(inputs):
            with self.scope():
                return dict(network(self._with_bias(inputs)))

        if self.masked is not None:
            return traced  # a converter takes one graph
        inputs = {spec.name: spec for spec in specs}
        compiled = True if self.compiled_lengths else None
        return tf.function(traced, [inputs], autograph=False, jit_compile=compiled)

    def _with_bias(self, inputs):
        """Turns the mask into what is added to the scores, (B, 1, 1, S), if that is given."""
        if self.masked is None or "attention_mask" not in inputs:
            return inputs
        mask = tf.cast(inputs["attention_mask"], tf.float32)
        bias = (1.0 - tf.expand_dims(tf.expand_dims(mask, 1), 1)) * self.masked
        return {**inputs, "attention_mask": bias}

    def padded(self, inputs):
        """Pads tokens (B, S) to one of the compiled lengths, where there are such."""
        if not self.compiled_lengths:
            return inputs
        length = tf.shape(inputs["input_ids"])[1]
        steps = tf.constant(self.compiled_lengths)
        missing = tf.reduce_min(tf.where(steps >= length, steps, steps[-1])) - length
        added = [[0, 0], [0, tf.maximum(missing, 0)]]
        return {name: tf.pad(tensor, added) for name, tensor in inputs.items()}


def of_shapes(function: Callable, specs: Sequence[tf.TensorSpec]) -> Callable:
    """Refuses tensors of other shapes: a server lets them through, and tensorflow-text crashes.

    Args:
        function: Takes tensors in the order of the specs.
        specs: The inputs.
    """

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
