"""Learning rates over the steps of a training."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_bert_kit")
class LinearWarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises from 0 in a straight line, then falls to 0 in another.

    As Hugging Face's linear schedule: the peak is reached after the warm-up and the decay counts
    from there. google-research/bert counts the decay from step 0 and lets the warm-up take the
    place of its start, so that the rate after the warm-up is
    `peak * (1 - warmup_steps / total_steps)` and the peak is never reached; `from_start` does so.

    Args:
        peak: The highest learning rate.
        total_steps: Steps until the rate is 0 again.
        warmup_steps: Steps until the peak.
        from_start: Whether the decay counts from step 0.
        batches_per_step: The optimizer's `gradient_accumulation_steps`: with it, Keras asks for
            the rate of a batch, not of an update.

    Raises:
        ValueError: The warm-up is longer than the whole, or a number is out of its range.
    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        warmup_steps: int,
        from_start: bool = False,
        batches_per_step: int = 1,
    ):
        super().__init__()
        if not 0 <= warmup_steps <= total_steps or total_steps < 1:
            raise ValueError(
                "warmup_steps must lie between 0 and total_steps, and total_steps be at least 1. "
                f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        if batches_per_step < 1:
            raise ValueError(f"batches_per_step must be at least 1. Received: {batches_per_step}")
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.from_start = from_start
        self.batches_per_step = batches_per_step

    def __call__(self, step):
        """Gives the learning rate of a step, or of a batch of it, counted from 0."""
        step = ops.cast(step // self.batches_per_step, "float32")
        rising = step / max(self.warmup_steps, 1)
        start = 0 if self.from_start else self.warmup_steps
        falling = (self.total_steps - step) / max(self.total_steps - start, 1)
        share = ops.where(step < self.warmup_steps, rising, ops.maximum(falling, 0.0))
        return self.peak * share

    def get_config(self):
        """Gives the constructor's arguments."""
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "from_start": self.from_start,
            "batches_per_step": self.batches_per_step,
        }
