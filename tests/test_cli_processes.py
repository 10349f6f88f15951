"""The command line in a process of its own: interruptions, a full disk, and what is on stderr."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from keras_bert_kit.training.run_state import RunState

pytestmark = pytest.mark.slow

# Python ends with KeyboardInterrupt at SIGINT also where the parent ignores it.
CLI = """
import signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)
limit = int(sys.argv.pop(1))
if limit:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from keras_bert_kit.cli import main

main()
"""


def start(*args, limit=0):
    """Starts the command line; no file may grow over `limit` bytes, if that is not 0."""
    return subprocess.Popen(
        [sys.executable, "-c", CLI, str(limit), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Gives exit code, standard output and the lines of standard error."""
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode >= 0, f"ended by signal {-process.returncode}"
    assert "Traceback" not in err
    return process.returncode, out, err.splitlines()


def wait_for(folder, pattern, process, seconds=240):
    deadline = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{folder / pattern} did not appear"
        time.sleep(0.05)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def arguments(tiny_folder, reviews, tmp_path):
    return ["finetune", "text-classification", "--model", tiny_folder, "--train", reviews["train"],
            "--validation", reviews["validation"], "--output", tmp_path / "out",
            "--max-length", 24, "--batch-size", 56]  # fmt: skip


def test_an_error_is_the_only_line_on_standard_error(arguments, tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("nice food\tfine\n")
    code, out, err = finish(start(*arguments, "--validation", path))
    assert (code, out) == (2, "")
    assert len(err) == 1
    assert err[0].startswith("Error: ")
    assert "Received: 'fine'" in err[0]


def test_ctrl_c_keeps_the_last_epoch_and_resume_goes_on(arguments, tmp_path):
    arguments += ["--epochs", 30]
    state = tmp_path / "out.training"
    process = start(*arguments)
    wait_for(state, "epoch-*/state.json", process)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)

    assert (code, out) == (130, "")
    assert "--resume" in err[-1]
    assert str(state) in err[-1]
    assert sum("Interrupted" in line for line in err) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.training"]
    kept = json.loads((RunState(state).latest / "state.json").read_text())["history"]
    assert 1 <= len(kept) < 30

    code, out, err = finish(start(*arguments, "--resume", "--json"))
    assert code == 0, err
    history = json.loads(out)["history"]
    assert [row["epoch"] for row in history] == list(range(1, 31))
    assert history[: len(kept)] == kept
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_ctrl_c_before_the_first_epoch_promises_no_checkpoint(arguments, tmp_path):
    arguments += ["--epochs", 30]
    state = tmp_path / "out.training"
    process = start(*arguments)
    wait_for(state, "recipe.json", process)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    if RunState(state).latest is None:
        assert "after the last whole epoch is kept" not in err[-1]


@pytest.mark.parametrize(
    ("limit", "name"),
    [(30_000, "model.safetensors"), (60_000, "epoch-1")],  # bytes; the model takes 46,000
    ids=["best model", "checkpoint"],
)
def test_without_space_the_previous_model_stays_whole(
    arguments, trained_folder, tmp_path, limit, name
):
    shutil.copytree(trained_folder, tmp_path / "out")
    before = contents(tmp_path / "out")
    code, out, err = finish(start(*arguments, "--epochs", 1, "--overwrite", limit=limit))
    assert (code, out) == (2, "")
    assert err[-1].startswith("Error: ")
    assert name in err[-1]
    assert sum(line.startswith("Error: ") for line in err) == 1
    assert not any("Exception ignored" in line for line in err)
    assert contents(tmp_path / "out") == before
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.training"}
    left = {path.name for path in (tmp_path / "out.training").iterdir()}
    assert left <= {"recipe.json", "tensorboard", "best-1"}


def test_an_export_without_space_leaves_what_was_there(trained_folder, tmp_path):
    output = tmp_path / "served" / "1"
    output.mkdir(parents=True)
    (output / "notes").write_text("mine")
    command = ["export", trained_folder, "--output", output, "--overwrite"]
    code, out, err = finish(start(*command, limit=40_000))
    assert (code, out) == (2, "")
    assert len(err) == 1
    assert err[0].startswith("Error: ")
    assert str(output) in err[0]
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "served",
        "served/1",
        "served/1/notes",
    ]
