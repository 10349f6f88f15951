"""Time and memory to load a BERT-base sized folder, beside PyTorch transformers.

    python benchmarks/load_checkpoint.py [--rounds N] [--json FILE]

Each number comes from a process of its own, the two in turn. PyTorch maps the file and reads a
weight when it is first used, so the time to the first answer is measured too: load, then compute
one short text. Needs what `make test-reference` installs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recompute_memory import peak_mib

MEASURES = ("load_s", "answer_s", "memory_ratio")


def load_with_kit(folder: str):
    """Gives a function that loads the folder, and one that computes with what was loaded."""
    import numpy as np

    from keras_bert_kit import BertConfig, BertModel

    small = BertConfig(vocab_size=9, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    ids = np.ones((1, 8), "int32")
    BertModel(small)(ids)  # what the first model of a process costs is not the loading's
    return lambda: BertModel.from_pretrained(folder), lambda model: model(ids)


def load_with_transformers(folder: str):
    """The same for PyTorch transformers."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    small = BertConfig(vocab_size=9, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    ids = torch.ones((1, 8), dtype=torch.long)
    BertModel(small)(ids)

    def load():
        BertTokenizerFast.from_pretrained(folder)
        return BertModel.from_pretrained(folder)

    return load, lambda model: model(ids)


LOADERS = {"kit": load_with_kit, "transformers": load_with_transformers}


def measure(name: str, folder: str) -> dict[str, float]:
    """Loads the folder in this process."""
    load, compute = LOADERS[name](folder)
    size = sum(path.stat().st_size for path in Path(folder).glob("*.safetensors")) / 2**20
    before, start = peak_mib(), time.perf_counter()
    model = load()
    loaded = time.perf_counter() - start
    memory = peak_mib() - before
    compute(model)
    answered = time.perf_counter() - start
    return {"load_s": loaded, "answer_s": answered, "memory_ratio": memory / size}


def measure_apart(name: str, folder: Path) -> dict[str, float]:
    """Runs `measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", name, str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def make_folder(folder: Path):
    """Writes a BERT-base with random weights, and a vocabulary of its size."""
    import keras

    from keras_bert_kit import BertConfig, BertModel, BertTokenizer
    from keras_bert_kit.tokenization.vocabulary import SPECIAL_TOKENS

    keras.utils.set_random_seed(7)
    config = BertConfig()
    words = [f"word{number}" for number in range(config.vocab_size - len(SPECIAL_TOKENS))]
    model = BertModel(config, tokenizer=BertTokenizer([*SPECIAL_TOKENS, *words]))
    model.save_pretrained(folder, overwrite=True)


def main():
    """Measures both loaders in turn and prints the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="processes of each")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make_folder(arguments.make)
        return
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: the others start with the peak memory of this one.
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        for _ in range(arguments.rounds):
            rounds.append({name: measure_apart(name, Path(folder)) for name in LOADERS})
    show(rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rounds": rounds}, indent=2) + "\n")


def show(rounds: list[dict]):
    """Prints medians, and the median of the rounds' ratios."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"Loading BERT-base: medians of {len(rounds)} rounds",
        caption="memory: rise of the peak resident set over the size of the weights",
    )
    for column in ("", *LOADERS, "ratio"):
        table.add_column(column, justify="right")
    for measure_name in MEASURES:
        columns = {name: [row[name][measure_name] for row in rounds] for name in LOADERS}
        pairs = list(zip(columns["kit"], columns["transformers"], strict=True))
        mapped = any(other == 0 for _, other in pairs)  # no memory of its own
        ratio = "" if mapped else f"{statistics.median(a / b for a, b in pairs):.2f}"
        medians = (f"{statistics.median(values):.3f}" for values in columns.values())
        table.add_row(measure_name, *medians, ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
