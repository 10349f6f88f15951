"""A linear-chain conditional random field: tags that fit their neighbors, not only their tokens."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from keras_bert_kit.layers import linear_chain

# What a transition that is not allowed costs: more than scores of a sequence differ by, and small
# enough that float32 still tells the others apart.
_NOT_ALLOWED = -1e4


@keras.saving.register_keras_serializable("keras_bert_kit")
class ConditionalRandomField(keras.layers.Layer):
    """Scores sequences of tags: logits of the places, and one weight for each pair of neighbors.

    The score of a sequence is the sum of its logits, of `transitions[from, to]` between neighbors,
    of `start_transitions` of its first tag and of `end_transitions` of its last. Its probability is
    the softmax over all sequences. The weights begin at 0, where that is a softmax at each place.

    The mask may have gaps, such as the inner pieces of words: neighbors are then the places on both
    sides of a gap. All is computed in float32 under every dtype policy.

    A call decodes, which has no gradient; a model is trained with `log_likelihood`.

    Args:
        num_tags: Number of tags (C).
        allowed: bool (C, C), [from, to], which tags may follow each other; `None` allows all. What
            is not allowed scores 10,000 less, in training as in decoding.
        allowed_starts: bool (C,), the tags that a sequence may begin with.
        allowed_ends: bool (C,), the tags that a sequence may end with.

    Call arguments:
        logits: float tensor (B, S, C).
        mask: int or bool tensor (B, S), nonzero where a place counts; `None` counts all.

    Returns:
        int32 tensor (B, S), the likeliest tags, 0 where a place does not count.

    Raises:
        ValueError: There are fewer than 1 tags, or what is allowed has another shape.

    Example:
        >>> crf = ConditionalRandomField(3)
        >>> logits = keras.random.normal((2, 5, 3))
        >>> loss = -crf.log_likelihood(logits, keras.ops.ones((2, 5), "int32"))
        >>> crf(logits).shape
        TensorShape([2, 5])

    Reference:
        Lafferty, McCallum and Pereira 2001, Conditional Random Fields; Lample et al. 2016, section
        2.2 (https://arxiv.org/abs/1603.01360).
    """

    def __init__(self, num_tags, allowed=None, allowed_starts=None, allowed_ends=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if not isinstance(num_tags, int) or num_tags < 1:
            raise ValueError(f"num_tags must be a whole number above 0. Received: {num_tags!r}")
        self.num_tags = num_tags
        self.allowed = _listed("allowed", allowed, (num_tags, num_tags))
        self.allowed_starts = _listed("allowed_starts", allowed_starts, (num_tags,))
        self.allowed_ends = _listed("allowed_ends", allowed_ends, (num_tags,))
        self.supports_masking = True
        self.build(None)

    def build(self, input_shape):
        """Makes the weights, once; they do not depend on the shape."""
        if not self.built:
            tags = self.num_tags
            self.transitions = self._weight("transitions", (tags, tags))
            self.start_transitions = self._weight("start_transitions", (tags,))
            self.end_transitions = self._weight("end_transitions", (tags,))
        self.built = True

    def call(self, logits, mask=None):
        """Gives the likeliest tags; see the class."""
        return self.decode(logits, mask)[0]

    def log_likelihood(self, logits, tags, mask=None):
        """Computes the log-probability of sequences of tags.

        Args:
            logits: float tensor (B, S, C).
            tags: int tensor (B, S); those at places that do not count may be anything.
            mask: int or bool tensor (B, S), nonzero where a place counts; `None` counts all.

        Returns:
            float32 tensor (B,), 0 for a row without a place that counts.
        """
        order, _, kept = _moved_to_front(logits, mask)
        # A shift of all logits of a place changes no probability, and keeps the sums small.
        logits = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        scores = self._scores(_reordered(logits, order), kept)  # (B, S, C)
        transitions = self._transitions()
        tags = ops.take_along_axis(ops.cast(tags, "int32"), order, axis=1)
        chosen = ops.one_hot(tags, self.num_tags, dtype="float32")  # (B, S, C)
        chosen = chosen * ops.cast(kept[..., None], "float32")
        score = ops.sum(chosen * scores, axis=(1, 2))
        # The places that count stand at the front, so that the next place is the next one.
        pairs = ops.matmul(chosen[:, :-1], transitions) * chosen[:, 1:]
        score += ops.sum(pairs, axis=(1, 2))
        follows = ops.cast(_follows(kept), "float32")
        total = linear_chain.log_normalizer(scores, transitions, follows)
        return ops.where(kept[:, 0], score - total, 0.0)

    def decode(self, logits, mask=None):
        """Finds the likeliest sequences of tags, by Viterbi's algorithm.

        Args:
            logits: float tensor (B, S, C).
            mask: int or bool tensor (B, S), nonzero where a place counts; `None` counts all.

        Returns:
            int32 tensor (B, S), the tags, 0 where a place does not count, and of equally likely
            ones the lowest; and float32 tensor (B,), the scores of the sequences.
        """
        order, ranks, kept = _moved_to_front(logits, mask)
        logits = _reordered(ops.cast(logits, "float32"), order)
        scores = self._scores(logits, kept)
        tags, best = linear_chain.best_sequence(scores, self._transitions(), _follows(kept))
        tags = ops.take_along_axis(tags, ops.maximum(ranks, 0), axis=1)
        counted = _counted(logits, mask)
        return ops.where(counted, tags, 0), ops.where(kept[:, 0], best, 0.0)

    def marginals(self, logits, mask=None):
        """Computes the probability of each tag at each place, over all sequences.

        Args:
            logits: float tensor (B, S, C).
            mask: int or bool tensor (B, S), nonzero where a place counts; `None` counts all.

        Returns:
            float32 tensor (B, S, C), 0 where a place does not count.
        """
        order, ranks, kept = _moved_to_front(logits, mask)
        logits = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        scores, transitions = self._scores(_reordered(logits, order), kept), self._transitions()
        alphas = linear_chain.forward(scores, transitions, _follows(kept))
        ones = ops.ones_like(scores[:, 0, 0])
        found, _ = linear_chain.backward(alphas, transitions, _follows(kept), ones)
        found = _reordered(found, ops.maximum(ranks, 0))
        return ops.where(_counted(logits, mask)[..., None], found, 0.0)

    def compute_output_shape(self, input_shape):
        """Drops the last axis of (B, S, C)."""
        return tuple(input_shape[:2])

    def compute_output_spec(self, logits, mask=None):
        """Gives shape and dtype of the tags."""
        return keras.KerasTensor(self.compute_output_shape(logits.shape), "int32")

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "num_tags": self.num_tags,
            "allowed": self.allowed,
            "allowed_starts": self.allowed_starts,
            "allowed_ends": self.allowed_ends,
        }

    def _weight(self, name, shape):
        return self.add_weight(
            shape=shape, initializer="zeros", dtype="float32", autocast=False, name=name
        )

    def _transitions(self):
        return ops.convert_to_tensor(self.transitions) + _penalty(self.allowed)  # (C, C)

    def _scores(self, logits, kept):
        """Adds the scores of the first and of the last tag to the logits of these places."""
        starts = ops.convert_to_tensor(self.start_transitions) + _penalty(self.allowed_starts)
        ends = ops.convert_to_tensor(self.end_transitions) + _penalty(self.allowed_ends)
        first = ops.logical_and(kept, ops.logical_not(_follows(kept)))
        after = ops.pad(kept[:, 1:], [(0, 0), (0, 1)])
        last = ops.logical_and(kept, ops.logical_not(after))
        first, last = (ops.cast(place[..., None], "float32") for place in (first, last))
        return logits + first * starts + last * ends  # (B, S, C)


def allowed_transitions(label_names):
    """Tells which labels of entities may follow each other.

    The labels are "O" and those that begin with "B-", "I-", "E-" or "S-" ("M-" is the same as
    "I-"). Where "E-" or "S-" are among them, an entity is B, any number of I, and E, or S alone
    (BIOES, BMES); else it is B and any number of I (BIO, IOB2).

    Args:
        label_names: The labels, in the order of the logits.

    Returns:
        A dict of `allowed`, bool lists (C, C), and `allowed_starts` and `allowed_ends`, bool lists
        (C,): arguments of `ConditionalRandomField`.

    Raises:
        ValueError: A label is none of these.

    Example:
        >>> allowed_transitions(["O", "B-PER", "I-PER"])["allowed_starts"]
        [True, True, False]
    """
    parts = [_label_parts(name) for name in label_names]
    closed = any(kind in ("E", "S") for kind, _ in parts)
    outside = ("O", "")
    return {
        "allowed": [[_may_follow(one, other, closed) for other in parts] for one in parts],
        "allowed_starts": [_may_follow(outside, part, closed) for part in parts],
        "allowed_ends": [_may_follow(part, outside, closed) for part in parts],
    }


def _label_parts(name):
    kind, hyphen, entity = name.partition("-")
    if name == "O":
        return "O", ""
    if kind not in ("B", "I", "M", "E", "S") or not hyphen:
        raise ValueError(
            "A label of entities must be O or begin with B-, I-, M-, E- or S-. "
            f"Received: {name!r}. Other tags need an `allowed` of their own, or none."
        )
    return "I" if kind == "M" else kind, entity


def _may_follow(one, other, closed):
    """Tells whether a label may stand before another; both are kind and entity."""
    inside = one[0] in ("B", "I")  # of an entity that may go on
    if other[0] in ("I", "E"):
        return inside and one[1] == other[1]
    return not (closed and inside)


def _listed(name, allowed, shape):
    """Gives what is allowed as lists, which a config can hold."""
    if allowed is None:
        return None
    allowed = np.asarray(allowed, "bool")
    if allowed.shape != shape:
        raise ValueError(
            f"{name} must have a place for each of the tags, shape {shape}. "
            f"Received: shape={allowed.shape}"
        )
    return allowed.tolist()


def _penalty(allowed):
    return 0.0 if allowed is None else np.where(allowed, 0.0, _NOT_ALLOWED).astype("float32")


def _counted(logits, mask):
    if mask is None:
        return ops.ones_like(logits[..., 0], dtype="bool")
    return ops.cast(mask, "bool")  # (B, S)


def _moved_to_front(logits, mask):
    """Closes the gaps of a mask.

    Returns:
        int32 (B, S), the places in an order with those that count at the front; int32 (B, S), the
        number of each place that counts in that order; bool (B, S), the mask in that order.
    """
    counted = _counted(logits, mask)
    ranks = ops.cumsum(ops.cast(counted, "int32"), axis=1) - 1  # (B, S)
    length = ops.shape(counted)[1]
    places = ops.arange(length, dtype="int32")
    order = ops.argsort(ops.where(counted, places, places + length), axis=1)
    return ops.cast(order, "int32"), ranks, places <= ranks[:, -1:]


def _reordered(values, order):
    return ops.take_along_axis(values, order[..., None], axis=1)  # (B, S, C)


def _follows(kept):
    """Tells where a place that counts has another before it."""
    return ops.pad(kept[:, 1:], [(0, 0), (1, 0)])
