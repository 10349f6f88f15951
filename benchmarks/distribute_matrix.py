"""Trains the same small models under every strategy, and shows that the same comes out.

    python benchmarks/distribute_matrix.py [--precision float32] [--xla on]
        [--json FILE] [--markdown FILE]

Each cell of the table is one run: two epochs of `model.fit` with validation data, masks of int in
the first epoch and of bool in the second, stopped in the middle and gone on with by a new model
from the kept state, then `evaluate` and `predict`. The 16 rows are cut into global batches of 5, so
that no batch can be halved and the last one has a single row. What came out is compared with an
unbroken run on one device: without XLA in float32, with the cell's own setting in bfloat16.

Beside the table, one of two workers is killed and both are started again; XLA's compilations over
texts of mixed lengths are counted; and a plain `keras.Model` is tried under the workers' strategy,
which is expected to fail. The exit status is 1 where anything else came out.
"""

import argparse
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

STRATEGIES = ("none", "one_device", "mirrored", "multi_worker_mirrored")
MODELS = ("classifier", "pretraining")
PRECISIONS = ("float32", "mixed_bfloat16")
EPOCHS, ROWS, BATCH, LENGTH, VOCAB = 2, 16, 5, 12, 50
# Largest difference to the reference run, relative to the largest reference value.
TOLERANCES = {"float32": 1e-5, "mixed_bfloat16": 5e-2}
WORKERS = 2
WAIT = 900  # seconds


def main():
    """Runs the table, or one process of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--precision", choices=PRECISIONS, help="one of the two; else both")
    parser.add_argument("--xla", choices=("off", "on"), help="one of the two; else both")
    parser.add_argument("--json", type=Path, help="file for all results")
    parser.add_argument("--markdown", type=Path, help="file for the table as Markdown")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        _process(json.loads(options.process))
        return
    precisions = [options.precision] if options.precision else PRECISIONS
    settings = [options.xla == "on"] if options.xla else (False, True)
    results = run_matrix(precisions, settings)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(results), encoding="utf-8")
    _show(results)
    sys.exit(not all(cell["passed"] for cell in results["cells"] + results["others"]))


def run_matrix(precisions, settings) -> dict:
    """Runs all cells, the killed worker and the count of compilations."""
    cells, reference = [], None
    with tempfile.TemporaryDirectory() as folder:
        for strategy in STRATEGIES:
            _say(f"{strategy} ...")
            job = {"job": "cells", "strategy": strategy, "folder": folder}
            table = {"precisions": list(precisions), "xla": list(settings)}
            outcomes = run_processes({**job, **table})
            reference = reference or outcomes["reference"]
            cells += [_judged(cell, reference) for cell in outcomes["cells"]]
        _say("a killed worker ...")
        killed = run_killed_worker(folder)
        _say("compilations ...")
        compilations = run_compilations(folder)
    _say("keras.Model ...")
    return {"cells": cells, "others": [killed, compilations, run_keras()]}


def run_processes(job: dict, may_fail: bool = False) -> dict | None:
    """Runs a job in a new process, or in one a worker, and gives what the first one printed."""
    count = WORKERS if job["strategy"] == "multi_worker_mirrored" else 1
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(count)]}
    processes = []
    for index in range(count):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **job.get("environment", {})}
        environment.pop("TF_CONFIG", None)
        if count > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, __file__, "--process", json.dumps({**job, "worker": index})],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        ends = [process.communicate(timeout=WAIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    if may_fail:
        return {"exit_codes": codes}
    if any(codes):
        raise RuntimeError(f"{job} ended with {codes}:\n" + "\n".join(end[1] for end in ends))
    return json.loads(ends[0][0].splitlines()[-1])


def run_killed_worker(folder: str) -> dict:
    """Kills one of two workers, starts both again, and compares with an unbroken run."""
    job = {"job": "dropout", "strategy": "multi_worker_mirrored"}
    unbroken = run_processes({**job, "backup": f"{folder}/unbroken"})
    backup = f"{folder}/killed"
    codes = run_processes({**job, "backup": backup, "kill": True}, may_fail=True)["exit_codes"]
    kept = [path.name for path in Path(backup).glob("epoch-*")]
    resumed = run_processes({**job, "backup": backup})
    difference = _difference(resumed["weights"], unbroken["weights"])
    return {
        "what": "worker 1 killed in the second epoch, both started again, dropout 0.1",
        "exit_codes": codes,
        "kept": kept,
        "difference": difference,
        "passed": codes[1] == -signal.SIGKILL
        and codes[0] != 0
        and kept == ["epoch-1"]
        and difference <= TOLERANCES["float32"],
    }


def run_compilations(folder: str) -> dict:
    """Counts what XLA compiles in three epochs over texts of mixed lengths."""
    dump = Path(folder) / "xla"
    job = {"job": "compilations", "strategy": "none"}
    job["environment"] = {"XLA_FLAGS": f"--xla_dump_to={dump} --xla_dump_hlo_as_text"}
    counted = run_processes(job)
    steps = {path.name.split(".")[0] for path in dump.glob("module_*_forward_and_backward*")}
    limit = counted["buckets"] + 1
    return {
        "what": f"XLA compilations of the train step in three epochs, {counted['batches']} batches "
        f"of {counted['shapes']} shapes, {counted['buckets']} buckets",
        "compilations": len(steps),
        "limit": limit,
        "passed": 0 < len(steps) <= limit,
    }


def run_keras() -> dict:
    """Tries a plain `keras.Model` with two workers, without and with half of what helps it."""
    errors = run_processes({"job": "keras", "strategy": "multi_worker_mirrored"})
    return {
        "what": "keras.Model fails with two workers, also once it can learn the shapes",
        "errors": errors,
        "passed": "PerReplica" in errors["Model"] and "dimension 0" in errors["WithShapes"],
    }


def markdown(results: dict) -> str:
    """Gives the table as Markdown."""
    head = ["strategy", "model", "precision", "XLA", *_COLUMNS, "loss", "weights", "difference"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(_row(cell)) + " |" for cell in results["cells"]]
    return "\n".join(lines) + "\n"


_COLUMNS = ("fit", "validation", "evaluate", "predict", "restore", "uneven batch", "bool mask")


def _row(cell: dict) -> list[str]:
    marks = ["yes" if cell["checks"][name] else "NO" for name in _COLUMNS]
    names = [cell["strategy"], cell["model"], cell["precision"], "on" if cell["xla"] else "off"]
    numbers = [f"{cell['loss'][-1]:.6f}", f"{cell['norm']:.4f}", f"{cell['difference']:.1e}"]
    return [*names, *marks, *numbers]


def _show(results: dict):
    from rich.console import Console
    from rich.table import Table

    table = Table("strategy", "model", "precision", "XLA", *_COLUMNS, "loss", "weights", "diff.")
    for cell in results["cells"]:
        table.add_row(*_row(cell), style=None if cell["passed"] else "bold red")
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(table)
    for other in results["others"]:
        rest = {name: value for name, value in other.items() if name not in ("what", "passed")}
        mark = "passed" if other["passed"] else "FAILED"
        console.print(f"{mark}: {other['what']}: {rest}", soft_wrap=True, highlight=False)


def _judged(cell: dict, reference: dict) -> dict:
    """Compares a cell with the reference run of the same model and precision."""
    expected = reference[_reference_name(cell["model"], cell["precision"], cell["xla"])]
    limit = TOLERANCES[cell["precision"]]
    same = {
        name: _difference(cell[name], expected[name]) <= limit
        for name in ("loss", "val_loss", "evaluate", "predictions", "weights")
    }
    checks = {
        "fit": same["loss"] and same["weights"],
        "validation": same["val_loss"],
        "evaluate": same["evaluate"],
        "predict": same["predictions"],
        "restore": cell["first_epoch_of_second_fit"] == 1,
        "uneven batch": same["loss"],
        "bool mask": same["loss"],
    }
    difference = _difference(cell["weights"], expected["weights"])
    shown = {name: cell[name] for name in ("strategy", "model", "precision", "xla", "loss")}
    norm = sum(value * value for value in cell["weights"]) ** 0.5
    passed = all(checks.values())
    return {**shown, "norm": norm, "difference": difference, "checks": checks, "passed": passed}


def _reference_name(model: str, precision: str, xla: bool) -> str:
    """Names the run to compare with; XLA rounds bfloat16 elsewhere, so that it has its own."""
    return f"{model} {precision} {xla and precision != 'float32'}"


def _difference(values: list[float], expected: list[float]) -> float:
    if len(values) != len(expected):
        return float("inf")
    largest = max(map(abs, expected))
    return max(abs(a - b) for a, b in zip(values, expected, strict=True)) / largest


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _say(text: str):
    print(text, file=sys.stderr, flush=True)


# What follows runs in the processes of the table.


def _process(job: dict):
    import tensorflow as tf

    if job["strategy"] == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
        tf.config.set_logical_device_configuration(cpu, halves)
    strategy = _strategy(job["strategy"])
    jobs = {
        "cells": _cells,
        "dropout": _dropout_run,
        "compilations": _compilations,
        "keras": _keras,
    }
    print(json.dumps(jobs[job["job"]](job, strategy)), flush=True)


def _strategy(name: str):
    import tensorflow as tf

    from keras_bert_kit.training import distribution_strategy

    if name == "none":
        return tf.distribute.get_strategy()
    return distribution_strategy(name, ["CPU:0", "CPU:1"] if name == "mirrored" else None)


def _cells(job: dict, strategy) -> dict:
    cells, reference = [], {}
    for model, precision, xla in itertools.product(MODELS, job["precisions"], job["xla"]):
        backup = f"{job['folder']}/{job['strategy']}-{model}-{precision}-{xla}"
        name = _reference_name(model, precision, xla)
        if job["strategy"] == "none" and name not in reference:
            unbroken = _Run(strategy, model, precision, xla and precision != "float32")
            reference[name] = unbroken.outcome(unbroken.fit("int32"))
        cells.append(_interrupted(strategy, model, precision, xla, backup))
    named = [{"strategy": job["strategy"], **cell} for cell in cells]
    return {"cells": named, "reference": reference}


def _interrupted(strategy, model: str, precision: str, xla: bool, backup: str) -> dict:
    """Trains an epoch, throws the model away, and goes on with a new one from the kept state."""
    first = _Run(strategy, model, precision, xla, backup)
    logs = first.fit("int32", stop_after=1)
    second = _Run(strategy, model, precision, xla, backup, seed=1)
    more = second.fit("bool")
    joined = {name: logs[name] + more[name] for name in ("loss", "val_loss")}
    names = {"model": model, "precision": precision, "xla": xla}
    begun = {"first_epoch_of_second_fit": more["epochs"][0]}
    return {**names, **begun, **second.outcome(joined)}


class _Run:
    """A model, its data and its training under a strategy."""

    def __init__(self, strategy, model, precision, xla, backup=None, seed=0, dropout=0.0):
        import keras

        import keras_bert_kit as kbk

        keras.utils.set_random_seed(seed)
        config = kbk.BertConfig(
            vocab_size=VOCAB,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=LENGTH,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            initializer_range=0.2,
        )
        self.kind, self.backup = model, backup
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        with strategy.scope():
            if model == "classifier":
                self.model = kbk.BertForSequenceClassification(config, dtype=precision)
                losses = loss
            else:
                self.model = kbk.BertForPreTraining(config, dtype=precision)
                losses = {"prediction_logits": loss, "seq_relationship_logits": loss}
            optimizer = kbk.training.bert_optimizer(learning_rate=1e-2, total_steps=20)
            # Some gradients are 0 but for their rounding (a key's bias), which differs between
            # devices, and which Adam divides by itself; an epsilon above it leaves it small.
            optimizer.epsilon = 1e-5
            self.model.compile(optimizer, losses, jit_compile=xla)

    def fit(self, mask: str, stop_after: int | None = None, callbacks=()) -> dict:
        import keras

        from keras_bert_kit.training import BackupAndRestore

        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = epoch + 1 == stop_after

        callbacks = [*callbacks, Stop()]
        if self.backup:
            callbacks.insert(0, BackupAndRestore(self.backup, delete_checkpoint=False))
        history = self.model.fit(
            self.data(mask),
            epochs=EPOCHS,
            validation_data=self.data(mask, part=1),
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
        return {**history.history, "epochs": history.epoch}

    def outcome(self, logs: dict) -> dict:
        import numpy as np

        scores = self.model.evaluate(self.data("int32", part=1), verbose=0, return_dict=True)
        predictions = self.model.predict(self.data("int32", part=1), verbose=0)
        return {
            "loss": logs["loss"],
            "val_loss": logs["val_loss"],
            "evaluate": [scores["loss"]],
            "predictions": _flat([predictions[name] for name in sorted(predictions)]),
            "weights": _flat([np.asarray(v.value) for v in self.model.trainable_variables]),
        }

    def data(self, mask: str, part: int = 0):
        import numpy as np
        import tensorflow as tf

        random = np.random.default_rng(part)
        ids = random.integers(5, VOCAB, (ROWS, LENGTH)).astype("int32")
        lengths = random.integers(4, LENGTH + 1, (ROWS, 1))
        inputs = {"input_ids": ids, "attention_mask": (np.arange(LENGTH) < lengths).astype(mask)}
        labels = (ids[:, 0] % 2).astype("int32")
        if self.kind == "classifier":
            elements = (inputs, labels)
        else:
            inputs["masked_positions"] = np.tile(np.array([[1, 2, 3]], "int32"), (ROWS, 1))
            weights = random.integers(0, 2, (ROWS, 3)).astype("float32")
            elements = (
                inputs,
                {"prediction_logits": ids[:, 4:7], "seq_relationship_logits": labels},
                {"prediction_logits": weights, "seq_relationship_logits": np.ones(ROWS, "float32")},
            )
        return tf.data.Dataset.from_tensor_slices(elements).batch(BATCH)


def _flat(arrays) -> list[float]:
    return [float(value) for array in arrays for value in array.ravel()]


def _dropout_run(job: dict, strategy) -> dict:
    import keras

    class Kill(keras.callbacks.Callback):
        epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if job.get("kill") and job["worker"] == 1 and (self.epoch, batch) == (1, 1):
                os.kill(os.getpid(), signal.SIGKILL)

    run = _Run(strategy, "classifier", "float32", False, job["backup"], dropout=0.1)
    return run.outcome(run.fit("int32", callbacks=[Kill()]))


def _compilations(job: dict, strategy) -> dict:
    import keras

    import keras_bert_kit as kbk
    from keras_bert_kit.data import bucketed_batches, encode_texts, length_buckets, read_examples

    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    examples = read_examples(Path(__file__).parents[1] / "examples/data/reviews/train.tsv")
    texts = encode_texts(examples, kbk.BertTokenizer(tokens), max_length=128)
    config = kbk.BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    model = kbk.BertForSequenceClassification(config)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=True)
    labels = [int(label == examples.labels[0]) for label in examples.labels]
    batches = bucketed_batches(texts, labels, 32, seed=0, epochs=range(3))
    shapes = [tuple(inputs["input_ids"].shape) for inputs, _ in batches]
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    return {
        "buckets": len(length_buckets(128)),
        "batches": len(shapes),
        "shapes": len(set(shapes)),
    }


def _keras(job: dict, strategy) -> dict:
    import keras
    import numpy as np

    from keras_bert_kit.models.trainer import ReplicaTraining

    class WithShapes(ReplicaTraining, keras.Model):
        train_step = keras.Model.train_step

    errors = {}
    for model_class in (keras.Model, WithShapes):
        with strategy.scope():
            inputs = keras.Input((4,))
            model = model_class(inputs, keras.layers.Dense(1)(inputs))
            model.compile("sgd", "mse")
        try:
            model.fit(np.ones((8, 4)), np.ones(8), batch_size=4, verbose=0)
            errors[model_class.__name__] = ""
        except Exception as error:  # what is looked for
            errors[model_class.__name__] = f"{type(error).__name__}: {error}"[:200]
    return errors


if __name__ == "__main__":
    main()
