"""Size, latency and accuracy of a classifier in LiteRT's formats, beside float32.

    python benchmarks/litert.py MODEL DATA [--length N] [--rounds N] [--table FILE] [--plot FILE]

MODEL is a trained folder, DATA a file of labelled texts. Every format is written by the kit's own
exporter, which also gives the accuracy. Latency is of the model of tokens, one text of N tokens on
one thread: in each round every format runs once, one after the other, and a ratio is the median
over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.data import read_examples
from keras_bert_kit.export import LiteModel, litert

FORMATS = ("none", "float16", "dynamic-int8", "int8", "int16x8")


def latencies(folders: dict[str, Path], length: int, rounds: int) -> dict[str, list[float]]:
    """Gives milliseconds of each format, by round."""
    rng = np.random.default_rng(0)
    inputs = {
        "ids": rng.integers(1000, 2000, (1, length), dtype="int32"),
        "mask": np.ones((1, length), "int32"),
        "segment_ids": np.zeros((1, length), "int32"),
    }
    models = {name: LiteModel(path / "model.ids.tflite", 1) for name, path in folders.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(-3, rounds):
        for name, model in models.items():
            start = time.perf_counter()
            model.run("serving_default", **inputs)
            if turn >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def markdown(rows: list[dict]) -> str:
    """Gives rows as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def plot(path: str, done: dict, times: dict[str, list[float]]):
    """Draws size, latency and accuracy of each format."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    models = [one.models["model.ids.tflite"] for one in done.values()]
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    keras_accuracy = 100 * models[0].scores.keras_accuracy
    bars = {
        "MB": [model.bytes / 1e6 for model in models],
        "milliseconds, one thread": [statistics.median(values) for values in times.values()],
        "points of accuracy beside Keras": [
            100 * model.scores.accuracy - keras_accuracy for model in models
        ],
    }
    for axis, (title, values) in zip(axes, bars.items(), strict=True):
        drawn = axis.barh(["float32", *list(done)[1:]], values, color="#3b6ea5")
        axis.bar_label(drawn, fmt="%.2f" if "accuracy" in title else "%.1f", padding=3)
        axis.set_title(title, fontsize=10)
        if "milliseconds" in title:
            axis.set_xscale("log")
        axis.invert_yaxis()
        axis.margins(x=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main():
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--table", help="Markdown file to write")
    parser.add_argument("--plot", help="PNG file to write")
    options = parser.parse_args()
    model = BertForSequenceClassification.from_pretrained(options.model, new_head=False)
    examples = read_examples(options.data)
    done, seconds = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            start = time.perf_counter()
            done[name] = litert(
                model,
                Path(folder) / name,
                name,
                max_length=options.length,
                examples=examples,
                on_step=lambda step, name=name: print(f"{name}: {step}", flush=True),
            )
            seconds[name] = time.perf_counter() - start
        paths = {name: one.path for name, one in done.items()}
        times = latencies(paths, options.length, options.rounds)
    rows = []
    for name, one in done.items():
        text, ids = one.models["model.text.tflite"], one.models["model.ids.tflite"]
        float32 = done["none"].models["model.ids.tflite"]
        ratios = [a / b for a, b in zip(times[name], times["none"], strict=True)]
        rows.append(
            {
                "asked for": name,
                "written": ids.format,
                "MB": f"{ids.bytes / 1e6:.2f}",
                "of float32": f"{ids.bytes / float32.bytes:.3f}",
                "with the tokenizer, MB": f"{text.bytes / 1e6:.2f}",
                "ms": f"{statistics.median(times[name]):.2f}",
                "of float32's ms": f"{statistics.median(ratios):.2f}",
                "accuracy": f"{ids.scores.accuracy:.4f}",
                "mean difference": f"{ids.scores.mean_difference:.1e}",
                "largest": f"{ids.scores.largest_difference:.1e}",
                "export, s": f"{seconds[name]:.0f}",
            }
        )
    scores = done["none"].models["model.ids.tflite"].scores
    table = markdown(rows)
    print(f"\n{table}\nKeras accuracy {scores.keras_accuracy:.4f} on {scores.texts} texts")
    for one in done.values():
        print(*one.notes, sep="\n")
    if options.table:
        Path(options.table).write_text(table, encoding="utf-8")
    if options.plot:
        plot(options.plot, done, times)


if __name__ == "__main__":
    main()
