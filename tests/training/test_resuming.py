"""Fine-tuning runs that are interrupted, and how they go on."""

import csv
import dataclasses
import json
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.training import finetune, model_state
from keras_bert_kit.training.callbacks import BetweenBatches, EpochCheckpoint

EPOCHS = 4


@pytest.fixture(scope="module")
def long_recipe(tiny_folder, reviews):
    from keras_bert_kit.training import FinetuningRecipe

    return FinetuningRecipe(
        model=str(tiny_folder),
        train=str(reviews["train"]),
        validation=str(reviews["validation"]),
        epochs=EPOCHS,
        batch_size=16,
        learning_rate=2e-3,
        max_length=16,
    )


@pytest.fixture(scope="module")
def unbroken(long_recipe, tmp_path_factory):
    return run(long_recipe, tmp_path_factory.mktemp("unbroken") / "out")


@pytest.fixture(scope="module")
def interrupted(long_recipe, tmp_path_factory):
    """The state of a run that Ctrl-C ended in the midst of its third epoch; to be copied."""
    output = tmp_path_factory.mktemp("interrupted") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochCheckpoint, "on_epoch_begin", remember_epoch)
        patch.setattr(EpochCheckpoint, "on_train_batch_end", interrupt_in_third_epoch)
        with pytest.raises(KeyboardInterrupt):
            run(long_recipe, output)
    return output


@pytest.fixture
def output(interrupted, tmp_path):
    """An output of which an interrupted run's state is there."""
    shutil.copytree(state_of(interrupted), tmp_path / "out.training")
    return tmp_path / "out"


def remember_epoch(self, epoch, logs=None):
    self.epoch = epoch


def interrupt_in_third_epoch(self, batch, logs=None):
    if self.epoch == 2 and batch == 3:
        raise KeyboardInterrupt


def run(recipe, output, **options):
    return finetune(recipe, output, progress=False, **options)


def state_of(output):
    return output.with_name(output.name + ".training")


def contents(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_same_run(result, expected):
    assert result.best_epoch == expected.best_epoch
    assert [row["epoch"] for row in result.history] == list(range(1, EPOCHS + 1))
    for row, expected_row in zip(result.history, expected.history, strict=True):
        assert row == pytest.approx(expected_row, rel=1e-5, abs=1e-6)
    weights, expected_weights = (
        safetensors.numpy.load_file(run.output / "model.safetensors") for run in (result, expected)
    )
    assert weights.keys() == expected_weights.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(array, expected_weights[name], rtol=0, atol=1e-6, err_msg=name)
    assert not state_of(result.output).exists()


def test_an_interrupted_run_leaves_whole_checkpoints_and_no_output(interrupted):
    assert not interrupted.exists()
    state = state_of(interrupted)
    names = {path.name for path in state.iterdir()}
    kept = json.loads((state / "epoch-2" / "state.json").read_text())
    best = f"best-{kept['best_epoch']}"
    assert names == {"recipe.json", "epoch-2", best, "tensorboard"}
    assert [row["epoch"] for row in kept["history"]] == [1, 2]
    with (state / "epoch-2" / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    model = BertForSequenceClassification.from_pretrained(state / best)
    assert not model.loading_report.new


@pytest.mark.slow
def test_a_resumed_run_equals_an_unbroken_one(long_recipe, output, unbroken):
    check_same_run(run(long_recipe, output, resume=True), unbroken)
    with (output / "history.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    for row, expected in zip(rows, unbroken.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.slow
def test_a_run_interrupted_after_its_last_epoch_only_writes_its_output(
    long_recipe, tmp_path, unbroken, monkeypatch
):
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(
            "keras_bert_kit.training.finetuning.write_model_card", raising(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            run(long_recipe, output)
    assert [path.name for path in tmp_path.iterdir()] == ["out.training"]
    monkeypatch.setattr(keras.Model, "fit", raising(AssertionError))
    check_same_run(run(long_recipe, output, resume=True), unbroken)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "method"),
    [(model_state, "write_tensors"), (BertForSequenceClassification, "write_files")],
    ids=["state", "best"],
)
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    long_recipe, tmp_path, unbroken, monkeypatch, owner, method
):
    output, calls, write = tmp_path / "out", [], getattr(owner, method)

    def write_half(*args):
        calls.append(args)
        if len(calls) == 1:
            return write(*args)
        path = next(Path(arg) for arg in args if isinstance(arg, Path))
        (path if path.is_dir() else path.parent).joinpath("half").write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    # so that each epoch is the best one so far
    merit = "keras_bert_kit.training.callbacks.EpochCheckpoint._merit"
    monkeypatch.setattr(merit, lambda checkpoint, row: row["epoch"])
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, write_half)
        with pytest.raises(OSError, match="No space left on device"):
            run(long_recipe, output)
    state = state_of(output)
    names = {path.name for path in state.iterdir()}
    assert {"recipe.json", "epoch-1", "best-1", "tensorboard"} <= names <= {*names, "best-2"}
    assert not list(state.rglob("half"))
    kept = json.loads((state / "epoch-1" / "state.json").read_text())
    assert [row["epoch"] for row in kept["history"]] == [1]
    assert not BertForSequenceClassification.from_pretrained(state / "best-1").loading_report.new
    result = run(long_recipe, output, resume=True)
    assert result.best_epoch == EPOCHS
    assert result.history[-1] == pytest.approx(unbroken.history[-1], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 1e-4}, "learning_rate=0.0001, was 0.002"),
        ({"epochs": 5, "seed": 2}, "epochs=5, was 4; seed=2, was 0"),
        ({"validation": None}, "validation=None, was '.*validation.tsv'"),
    ],
)
def test_another_recipe_is_not_resumed(long_recipe, output, changes, difference):
    before = contents(output.parent)
    with pytest.raises(ValueError, match=f"Received: {difference}"):
        run(dataclasses.replace(long_recipe, **changes), output, resume=True)
    assert contents(output.parent) == before


def test_without_a_state_there_is_nothing_to_resume(long_recipe, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no interrupted run .*out\.training"):
        run(long_recipe, tmp_path / "out", resume=True)
    assert not list(tmp_path.iterdir())


def test_a_state_is_not_dropped_unasked(long_recipe, output):
    before = contents(output.parent)
    with pytest.raises(FileExistsError, match=r"--resume.*--overwrite"):
        run(long_recipe, output)
    assert contents(output.parent) == before


def test_a_state_is_not_dropped_before_the_new_run_can_start(long_recipe, output):
    before = contents(output.parent)
    with pytest.raises(FileNotFoundError):
        run(dataclasses.replace(long_recipe, train="absent.tsv"), output, overwrite=True)
    assert contents(output.parent) == before


@pytest.mark.slow
def test_overwrite_drops_the_state_and_starts_anew(long_recipe, output, unbroken):
    check_same_run(run(long_recipe, output, overwrite=True), unbroken)


@pytest.mark.parametrize("name", ["recipe.json", "epoch-2/state.json", "epoch-2/state.safetensors"])
def test_a_damaged_state_is_an_error_that_names_the_file(long_recipe, output, name):
    path = state_of(output) / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises((ValueError, OSError), match=path.name):
        run(long_recipe, output, resume=True)
    assert list(state_of(output).glob("best-*"))


def raising(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.fixture
def usual_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class CtrlC(keras.callbacks.Callback):
    """Strikes in the midst of the second batch."""

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(f"{batch} begins")
        if batch == 1:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(f"{batch} ends")


@pytest.mark.parametrize(
    ("times", "seen"),
    [
        (1, ["0 begins", "0 ends", "1 begins", "1 ends"]),
        (2, ["0 begins", "0 ends", "1 begins"]),
    ],
)
def test_ctrl_c_strikes_between_batches_or_twice_at_once(usual_ctrl_c, times, seen):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = CtrlC(times)
    with pytest.raises(KeyboardInterrupt), BetweenBatches() as between:
        model.fit(np.ones((6, 2)), np.ones(6), 2, callbacks=[watch, between], verbose=0)
    assert watch.seen == seen


def test_ctrl_c_outside_of_batches_strikes_at_the_end_of_the_context(usual_ctrl_c):
    lived = []

    def work():
        with BetweenBatches():
            signal.raise_signal(signal.SIGINT)
            lived.append("on")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert lived == ["on"]


def test_a_program_that_handles_ctrl_c_keeps_its_handler(usual_ctrl_c):
    caught = []
    signal.signal(signal.SIGINT, lambda *_: caught.append(1))
    with BetweenBatches() as between:
        signal.raise_signal(signal.SIGINT)
        between.on_epoch_end(0)
    assert caught == [1]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_thread_sets_no_handler(usual_ctrl_c):
    with ThreadPoolExecutor(1) as pool:
        between = pool.submit(BetweenBatches().__enter__).result()
    assert not between.handles
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_fine_tuning_ends_between_batches(usual_ctrl_c, long_recipe, tmp_path, monkeypatch):
    lived = []

    def strike(self, batch, logs=None):
        signal.raise_signal(signal.SIGINT)
        lived.append(batch)

    monkeypatch.setattr(EpochCheckpoint, "on_train_batch_begin", strike)
    with pytest.raises(KeyboardInterrupt):
        run(long_recipe, tmp_path / "out")
    assert lived == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["out.training"]
