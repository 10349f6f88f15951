"""Memory that a training step needs with activation recomputation and without it.

    python benchmarks/recompute_memory.py [--json FILE]

Each number comes from a process of its own: how far one step (forward pass and gradients) of a
12-layer BERT at 512 tokens raised the peak resident set. Tracing, XLA's compilation and the
gradients themselves are part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

MODEL = {
    "vocab_size": 1000,
    "num_hidden_layers": 12,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
}
BATCH_SIZE, LENGTH = 8, 512
WHAT = "rise of the peak resident set from before the step to after it, in MiB"


def peak_mib() -> float:
    """Gives the process's peak resident set so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (20 if sys.platform == "darwin" else 10)  # bytes there, KiB on Linux


def measure(recomputed: bool, xla: bool) -> float:
    """Runs one training step in this process.

    Args:
        recomputed: Value of `gradient_checkpointing`.
        xla: Whether XLA compiles the step.

    Returns:
        By how many MiB the step raised the peak resident set.
    """
    import keras
    import tensorflow as tf

    from keras_bert_kit import BertConfig, BertForSequenceClassification

    keras.utils.set_random_seed(7)
    config = BertConfig(**MODEL, gradient_checkpointing=recomputed)
    model = BertForSequenceClassification(config)
    ids = keras.random.randint((BATCH_SIZE, LENGTH), 5, MODEL["vocab_size"])
    labels = keras.random.randint((BATCH_SIZE,), 0, 2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=xla)
    def step(ids, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model(ids, training=True)["logits"])
        return tape.gradient(value, [weight.value for weight in model.trainable_weights])

    before = peak_mib()
    gradients = step(ids, labels)
    if not all(bool(tf.reduce_all(tf.math.is_finite(gradient))) for gradient in gradients):
        raise ValueError("All gradients must be finite. Received: NaN or infinity")
    return peak_mib() - before


def measure_apart(recomputed: bool, xla: bool) -> float:
    """Runs `measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", str(int(recomputed)), str(int(xla))]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {result.stderr}")
    return float(result.stdout.split()[-1])


def main():
    """Measures the four cases and prints them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--measure", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(*map(bool, arguments.measure)))
        return
    results = []
    for xla in (False, True):
        kept, recomputed = (measure_apart(on, xla) for on in (False, True))
        reduction = 100 * (1 - recomputed / kept)
        results.append(
            {
                "xla": xla,
                "kept_mib": round(kept),
                "recomputed_mib": round(recomputed),
                "reduction_percent": round(reduction, 1),
            }
        )
    show(results)
    if arguments.json:
        values = {"what": WHAT, "model": MODEL, "batch_size": BATCH_SIZE, "length": LENGTH}
        arguments.json.write_text(json.dumps({**values, "results": results}, indent=2) + "\n")


def show(results: list[dict]):
    """Prints the results as a table."""
    from rich.console import Console
    from rich.table import Table

    shape = f"{MODEL['num_hidden_layers']} layers, hidden size {MODEL['hidden_size']}"
    table = Table(
        title=f"One training step: {shape}, batch {BATCH_SIZE}, {LENGTH} tokens",
        caption=f"MiB: {WHAT}",
    )
    for column in ("XLA", "activations kept (MiB)", "recomputed (MiB)", "reduction"):
        table.add_column(column, justify="right")
    for row in results:
        table.add_row(
            "on" if row["xla"] else "off",
            str(row["kept_mib"]),
            str(row["recomputed_mib"]),
            f"{row['reduction_percent']} %",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
