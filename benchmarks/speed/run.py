"""The kit's speed beside its peers', and beside the machine's own limit.

python benchmarks/speed/run.py DATA --peers PYTHON [--quick] [--measure encoder latency]

DATA is the folder of the data sets sst2, movie_reviews and pretraining_prose; PYTHON an interpreter
with what `requirements.txt` lists. Each side is a process of its own. They take turns, a run each,
so that what the machine does meanwhile falls on all; a ratio is the median of the rounds' ratios.
The results' file is written after each measure, with a table and a picture beside it.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from inputs import served_model, write_inputs
from matplotlib.figure import Figure
from measures import KIT, LITE, MACHINE, MEASURES, SENTENCES, TEXTS

HERE = Path(__file__).parent
#: Peers that run in the interpreter of --peers; the others run in this one.
ELSEWHERE = {"pytorch", "onnx_runtime", "open_vino"}
NAMES = [*MEASURES, "start", "first-request"]
#: What is compared, and the figure of a run that tells it: less is better.
COMPARED = {"time": "pace", "p99": "p99", "memory": "peak_bytes"}
#: Commands that start something, in the interpreter of the kit or of --peers.
STARTS = {
    "import keras_bert_kit": ("kit", ["-c", "import keras_bert_kit"]),
    "keras-bert-kit --help": (
        "kit",
        ["-c", "from keras_bert_kit.cli import main; main()", "--help"],
    ),
    "import keras_hub": ("kit", ["-c", "import keras_hub"]),
    "from transformers import BertModel": ("peers", ["-c", "from transformers import BertModel"]),
}


def main():
    """Runs the measures that are asked for, and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", required=True, help="interpreter with requirements.txt")
    parser.add_argument("--measure", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--quick", action="store_true", help="fewer measures and rounds")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=Path, default=Path("build/bench/work"))
    parser.add_argument("--output", type=Path, default=Path("build/bench/speed.json"))
    given = parser.parse_args()
    given.work = given.work.resolve()
    measures = {name: MEASURES[name] for name in MEASURES if name in given.measure}
    if given.quick:
        measures = {name: quickly(one) for name, one in measures.items() if one.quick}
    items = {one.work: one.items for one in measures.values()}
    most = max(one.rounds for one in MEASURES.values() if one.work in ("finetune", "pretrain"))
    sizes = items.get("finetune", SENTENCES), items.get("predict", TEXTS)
    write_inputs(given.data, given.work, 1 + most, *sizes)
    results = {"machine": machine(given.threads), "measures": {}}
    for name, measure in measures.items():
        print(f"{name}: {measure.title}", file=sys.stderr)
        results["measures"][name] = compared(measure, given)
        save(results, given.output)
    if "start" in given.measure:
        results["start"] = starts(given, 1 if given.quick else 9)
        save(results, given.output)
    if "first-request" in given.measure:
        results["first request"] = first_requests(given, 1 if given.quick else 5)
        save(results, given.output)
    print(as_markdown(results))


def quickly(measure):
    """Gives a measure with fewer rounds, and perhaps fewer items."""
    items, rounds = int(measure.items * measure.quick), max(2, measure.rounds // 5)
    return dataclasses.replace(measure, items=items, rounds=rounds)


def save(results, path):
    """Writes the results, the table and the picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1))
    path.with_suffix(".md").write_text(as_markdown(results))
    if all_rows(results):
        plot(results, path.with_suffix(".png"))


def machine(threads):
    """Tells what the numbers hold for."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "date": datetime.date.today().isoformat(),
        "processor": names[0] if names else platform.processor(),
        "threads": threads,
        "python": platform.python_version(),
    }


def compared(measure, given):
    """Lets the sides of a measure take turns, and gives what they took."""
    rounds = measure.rounds + 1  # the first does not count: it traces and compiles
    shared = {
        **measure.given, "folder": str(given.work), "rounds": rounds, "threads": given.threads
    }  # fmt: skip
    sides = {}
    for name, peer in measure.peers.items():
        python = given.peers if peer.module in ELSEWHERE else sys.executable
        side = Side(python, peer.module, given.threads)
        answer = side.ask({"prepare": measure.work, **shared, **peer.given})
        if "error" in answer:
            print(f"  {name}: {answer['error']}", file=sys.stderr)
        else:
            sides[name] = side
    runs = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in list(sides.items()):
            answer = side.ask({"run": number, "warm": measure.warm})
            if "error" in answer:
                print(f"  {name}: {answer['error']}", file=sys.stderr)
                sides.pop(name).close()
                runs.pop(name)
            else:
                runs[name].append(with_percentiles(answer))
    runs = {name: answers[1:] for name, answers in runs.items()}
    outputs = {name: side.ask({"check": True}).get("outputs") for name, side in sides.items()}
    for side in sides.values():
        side.close()
    return {"title": measure.title, **summary(measure, runs, outputs)}


def with_percentiles(answer):
    """Lets the median stand for a run that timed its requests one by one."""
    times = sorted(answer.pop("times", ()))
    if times:
        answer["seconds"] = statistics.median(times)
        answer["p99"] = times[round(0.99 * (len(times) - 1))]
    return answer


def starts(given, rounds):
    """Gives the seconds that each of `STARTS` takes, in turn."""
    seconds = {name: [] for name in STARTS}
    for _ in range(rounds + 1):
        for name, (where, arguments) in STARTS.items():
            python = given.peers if where == "peers" else sys.executable
            start = time.perf_counter()
            subprocess.run([python, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[1:]) for name, found in seconds.items()}


def first_requests(given, rounds):
    """Gives how often the median request the first one takes, with the warm-up file and without."""
    path, texts = served_model(given.work), given.work / "first-request.json"
    command = [sys.executable, HERE / "first_request.py", path, texts]
    ratios = {"with the warm-up file": [], "without": []}
    for _ in range(rounds):
        for name, options in zip(ratios, (["--warm-up"], []), strict=True):
            done = subprocess.run([*command, *options], check=True, capture_output=True)
            seconds = json.loads(done.stdout)
            ratios[name].append(seconds[0] / statistics.median(seconds[1:]))
    return {name: statistics.median(found) for name, found in ratios.items()}


class Side:
    """A worker process."""

    def __init__(self, python, module, threads):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "tensorflow",
        }
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, what):
        """Sends a line and waits for the answer."""
        try:
            print(json.dumps(what), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the process ended"}

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def summary(measure, runs, outputs):
    """Gives each side's rate and memory, and the kit's advantage over it, round by round."""
    kit = LITE if LITE in runs else KIT
    if kit not in runs:
        return {"rows": []}
    for name, answers in runs.items():
        each = work_of(measure, name, outputs)
        for answer in answers:
            answer["pace"] = answer["seconds"] / answer.get("items", each)
    sides = {
        name: {
            "rate": 1 / statistics.median(spans(answers, "pace")),
            "peak_bytes": max(spans(answers, "peak_bytes")),
            "outputs": outputs[name] if isinstance(outputs[name], dict) else None,
        }
        for name, answers in runs.items()
    }
    rows = []
    for what, field in COMPARED.items():
        if field not in runs[kit][0] or (what == "memory") != (measure.work == "memory"):
            continue
        for name, answers in runs.items():
            if name == kit:
                continue
            pairs = zip(spans(answers, field), spans(runs[kit], field), strict=True)
            ratios = [theirs / mine for theirs, mine in pairs]
            rows.append(
                {
                    "what": f"{measure.title}: {what}",
                    "beside": name,
                    "ratio": statistics.median(ratios),
                    "least": min(ratios),
                    "most": max(ratios),
                    "goal": measure.goals.get(name),
                }
            )
    return {
        "kit": kit,
        "unit": measure.unit,
        "sides": sides,
        "rows": rows,
        "agreement": agreement(kit, outputs),
    }


def spans(answers, field):
    """Gives a figure of each round."""
    return [answer[field] for answer in answers]


def work_of(measure, name, outputs):
    """Gives how much one run does: items; beside the machine's limit, floating-point operations."""
    if MACHINE not in measure.peers:
        return measure.items
    if name == MACHINE:
        return outputs[name]["operations"]
    hidden, layers, inner = {"pretrained": (384, 6, 1536), "base": (768, 12, 3072)}[
        measure.given["model"]
    ]
    length = measure.given["length"]
    token = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * length * hidden
    return measure.items * layers * token


def agreement(kit, outputs):
    """Gives how far the answers of each side lie from the kit's, or the share that is the same."""
    mine = outputs[kit]
    if not isinstance(mine, list):
        return {}
    found = {}
    for name, theirs in outputs.items():
        if name == kit or not isinstance(theirs, list):
            continue
        if isinstance(mine[0], str):
            found[name] = sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine)
        else:
            found[name] = max(abs(a - b) for a, b in zip(flat(mine), flat(theirs), strict=True))
    return found


def flat(values):
    """Gives the numbers of a nested list."""
    for value in values:
        yield from flat(value) if isinstance(value, list) else [value]


def all_rows(results):
    """Gives the rows of all measures."""
    return [row for measure in results["measures"].values() for row in measure["rows"]]


def as_markdown(results):
    """Writes the table."""
    about = results["machine"]
    lines = [
        f"{about['date']}, {about['processor']}, {about['threads']} threads. Times better than the "
        "other, the median of the rounds (least to most).",
        "",
        "| what | beside | times better | goal |",
        "|---|---|---|---|",
    ]
    for row in all_rows(results):
        goal = "" if row["goal"] is None else f"{row['goal']:.2f}"
        ratios = f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f})"
        lines.append(f"| {row['what']} | {row['beside']} | {ratios} | {goal} |")
    if "start" in results:
        lines += ["", "| start | seconds |", "|---|---|"]
        lines += [f"| `{name}` | {seconds:.2f} |" for name, seconds in results["start"].items()]
    if "first request" in results:
        lines += ["", "| first request of a served model | of the median |", "|---|---|"]
        lines += [f"| {name} | {ratio:.1f} |" for name, ratio in results["first request"].items()]
    return "\n".join(lines) + "\n"


def plot(results, path):
    """Draws the ratios as bars, a goal as a mark."""
    rows = all_rows(results)
    figure = Figure(figsize=(8, 0.5 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    axes.barh(places, [row["ratio"] for row in rows], 0.6)
    for place, row in enumerate(rows):
        goal = row["goal"] or 0
        if goal:
            axes.plot([goal] * 2, [place - 0.4, place + 0.4], color="black")
        axes.annotate(
            f"{row['ratio']:.2f}",
            (max(row["ratio"], goal), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    axes.margins(x=0.1, y=0.01)
    axes.axvline(1, color="grey", linewidth=0.8)
    labels = [f"{row['what']}\n{row['beside']}" for row in rows]
    axes.set_yticks(places, labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("times better than the other; black: goal")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
