"""`tf.distribute` strategies by name, with the environment checked first."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import tensorflow as tf

STRATEGIES = ("one_device", "mirrored", "multi_worker_mirrored")

_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def distribution_strategy(
    name: str, devices: Sequence[str] | None = None
) -> tf.distribute.Strategy:
    """Makes a strategy; models that are made and compiled in its `scope()` train under it.

    Args:
        name: One of `STRATEGIES`. "mirrored" copies the model to the devices of one machine;
            "multi_worker_mirrored" to those of the machines that `TF_CONFIG` names.
        devices: Devices such as "GPU:0", for the strategies of one machine; `None` takes the
            first GPU, or all of them with "mirrored", or else the CPU.

    Raises:
        ValueError: The name is not known, `TF_CONFIG` does not describe the workers, or devices
            were given where they cannot be.

    Example:
        >>> with distribution_strategy("mirrored").scope():
        ...     model = BertForSequenceClassification.from_pretrained("path/to/model")
        ...     model.compile(bert_optimizer(total_steps=1000), loss, jit_compile=True)
    """
    if name not in STRATEGIES:
        raise ValueError(f"name must be one of {', '.join(STRATEGIES)}. Received: {name!r}")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(devices)
    if name == "one_device":
        gpus = tf.config.list_logical_devices("GPU")
        first = devices[0] if devices else "GPU:0" if gpus else "CPU:0"
        return tf.distribute.OneDeviceStrategy(first)
    if devices is not None:
        raise ValueError(
            "multi_worker_mirrored takes all devices of each worker. Leave devices out, and hide "
            f"some with CUDA_VISIBLE_DEVICES where needed. Received: devices={devices!r}"
        )
    _check_tf_config(os.environ.get("TF_CONFIG"))
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether this process is the one that writes files for all workers.

    Args:
        strategy: The strategy.
    """
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)


def _check_tf_config(text: str | None):
    try:
        config = json.loads(text or "")
        tasks = config["cluster"][config["task"]["type"]]
        valid = isinstance(tasks, list) and 0 <= config["task"]["index"] < len(tasks)
    except (ValueError, LookupError, TypeError):
        valid = False
    if not valid:
        raise ValueError(
            "TF_CONFIG must be JSON that names all workers and which of them this process is, "
            f"such as {_EXAMPLE}. Received: TF_CONFIG={text!r}"
        )
