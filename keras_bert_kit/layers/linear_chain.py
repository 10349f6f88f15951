"""Sums and maxima over all sequences of tags, in one pass over the places each.

A row's places that count stand at its front. Of each place `follows` tells whether it counts and
has another before it; a place for which it does not hold is passed over, but for the first.
"""

from __future__ import annotations

from keras import ops


def forward(scores, transitions, follows):
    """Sums over the sequences up to each place, by the tag that they end with.

    Args:
        scores: float32 tensor (B, S, C), of each tag at each place.
        transitions: float32 tensor (C, C), of each pair of neighbors, [from, to].
        follows: bool tensor (B, S).

    Returns:
        float32 tensor (B, S, C), the logarithms of the sums.
    """

    def step(alpha, place):
        score, follow = _parts(place)
        reached = ops.logsumexp(alpha[:, :, None] + transitions, axis=1) + score  # (B, C)
        alpha = ops.where(follow[:, None], reached, alpha)
        return alpha, alpha

    _, alphas = ops.scan(step, scores[:, 0], _places(scores, follows))
    return _by_place(alphas)


def backward(alphas, transitions, follows, upstream):
    """Computes the gradients of `log_normalizer`.

    Args:
        alphas: float32 tensor (B, S, C), what `forward` gave.
        transitions: float32 tensor (C, C).
        follows: bool tensor (B, S).
        upstream: float32 tensor (B,), the gradient of what comes after.

    Returns:
        float32 tensor (B, S, C), for the scores: with `upstream` 1, the probability of each tag;
        and float32 tensor (C, C), for the transitions.
    """
    before = ops.concatenate([alphas[:, :1], alphas[:, :-1]], axis=1)

    def step(carry, place):
        reached, moved = carry  # (B, C), (C, C)
        alpha, follow = _parts(place)
        shares = ops.softmax(alpha[:, :, None] + transitions, axis=1)  # of the tags before
        pairs = shares * reached[:, None, :] * ops.cast(follow[:, None, None], "float32")
        earlier = ops.where(follow[:, None], ops.sum(pairs, axis=2), reached)
        return (earlier, moved + ops.sum(pairs, axis=0)), (reached, moved)

    last = upstream[:, None] * ops.softmax(alphas[:, -1], axis=-1)
    start = (last, ops.zeros_like(transitions))
    places = _places(before, follows)
    (_, moved), (reached, _) = ops.scan(step, start, places, reverse=True)
    first = ops.arange(ops.shape(follows)[1]) == 0
    counted = ops.logical_or(follows, first)[..., None]
    return ops.where(counted, _by_place(reached), 0.0), moved


# A gradient of its own, for XLA cannot compile the one that TensorFlow would make of the loop.
@ops.custom_gradient
def log_normalizer(scores, transitions, follows):
    """Sums over all sequences.

    Args:
        scores: float32 tensor (B, S, C).
        transitions: float32 tensor (C, C).
        follows: float32 tensor (B, S), 1 for true, since JAX wants a gradient for each argument.

    Returns:
        float32 tensor (B,), the logarithms of the sums.
    """
    follow = ops.cast(follows, "bool")
    alphas = forward(scores, transitions, follow)

    def gradients(upstream):
        return *backward(alphas, transitions, follow, upstream), ops.zeros_like(follows)

    return ops.logsumexp(alphas[:, -1], axis=-1), gradients


def best_sequence(scores, transitions, follows):
    """Finds the sequence with the largest score, by Viterbi's algorithm.

    Args:
        scores: float32 tensor (B, S, C).
        transitions: float32 tensor (C, C).
        follows: bool tensor (B, S).

    Returns:
        int32 tensor (B, S), the tags, whose last one is repeated at the places that do not count;
        and float32 tensor (B,), its score.
    """
    tags = ops.arange(ops.shape(transitions)[0], dtype="int32")
    same = ops.zeros_like(scores[:, 0], dtype="int32") + tags  # (B, C)

    def step(carry, place):
        best, _ = carry
        score, follow = _parts(place)
        reached = best[:, :, None] + transitions  # (B, C, C)
        origins = ops.cast(ops.argmax(reached, axis=1), "int32")
        best = ops.where(follow[:, None], ops.max(reached, axis=1) + score, best)
        carry = best, ops.where(follow[:, None], origins, same)
        return carry, carry

    def step_back(tag, origins):
        return ops.take_along_axis(origins, tag[:, None], axis=1)[:, 0], tag

    places = _places(scores, follows)
    (best, _), (_, origins) = ops.scan(step, (scores[:, 0], same), places)
    last = ops.cast(ops.argmax(best, axis=-1), "int32")
    _, sequence = ops.scan(step_back, last, origins, reverse=True)
    return _by_place(sequence), ops.max(best, axis=-1)


def _places(values, follows):
    """Gives float32 (S, B, C + 1): one tensor, for Keras' scan of several wants a known S."""
    follows = ops.cast(follows[..., None], "float32")
    return _by_place(ops.concatenate([values, follows], axis=-1))


def _parts(place):
    """Gives the values (B, C) and `follows` (B,) of a place."""
    return place[:, :-1], place[:, -1] > 0


def _by_place(values):
    """Puts the places before the batch, as `scan` wants them, or the batch first again."""
    return ops.swapaxes(values, 0, 1)
