"""The machine's limit: the rate of a large matrix product in TensorFlow."""

import tensorflow as tf

from peers import Work

SIZE = 2048


def encoder(dtype, **_):
    """A square product, `SIZE` on each side: 2 * SIZE ** 3 operations."""
    a, b = (tf.cast(tf.random.normal((SIZE, SIZE)), dtype) for _ in range(2))
    product = tf.function(lambda: tf.matmul(a, b))
    product()

    def run(_):
        for _ in range(8):
            product()

    return Work(run, lambda: {"operations": 8 * 2 * SIZE**3})
