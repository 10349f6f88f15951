"""Searches and what they leave; test_resuming.py has those that are interrupted."""

import csv
import dataclasses
import itertools
import json
import shlex
import statistics

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_bert_kit.search import search
from keras_bert_kit.search.trials import TrialScorer
from keras_bert_kit.training import finetune

RATES = {"learning_rate": [1e-3, 5e-3]}


def tried(result):
    return [tuple(trial.values.values()) for trial in result.trials]


def test_one_trial_by_folds(by_folds, tmp_path, capfd, caplog):
    """The one fast search that trains."""
    result = search(by_folds, {"learning_rate": [1e-3]}, tmp_path / "found", folds=2)
    out, err = capfd.readouterr()
    assert out == ""
    assert "1 trial of 2 folds, the highest accuracy wins" in err
    assert "trial 1 of 1: accuracy" in err
    assert caplog.text.count("classifier/dense/kernel") == 1  # of two new heads
    check_result(result)
    check_files(result)
    assert [path.name for path in tmp_path.iterdir()] == ["found"]


@pytest.mark.slow
def test_a_grid_by_folds(by_folds, look):
    result = look(by_folds, RATES, folds=2)
    assert tried(result) == [(1e-3,), (5e-3,)]
    check_result(result)
    check_files(result)
    again = look(by_folds, RATES, result.output.with_name("again"), folds=2)
    assert [t.scores for t in again.trials] == [t.scores for t in result.trials]


def check_result(result):
    for trial in result.trials:
        assert len(trial.scores) == 2
        assert trial.score == statistics.fmean(trial.scores)
        assert trial.std == pytest.approx(np.std(trial.scores, ddof=1))
        assert trial.seconds > 0
    assert result.best.score == max(trial.score for trial in result.trials)
    assert result.recipe.learning_rate == result.best.values["learning_rate"]


def test_a_grid_leaves_a_table_a_picture_and_a_page(by_folds, look, trained):
    result = look(by_folds, RATES, folds=2)
    assert result.recipe == dataclasses.replace(by_folds, learning_rate=5e-3)
    check_files(result)
    page = (result.output / "README.md").read_text()
    assert "| learning_rate among | 0.001, 0.005 |" in page
    assert page.index("| 2 | 0.005 |") < page.index("| 1 | 0.001 |")


def check_files(result):
    folder = result.output
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "search.json",
        "search.png",
        "trials.csv",
    }
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, trial in zip(rows, result.trials, strict=True):
        assert float(row["learning_rate"]) == trial.values["learning_rate"]
        assert float(row["score"]) == trial.score
        assert [float(row["fold_1"]), float(row["fold_2"])] == trial.scores
    kept = json.loads((folder / "search.json").read_text())
    assert kept["recipe"] == dataclasses.asdict(result.recipe)
    assert [trial["score"] for trial in kept["trials"]] == [t.score for t in result.trials]
    assert kept["search"]["folds"] == 2
    page = (folder / "README.md").read_text()
    for part in (
        f"accuracy {result.best.score:.4f} ± {result.best.std:.4f}",
        "over 2 folds",
        kept["command"],
        "keras-tuner 1.",
    ):
        assert part in page
    with Image.open(folder / "search.png") as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 200
    assert 0.01 < (pixels < 200).mean() < 0.9


@pytest.mark.slow
def test_a_trial_scores_as_finetune_does(recipe, look, tmp_path):
    recipe = dataclasses.replace(recipe, seed=3)
    policy = keras.config.dtype_policy()
    found = look(recipe, {"epochs": [2]})
    made = finetune(dataclasses.replace(recipe, epochs=2), tmp_path / "made", progress=False)
    assert found.best.scores == [made.scores["accuracy"]]
    assert keras.config.dtype_policy() is policy


def test_folds_train_on_the_other_rows_and_score_the_last_epoch(by_folds, look, monkeypatch):
    import keras_bert_kit.search.trials as module

    seen = []

    def fit_model(recipe, model, train, callbacks, **options):
        seen.append(({*train.examples.texts}, callbacks))

    def evaluate(self, model, data, batch_size):
        trained, callbacks = seen[-1]
        assert callbacks == []
        assert not trained & {*data.examples.texts}
        assert len(trained) + len(data.examples.texts) == 12
        return {"rows": 4, "accuracy": 0.25 * len(seen), "loss": 0.0}

    monkeypatch.setattr(module, "fit_model", fit_model)
    monkeypatch.setattr(
        "keras_bert_kit.tasks.text_classification.TextClassification.evaluate", evaluate
    )
    result = look(by_folds, {"epochs": [1]}, folds=3)
    assert result.best.scores == [0.25, 0.5, 0.75]
    assert (result.best.score, result.best.std) == (0.5, 0.25)


def test_a_grid_tries_all(recipe, look, trained):
    space = {"learning_rate": [1e-3, 2e-3, 3e-3], "batch_size": [2, 4], "epochs": [1, 2]}
    result = look(recipe, space)
    assert sorted(tried(result)) == sorted(itertools.product(*space.values()))
    assert result.best.values == {"learning_rate": 3e-3, "batch_size": 2, "epochs": 1}
    assert [trial.std for trial in result.trials] == [None] * 12
    scores = [trial.score for trial in result.ranked]
    assert scores == sorted(scores, reverse=True)


def test_a_grid_can_be_cut_short(recipe, look, trained):
    assert len(look(recipe, {"learning_rate": [1e-3, 2e-3, 3e-3]}, trials=2).trials) == 2


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_the_seed_decides_the_trials(recipe, tmp_path, look, trained, strategy):
    space = {"learning_rate": {"min": 1e-5, "max": 1e-2, "log": True}}
    first, same, other = (
        tried(
            look(
                dataclasses.replace(recipe, seed=seed),
                space,
                tmp_path / str(number),
                strategy=strategy,
                trials=5,
            )
        )
        for number, seed in enumerate((0, 0, 1))
    )
    assert first == same != other
    assert len(set(first)) == 5
    assert all(1e-5 <= rate <= 1e-2 for (rate,) in first)


def test_the_bayesian_search_comes_nearer_to_the_best(recipe, look, trained):
    space = {"learning_rate": {"min": 1e-3, "max": 1e-1}}
    rates = [rate for (rate,) in tried(look(recipe, space, strategy="bayesian", trials=8))]
    assert max(rates[3:]) > 0.099  # the first three are random
    assert max(rates[:3]) < 0.099


def test_what_the_bayesian_search_asks_for_again_is_no_new_trial(recipe, look, trained):
    space = {"learning_rate": [1e-3, 2e-3]}
    result = look(recipe, space, strategy="bayesian", trials=6)
    assert len(tried(result)) == len({*tried(result)}) == len(trained) <= 2


def test_logs_are_as_before_after_a_search(recipe, look, trained):
    import logging

    loggers = [logging.getLogger(name) for name in ("keras_bert_kit", "tensorflow")]
    before = [list(logger.filters) for logger in loggers]
    look(recipe, RATES)
    assert [logger.filters for logger in loggers] == before


def test_a_random_search_ends_when_all_was_tried(recipe, look, trained):
    result = look(recipe, {"learning_rate": [1e-3, 2e-3]}, strategy="random", trials=7)
    assert {*tried(result)} <= {(1e-3,), (2e-3,)}
    assert len(tried(result)) == len({*tried(result)})


def test_what_does_not_fit_into_memory_is_a_failed_trial(recipe, look, monkeypatch):
    def score(self, recipe, fold):
        if recipe.batch_size > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return 0.5

    monkeypatch.setattr(TrialScorer, "_score", score)
    result = look(recipe, {"batch_size": [8, 16, 32, 64, 4, 128]})
    errors = [trial.error for trial in result.trials]
    assert errors == ["out of memory"] * 4 + [None, "out of memory"]
    assert result.best.values == {"batch_size": 4}
    assert "| 1 | 8 | out of memory |" in (result.output / "README.md").read_text()
    with pytest.raises(ValueError, match="Received: out of memory in all of them"):
        look(recipe, {"batch_size": [8, 16]}, result.output.with_name("other"))


def test_a_score_that_is_no_number_is_a_failed_trial(recipe, look, monkeypatch):
    scores = iter([float("nan"), 0.25])
    monkeypatch.setattr(TrialScorer, "_score", lambda *_: next(scores))
    result = look(recipe, {"batch_size": [8, 16]})
    assert [trial.error for trial in result.trials] == ["score nan", None]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"folds": 3}, r"not both. Received: validation='.*validation.tsv', folds=3"),
        ({"validation": None}, {}, "not both. Received: validation=None, folds=None"),
        ({"validation": None}, {"folds": 7}, "least class, 6 of '.*'. Received: folds=7"),
        ({"validation": None}, {"folds": 1}, "folds must lie between 2 and .*Received: folds=1"),
        ({"train": "absent.tsv"}, {}, "absent.tsv"),
        ({"model": "absent"}, {}, "absent"),
        ({}, {"space": {"max_length": [9, 51]}}, "at most 50.* Received: max_length=51"),
        ({}, {"resume": True}, r"no interrupted search .*found\.search"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused_and_leaves_nothing(
    recipe, look, tmp_path, changes, options, message
):
    options = {"space": RATES, **options}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        look(dataclasses.replace(recipe, **changes), **options)
    assert not list(tmp_path.iterdir())


def test_an_unknown_metric_is_an_error_and_not_a_failed_trial(by_folds, look, monkeypatch):
    monkeypatch.setattr("keras_bert_kit.search.trials.fit_model", lambda *_: None)
    with pytest.raises(ValueError, match=r"one of the task's scores: .*Received: 'f2'"):
        look(dataclasses.replace(by_folds, metric="f2"), {"epochs": [1]}, folds=2)


def test_an_output_that_exists_is_kept(recipe, look, tmp_path, trained):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "notes").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True, or --overwrite"):
        look(recipe, RATES)
    assert trained == []
    look(recipe, RATES, overwrite=True)
    assert not (tmp_path / "found" / "notes").exists()


@pytest.mark.parametrize("option", [{}, {"options": {"problem_type": "regression"}, "xla": False}])
def test_the_command_is_one_of_the_kit(recipe, option):
    import typer

    from keras_bert_kit.cli import app
    from keras_bert_kit.search.report import finetune_command

    recipe = dataclasses.replace(recipe, model="a b", **option)
    words = shlex.split(finetune_command(recipe, tmp := recipe.train))
    assert words[:3] == ["keras-bert-kit", "finetune", "text-classification"]
    assert words[-2:] == (["--problem-type", "regression"] if option else ["--output", tmp])
    tasks = typer.main.get_command(app).commands["finetune"]
    given = tasks.get_command(None, recipe.task).make_context(recipe.task, words[3:]).params
    assert (given["model"], given["learning_rate"]) == ("a b", recipe.learning_rate)


def test_refit_makes_the_model_of_the_best_recipe(by_folds, look, tmp_path, trained):
    result = look(by_folds, RATES, folds=2, refit=True)
    assert result.refitted == tmp_path / "found" / "best"
    card = (result.refitted / "README.md").read_text()
    assert "| learning_rate | 0.005 |" in card
    assert "No validation texts" in card
    assert (result.refitted / "model.safetensors").is_file()
    assert "The model is in `best/`" in (result.output / "README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["found"]
