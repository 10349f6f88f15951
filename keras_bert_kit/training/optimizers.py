"""AdamW with BERT's recipe: decay exclusions, warm-up and linear decay, gradient clipping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

#: Names of the variables that BERT's recipe does not decay: biases and layer normalisations.
NOT_DECAYED = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable("keras_bert_kit")
class LinearWarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises from 0 in a straight line, then falls to 0 in another.

    As Hugging Face's linear schedule: the peak is reached after the warm-up and the decay counts
    from there. (google-research/bert counts the decay from step 0, so that its rate after the
    warm-up is lower by the share of the warm-up.)

    Args:
        peak: The highest learning rate.
        total_steps: Steps until the rate is 0 again.
        warmup_steps: Steps until the peak.

    Raises:
        ValueError: The warm-up is longer than the whole.
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int):
        super().__init__()
        if not 0 <= warmup_steps <= total_steps or total_steps < 1:
            raise ValueError(
                "warmup_steps must lie between 0 and total_steps, and total_steps be at least 1. "
                f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        """Gives the learning rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rising = step / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / max(self.total_steps - self.warmup_steps, 1)
        share = ops.where(step < self.warmup_steps, rising, ops.maximum(falling, 0.0))
        return self.peak * share

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
        }


@keras.saving.register_keras_serializable("keras_bert_kit")
class BertAdamW(keras.optimizers.AdamW):
    """Keras' AdamW that leaves biases and layer normalisations undecayed, also after loading.

    Keras keeps `exclude_from_weight_decay` out of the config, so that a loaded AdamW decays
    everything; this one does not. As in Keras and in google-research/bert, epsilon is added before
    the bias correction, where PyTorch adds it after.

    Args:
        not_decayed: Variables whose name holds one of these are not decayed.
        **kwargs: The arguments of `keras.optimizers.AdamW`.

    Reference:
        Loshchilov and Hutter 2017 (https://arxiv.org/abs/1711.05101).
    """

    def __init__(self, *args: Any, not_decayed: Sequence[str] = NOT_DECAYED, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.not_decayed = tuple(not_decayed)
        self.exclude_from_weight_decay(var_names=list(self.not_decayed))

    def get_config(self):
        """Gives the constructor's arguments."""
        return {**super().get_config(), "not_decayed": list(self.not_decayed)}


def bert_optimizer(
    model: keras.Model | None = None,
    learning_rate: float = 5e-5,
    epochs: int | None = None,
    dataset: Any = None,
    total_steps: int | None = None,
    warmup_ratio: float = 0.1,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
) -> BertAdamW:
    """Makes the optimizer that BERT is fine-tuned with.

    Args:
        model: The model, if the optimizer's variables are wanted at once.
        learning_rate: The peak.
        epochs: Times the dataset is gone through; with `dataset`, instead of `total_steps`.
        dataset: The training dataset, with a known number of batches.
        total_steps: Steps of the whole training.
        warmup_ratio: Share of the steps in which the rate rises.
        weight_decay: Decoupled weight decay.
        clip_norm: Largest global norm of the gradients; `None` clips nothing.

    Raises:
        ValueError: The number of steps is neither given nor known.

    Reference:
        Devlin et al. 2018, appendix A.3 (https://arxiv.org/abs/1810.04805).
    """
    steps = total_steps if total_steps is not None else _count_steps(dataset, epochs)
    optimizer = BertAdamW(
        LinearWarmupDecay(learning_rate, steps, round(steps * warmup_ratio)),
        weight_decay=weight_decay,
        epsilon=1e-6,
        global_clipnorm=clip_norm,
    )
    if model is not None:
        optimizer.build(model.trainable_variables)
    return optimizer


def _count_steps(dataset: Any, epochs: int | None) -> int:
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
