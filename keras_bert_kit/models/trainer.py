"""The train step of every model: XLA inside each replica, the update of the weights outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import tree


class ReplicaTraining:
    """What makes a `keras.Model` train with XLA under every `tf.distribute` strategy.

    It stands before `keras.Model` among the bases of a class, as in `DistributedModel`, which says
    more.
    """

    def train_step(self, data):
        """Takes one step on a replica's part of a batch; called by `fit`.

        Args:
            data: Inputs, or a tuple of inputs, targets and perhaps weights.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        rows = _count_rows(x)
        loss, y_pred, gradients = self._compiled(self._forward_and_backward)(
            x, y, sample_weight, _share(rows)
        )
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = _with_shared_overflow(gradients)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self._update_metrics(x, y, y_pred, sample_weight, loss, rows)

    def test_step(self, data):
        """Scores a replica's part of a batch; called by `evaluate`.

        Args:
            data: Inputs, or a tuple of inputs, targets and perhaps weights.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, y_pred = self._compiled(self._forward)(x, y, sample_weight, training=False)
        return self._update_metrics(x, y, y_pred, sample_weight, loss, _count_rows(x))

    def predict_step(self, data):
        """Predicts a replica's part of a batch; called by `predict`.

        Args:
            data: Inputs, or a tuple of inputs, targets and perhaps weights.
        """
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._compiled(self._predict)(x)

    def make_train_function(self, force=False):
        """Makes what `fit` calls for a batch.

        Args:
            force: Whether to make it anew.
        """
        if self.optimizer is not None and self.built and not self.optimizer.built:
            # Else the first step makes the optimizer's variables and has to be traced twice.
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        self._without_keras_jit(super().make_train_function, force)

    def make_test_function(self, force=False):
        """Makes what `evaluate` calls for a batch.

        Args:
            force: Whether to make it anew.
        """
        self._without_keras_jit(super().make_test_function, force)

    def make_predict_function(self, force=False):
        """Makes what `predict` calls for a batch.

        Args:
            force: Whether to make it anew.
        """
        self._without_keras_jit(super().make_predict_function, force)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Computes the compiled loss, as `keras.Model.compute_loss` does.

        Args:
            x: The inputs.
            y: The targets.
            y_pred: The outputs.
            sample_weight: Weights of the samples.
            training: Whether the model is being trained.
        """
        return super().compute_loss(
            x=x, y=y, y_pred=_plain(y_pred), sample_weight=sample_weight, training=training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics and gives their values, as `keras.Model.compute_metrics` does.

        Args:
            x: The inputs.
            y: The targets.
            y_pred: The outputs.
            sample_weight: Weights of the samples.
        """
        return super().compute_metrics(x, y, _plain(y_pred), sample_weight=sample_weight)

    def _predict(self, x):
        return self(x, training=False) if self._call_has_training_arg else self(x)

    def _forward(self, x, y, sample_weight, training):
        y_pred = self(x, training=training) if self._call_has_training_arg else self(x)
        loss = self.compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
        )
        return tf.reduce_sum(loss), y_pred  # a replica without rows gives a loss of shape (0,)

    def _forward_and_backward(self, x, y, sample_weight, share):
        weights = [variable.value for variable in self.trainable_variables]
        with tf.GradientTape() as tape:
            loss, y_pred = self._forward(x, y, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss * tf.cast(share, loss.dtype))
        gradients = tape.gradient(scaled, weights)
        return loss, y_pred, [g if g is None else tf.convert_to_tensor(g) for g in gradients]

    def _update_metrics(self, x, y, y_pred, sample_weight, loss, rows):
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss * replicas, sample_weight=rows)
        logs = self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
        if _is_multi_worker():
            # Keras 3.15 averages the logs of the workers along an axis that scalars lack.
            logs = tree.map_structure(lambda value: tf.expand_dims(value, 0), logs)
        return logs

    def _compiled(self, function: Callable) -> Callable:
        if not self.jit_compile or self.run_eagerly or _is_tpu():  # a TPU compiles by itself
            return function
        return tf.function(function, jit_compile=True, autograph=False)

    def _without_keras_jit(self, make: Callable, force: bool):
        replicas = self.distribute_strategy.num_replicas_in_sync
        if self.steps_per_execution > 1 and replicas > 1 and not _is_tpu():
            raise ValueError(
                "steps_per_execution must be 1 under a strategy of several devices, where Keras' "
                "loop over steps fails. Received: "
                f"steps_per_execution={self.steps_per_execution}, replicas={replicas}"
            )
        wanted = self.jit_compile
        self.jit_compile = False
        try:
            make(force)
        finally:
            self.jit_compile = wanted

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras 3.15 looks at a batch to make the metrics' variables, and averages it over the
        # replicas for that, which fails for bool tensors and across workers. One replica's part
        # has all that is needed.
        strategy = self.distribute_strategy
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            for _, _, batches in iterator:
                data_batch = tree.map_structure(
                    lambda value: strategy.experimental_local_results(value)[0], next(batches)
                )
                break
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)


@keras.saving.register_keras_serializable("keras_bert_kit")
class DistributedModel(ReplicaTraining, keras.Model):
    """A `keras.Model` that trains with XLA under every `tf.distribute` strategy.

    It is used as `keras.Model` is, by subclassing or as `DistributedModel(inputs, outputs)`, with
    ordinary `compile(jit_compile=True)`, `fit`, `evaluate` and `predict`. Keras compiles the whole
    distributed step, which XLA refuses on more than one device; here each replica compiles its
    forward and backward pass, and the update, with its exchange of gradients, stays outside.

    The loss is the mean over the global batch, however its rows are shared out: one device or
    many, the same global batches give the same weights. (An optimizer of Keras that clips does so
    before the replicas' gradients are summed; those of `keras_bert_kit.training` do so after.)

    Example:
        >>> with tf.distribute.MirroredStrategy().scope():
        ...     model = DistributedModel(inputs, outputs)
        ...     model.compile(bert_optimizer(total_steps=1000), loss, jit_compile=True)
        >>> model.fit(dataset)
    """


def _count_rows(x: Any) -> tf.Tensor:
    return tf.shape(next(value for value in tree.flatten(x) if value is not None))[0]


def _share(rows: tf.Tensor) -> tf.Tensor:
    """Gives a replica's share of the global batch, as a multiple of an equal share.

    Keras divides each replica's mean loss by the number of replicas, which is the mean over the
    global batch only if all have as many rows.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return tf.constant(1.0)
    rows = tf.cast(rows, tf.float32)
    context = tf.distribute.get_replica_context()
    return rows * replicas / context.all_reduce(tf.distribute.ReduceOp.SUM, rows)


def _with_shared_overflow(gradients: list) -> list:
    """Lets an overflow on one replica be seen by all, since all must skip the same updates.

    Keras 3.15 asks the first replica alone whether its gradients are finite.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return gradients
    given = [index for index, gradient in enumerate(gradients) if gradient is not None]
    # 0 where all are finite, else NaN
    mark = tf.add_n([tf.reduce_sum(tf.cast(gradients[i], tf.float32) * 0.0) for i in given])
    context = tf.distribute.get_replica_context()
    mark = context.all_reduce(tf.distribute.ReduceOp.SUM, mark)
    marked = list(gradients)
    marked[given[0]] += tf.cast(mark, marked[given[0]].dtype)
    return marked


def _is_tpu() -> bool:
    return isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)


def _plain(outputs):
    """Gives outputs in a plain dict, as losses are: Keras wants both to be of one type."""
    return dict(outputs) if isinstance(outputs, dict) else outputs


def _is_multi_worker() -> bool:
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    cluster = strategy.cluster_resolver.cluster_spec().as_dict()
    return sum(len(cluster.get(job, ())) for job in ("chief", "worker")) > 1
