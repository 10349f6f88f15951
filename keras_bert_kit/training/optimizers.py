"""AdamW and LAMB with BERT's recipe: decay exclusions, clipping, layer-wise rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_bert_kit.training.layer_rates import learning_shares
from keras_bert_kit.training.schedules import LinearWarmupDecay

#: Names of the variables that BERT's recipe does not decay: biases and layer normalisations.
NOT_DECAYED = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertAdamW(keras.optimizers.AdamW):
    """AdamW that leaves biases and layer normalisations undecayed, with layer-wise rates.

    A step takes `rate * (mean / (sqrt(square) + epsilon) + weight_decay * variable)` from each
    variable, where `mean` and `square` are Adam's bias-corrected moments: algorithm 2 of Loshchilov
    and Hutter, and PyTorch's AdamW. Keras' adds epsilon before the correction, which makes the
    first thousand steps shorter for small gradients, such as clipped ones of a large model; it also
    keeps `exclude_from_weight_decay` out of the config, so that a loaded one decays everything.

    With `layer_decay`, the layers of a model of L blocks learn at these shares of the rate:
    heads and pooler 1, block i `layer_decay ** (L - i)`, hence the last block `layer_decay`, and
    the embeddings `layer_decay ** (L + 1)`. So does the code of BEiT; ELECTRA's counts one more
    for the blocks and the embeddings. Heads learn at `head_share` of the rate: what stands on the
    encoder and its pooler, such as a classifier or a CRF. Weight decay goes with the rate.

    Args:
        not_decayed: Variables whose name holds one of these are not decayed. The name is the last
            part of the path, such as "kernel".
        bias_correction: Whether the moments are corrected for their start at 0.
            google-research/bert does not correct them.
        layer_decay: What the rate is multiplied by at each step down from the heads, in (0, 1];
            `None` gives all layers the same rate. The blocks are those of the variables that the
            optimizer is built with.
        head_share: What the rate is multiplied by for heads, above 0.
        **kwargs: The arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: `layer_decay` or `head_share` is out of its range; or it is built with one of
            them, and there are no blocks.

    Reference:
        Loshchilov and Hutter 2017 (https://arxiv.org/abs/1711.05101); for layer-wise rates, Sun et
        al. 2019 (https://arxiv.org/abs/1905.05583), Clark et al. 2020, ELECTRA
        (https://arxiv.org/abs/2003.10555), and Bao et al. 2021, BEiT
        (https://arxiv.org/abs/2106.08254).
    """

    def __init__(
        self,
        *args: Any,
        not_decayed: Sequence[str] = NOT_DECAYED,
        bias_correction: bool = True,
        layer_decay: float | None = None,
        head_share: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        if layer_decay is not None and not 0 < layer_decay <= 1:
            raise ValueError(
                "layer_decay must be above 0 and at most 1, or None for one rate in all layers. "
                f"Received: layer_decay={layer_decay}"
            )
        if not head_share > 0:
            raise ValueError(
                "head_share, the rate of heads over that of the rest, must be above 0. "
                f"Received: head_share={head_share}"
            )
        self.not_decayed = tuple(not_decayed)
        self.bias_correction = bias_correction
        self.layer_decay = layer_decay
        self.head_share = head_share
        self.exclude_from_weight_decay(var_names=list(self.not_decayed))

    def build(self, variables):
        """Makes the moments, and settles each variable's decay and share of the rate."""
        if self.built:
            return
        # here, since an update under tf.distribute sees variables without names and paths of Keras
        self._decays = tuple(self._use_weight_decay(variable) for variable in variables)
        self._shares = (1.0,) * len(variables)
        if self.layer_decay is not None or self.head_share != 1:
            paths = [variable.path for variable in variables]
            self._shares = learning_shares(paths, self.layer_decay or 1.0, self.head_share)
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        """Makes a step, or adds to the gradients of one.

        The gradients are added up before anything else is done with them. Keras clips those of
        each replica before it sums them; and it squares the rows that an embedding's gradient has
        for one token one by one, for the global norm and for the second moment.

        Args:
            grads: The gradients.
            trainable_variables: Their variables; `None` means those that it was built with.

        Raises:
            ValueError: Gradients are to be accumulated, and there are several replicas.
        """
        grads = [grad if grad is None else tf.convert_to_tensor(grad) for grad in grads]
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            if self.gradient_accumulation_steps:
                raise ValueError(
                    "gradient_accumulation_steps must be None where several replicas train, since "
                    "tf.distribute cannot exchange gradients now and then. Take larger batches. "
                    f"Received: gradient_accumulation_steps={self.gradient_accumulation_steps}"
                )
            given = [grad for grad in grads if grad is not None]
            summed = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, given))
            grads = [grad if grad is None else next(summed) for grad in grads]
        super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads):
        if self.global_clipnorm is None:
            return super()._clip_gradients(grads)
        # Keras' squares lie in memory before they are summed; these do not.
        return tf.clip_by_global_norm(grads, self.global_clipnorm)[0]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars  # `apply` has done so

    def update_step(self, gradient, variable, learning_rate):
        """Changes one variable; Keras calls this.

        Args:
            gradient: The gradient, of the variable's shape.
            variable: The variable, Keras' or TensorFlow's.
            learning_rate: The rate, a scalar.
        """
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        rate = ops.cast(learning_rate, dtype) * self._shares[index]
        if self._decays[index]:
            # Not before the gradient is there: the product would lie in memory all the while.
            with tf.control_dependencies([gradient]):
                self.assign(variable, variable * (1 - rate * self.weight_decay))
        beta_1_power, beta_2_power = self._beta_powers(dtype)
        moments = {"m": self._momentums[index], "v": self._velocities[index]}
        apply = tf.raw_ops.ResourceApplyAdam
        if self.amsgrad:
            apply = tf.raw_ops.ResourceApplyAdamWithAmsgrad
            moments["vhat"] = self._velocity_hats[index]
        # One pass over the memory; operation by operation it would be a dozen.
        apply(
            **{name: _handle(value) for name, value in {"var": variable, **moments}.items()},
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=rate,
            beta1=ops.cast(self.beta_1, dtype),
            beta2=ops.cast(self.beta_2, dtype),
            # the operation adds it before the correction
            epsilon=self.epsilon * ops.sqrt(1 - beta_2_power),
            grad=ops.cast(gradient, dtype),
        )

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            **super().get_config(),
            "not_decayed": list(self.not_decayed),
            "bias_correction": self.bias_correction,
            "layer_decay": self.layer_decay,
            "head_share": self.head_share,
        }

    def _apply_weight_decay(self, variables):
        """Does nothing: Keras decays before the update, at one rate for all; `update_step` does."""

    def _beta_powers(self, dtype):
        """Gives what the moments lack for their start at 0: beta to the number of the step."""
        if not self.bias_correction:
            return ops.zeros((), dtype), ops.zeros((), dtype)
        step = ops.cast(self.iterations + 1, dtype)
        return ops.power(self.beta_1, step), ops.power(self.beta_2, step)


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertLamb(BertAdamW):
    """LAMB: the steps of `BertAdamW`, each as long as its variable times the learning rate.

    The direction is multiplied by the trust ratio `norm(variable) / norm(direction)`, or by 1
    where one of the norms is 0. The direction holds the decay. Variables that are not decayed get
    no ratio, as by default in google-research/albert and Model Garden; Keras' `Lamb` gives them one
    and leaves the decay out of the direction.

    Args:
        not_decayed: Variables whose name holds one of these get neither decay nor trust ratio.
        bias_correction: As of `BertAdamW`.
        layer_decay: As of `BertAdamW`.
        head_share: As of `BertAdamW`.
        **kwargs: The arguments of `keras.optimizers.AdamW`.

    Reference:
        You et al. 2019, algorithm 2 (https://arxiv.org/abs/1904.00962).
    """

    def update_step(self, gradient, variable, learning_rate):
        """Changes one variable; Keras calls this.

        Args:
            gradient: The gradient, of the variable's shape.
            variable: The variable, Keras' or TensorFlow's.
            learning_rate: The rate, a scalar.
        """
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self._shares[index]
        direction = self._direction(gradient, variable, index)
        if self._decays[index]:
            direction += self.weight_decay * variable
            weight_norm, norm = ops.norm(variable), ops.norm(direction)
            has_ratio = ops.logical_and(weight_norm > 0, norm > 0)
            direction *= ops.where(has_ratio, ops.divide_no_nan(weight_norm, norm), 1.0)
        self.assign_sub(variable, rate * direction)

    def _direction(self, gradient, variable, index):
        """Moves the moments on, and gives Adam's quotient of them."""
        mean, square = self._momentums[index], self._velocities[index]
        gradient = ops.cast(gradient, variable.dtype)
        self.assign_add(mean, (gradient - mean) * (1 - self.beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1 - self.beta_2))
        if self.amsgrad:
            largest = self._velocity_hats[index]
            self.assign(largest, ops.maximum(largest, square))
            square = largest
        beta_1_power, beta_2_power = self._beta_powers(variable.dtype)
        corrected = ops.sqrt(square / (1 - beta_2_power))
        return mean / (1 - beta_1_power) / (corrected + self.epsilon)


_OPTIMIZERS = {"adamw": BertAdamW, "lamb": BertLamb}


def bert_optimizer(
    model: keras.Model | None = None,
    learning_rate: float = 5e-5,
    epochs: int | None = None,
    dataset: Any = None,
    total_steps: int | None = None,
    warmup_ratio: float = 0.1,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    warmup_steps: int | None = None,
    optimizer: str = "adamw",
    layer_decay: float | None = None,
    head_learning_rate: float | None = None,
    gradient_accumulation_steps: int | None = None,
    original: bool = False,
) -> BertAdamW:
    """Makes the optimizer that BERT is trained with.

    A step is one update of the weights: one batch, or as many as `gradient_accumulation_steps`
    says. Betas are 0.9 and 0.999, epsilon is 1e-6.

    Args:
        model: The model, if the optimizer's variables are wanted at once.
        learning_rate: The peak.
        epochs: Times the dataset is gone through; with `dataset`, instead of `total_steps`.
        dataset: The training dataset, with a known number of batches.
        total_steps: Steps of the whole training.
        warmup_ratio: Share of the steps in which the rate rises.
        weight_decay: Decoupled weight decay.
        clip_norm: Largest global norm of the gradients; `None` clips nothing.
        warmup_steps: Steps in which the rate rises, instead of `warmup_ratio`.
        optimizer: "adamw", or "lamb" for batches of thousands.
        layer_decay: What the rate is multiplied by at each layer down from the heads, see
            `BertAdamW`.
        head_learning_rate: The peak for heads, which are new where BERT is pretrained; `None`
            means `learning_rate`.
        gradient_accumulation_steps: Batches whose mean gradient makes one step; `None` or 1 makes
            a step of each. Batches left over at the end make none. On one device only.
        original: Whether to train as google-research/bert did: no bias correction, and a decay of
            the rate that counts from step 0.

    Raises:
        ValueError: The number of steps is neither given nor known, or an argument is out of its
            range.

    Example:
        >>> optimizer = bert_optimizer(dataset=train, epochs=3, learning_rate=3e-5)
        >>> optimizer = bert_optimizer(  # the paper's pretraining
        ...     learning_rate=1e-4, total_steps=1_000_000, warmup_steps=10_000, original=True
        ... )

    Reference:
        Devlin et al. 2018, appendices A.2 and A.3 (https://arxiv.org/abs/1810.04805).
    """
    if optimizer not in _OPTIMIZERS:
        raise ValueError(
            f"optimizer must be one of {', '.join(_OPTIMIZERS)}. Received: {optimizer!r}"
        )
    if not 0 <= warmup_ratio <= 1:
        raise ValueError(f"warmup_ratio must lie between 0 and 1. Received: {warmup_ratio}")
    batches = 1 if gradient_accumulation_steps is None else gradient_accumulation_steps
    if not isinstance(batches, int) or batches < 1:
        raise ValueError(
            "gradient_accumulation_steps must be a whole number above 0, or None. "
            f"Received: {gradient_accumulation_steps!r}"
        )
    steps = total_steps if total_steps is not None else _count_batches(dataset, epochs) // batches
    warmup = round(steps * warmup_ratio) if warmup_steps is None else warmup_steps
    made = _OPTIMIZERS[optimizer](
        LinearWarmupDecay(learning_rate, steps, warmup, original, batches),
        weight_decay=weight_decay,
        epsilon=1e-6,
        global_clipnorm=clip_norm,
        bias_correction=not original,
        layer_decay=layer_decay,
        head_share=1.0 if head_learning_rate is None else head_learning_rate / learning_rate,
        gradient_accumulation_steps=batches if batches > 1 else None,
    )
    if model is not None:
        made.build(model.trainable_variables)
    return made


def _handle(variable: Any) -> tf.Tensor:
    """Gives the resource behind a variable, on this replica."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def _count_batches(dataset: Any, epochs: int | None) -> int:
    if dataset is None or epochs is None:
        raise ValueError(
            "bert_optimizer needs total_steps, or both dataset and epochs. "
            f"Received: total_steps=None, dataset={dataset!r}, epochs={epochs!r}"
        )
    try:
        return len(dataset) * epochs
    except TypeError as error:
        raise ValueError(
            f"The dataset must know its number of batches; else give total_steps. Received: {error}"
        ) from error
