"""Speed and exactness of tokenization, against the `tokenizers` library on one thread.

    python benchmarks/tokenization.py DATA [--rounds N] [--skip-exactness] [--json FILE]

DATA is the folder of data sets. In each round every way tokenizes the same sentences of
`pretraining_prose` one after the other; a ratio is the median over the rounds. The library is held
to one thread, the graph's ops take as many as TensorFlow gives them. The exactness part counts the
lines of all data sets whose ids differ from the library's.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

LOWER_CASED = {
    "bert-base-uncased": True,
    "bert-base-cased": False,
    "bert-base-multilingual-cased": False,
    "bert-base-chinese": True,
}
BATCH = 1024


def library_tokenizer(vocab: Path, do_lower_case: bool):
    """Makes the reference straight from the library; special tokens in a text are special."""
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer(str(vocab), lowercase=do_lower_case)


def lines_of(path: Path) -> list[str]:
    """Reads the lines of a file, packed or not."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")


def strings(value) -> Iterator[str]:
    """Gives every string within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def all_texts(data: Path) -> list[str]:
    """Gives every different line of text of all data sets."""
    texts: set[str] = set()
    for path in sorted(data.glob("*/**/*.*")):
        if path.parent.parent.name == "vocab":
            continue
        lines = lines_of(path)
        kind = path.name.removesuffix(".gz").rsplit(".")[-1]
        if kind == "json":
            texts.update(strings(json.loads("\n".join(lines))))
        elif kind == "bmes":
            for sentence in "\n".join(lines).split("\n\n"):
                texts.add("".join(re.findall(r"^\S+", sentence, re.M)))
        elif kind == "csv":
            texts.update(field for row in csv.reader(lines) for field in row)
        else:
            texts.update(field for line in lines for field in line.split("\t"))
    return sorted(texts)


def measure_speed(data: Path, rounds: int) -> dict[str, float]:
    """Times the ways to tokenize, in turn.

    Args:
        data: The folder of data sets.
        rounds: How many times.
    """
    import tensorflow as tf

    from keras_bert_kit import BertTokenizer

    paths = sorted((data / "pretraining_prose").glob("*.txt.gz"))
    sentences = [line for path in paths for line in lines_of(path) if line]
    batches = [sentences[i : i + BATCH] for i in range(0, len(sentences), BATCH)]
    tensors = [tf.constant(batch) for batch in batches]
    vocab = data / "vocab" / "bert-base-uncased" / "vocab.txt"
    library = library_tokenizer(vocab, True)
    ours = BertTokenizer(vocab)
    layer = ours.in_graph()
    graph = tf.function(layer.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])

    def seconds(function: Callable, parts) -> float:
        start = time.perf_counter()
        for part in parts:
            function(part)
        return time.perf_counter() - start

    seconds(graph, tensors[:2])
    times = [
        (seconds(library.encode_batch, batches), seconds(graph, tensors), seconds(ours, batches))
        for _ in range(rounds)
    ]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return {
        "sentences": len(sentences),
        "library_sentences_per_second": round(len(sentences) / medians[0]),
        "in_graph_sentences_per_second": round(len(sentences) / medians[1]),
        "python_sentences_per_second": round(len(sentences) / medians[2]),
        "in_graph_speed_over_library": round(statistics.median(a / b for a, b, _ in times), 2),
        "python_time_over_library": round(statistics.median(c / a for a, _, c in times), 2),
    }


def count_differences(texts: list[str], vocab: Path, do_lower_case: bool) -> dict[str, int]:
    """Counts the lines whose ids are not the library's, in a graph and in Python.

    Args:
        texts: The lines.
        vocab: A `vocab.txt`.
        do_lower_case: Whether texts are lower-cased.
    """
    import tensorflow as tf

    from keras_bert_kit import BertTokenizer

    library, ours = library_tokenizer(vocab, do_lower_case), BertTokenizer(vocab, do_lower_case)
    layer = ours.in_graph()
    found = {"lines": len(texts), "in_graph_differing": 0, "python_differing": 0}
    for start in range(0, len(texts), 8192):
        part = texts[start : start + 8192]
        expected = [row.ids for row in library.encode_batch(part, add_special_tokens=False)]
        in_graph = layer.tokenize(tf.constant(part)).to_list()
        options = {"add_special_tokens": False, "padding": False, "return_tensors": None}
        in_python = ours(part, **options)["input_ids"]
        found["in_graph_differing"] += sum(map(list.__ne__, in_graph, expected))
        found["python_differing"] += sum(map(list.__ne__, in_python, expected))
    return found


def main():
    """Runs both parts and prints them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder of data sets")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the speed part")
    parser.add_argument("--skip-exactness", action="store_true", help="run the speed part alone")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    arguments = parser.parse_args()
    results: dict = {"speed": measure_speed(arguments.data, arguments.rounds)}
    if not arguments.skip_exactness:
        texts = all_texts(arguments.data)
        results["exactness"] = {
            name: count_differences(texts, arguments.data / "vocab" / name / "vocab.txt", lower)
            for name, lower in LOWER_CASED.items()
        }
    show(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def show(results: dict):
    """Prints the results as tables."""
    from rich.console import Console
    from rich.table import Table

    speed = results["speed"]
    table = Table(title=f"{speed['sentences']} sentences, batches of {BATCH}, uncased vocabulary")
    for column in ("way", "sentences a second", "against the library"):
        table.add_column(column, justify="right")
    table.add_row("tokenizers, one thread", str(speed["library_sentences_per_second"]), "")
    ratio = f"{speed['in_graph_speed_over_library']} times as fast"
    table.add_row("in a graph", str(speed["in_graph_sentences_per_second"]), ratio)
    ratio = f"{speed['python_time_over_library']} times its time"
    table.add_row("BertTokenizer, to arrays", str(speed["python_sentences_per_second"]), ratio)
    Console().print(table)
    if "exactness" not in results:
        return
    table = Table(title="Lines whose ids differ from the library's")
    for column in ("vocabulary", "lines", "in a graph", "in Python"):
        table.add_column(column, justify="right")
    for name, found in results["exactness"].items():
        table.add_row(name, *map(str, found.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
