"""The command, in this process."""

import json
import sys

import pytest
import typer

from keras_bert_kit import cli
from keras_bert_kit.cli import searching
from keras_bert_kit.search.trials import TrialScorer


@pytest.fixture
def run(monkeypatch, capsys, by_folds, tmp_path):
    """Runs `search` on the few rows; gives exit code, standard output and error."""
    alone = typer.Typer()
    alone.add_typer(searching.app)
    alone.callback()(lambda: None)
    monkeypatch.setattr(cli, "app", alone)

    def run(*args, task="text-classification"):
        files = ["--model", by_folds.model, "--train", by_folds.train]
        fixed = ["--output", tmp_path / "found", "--max-length", 9, "--no-xla"]
        words = ["keras-bert-kit", "search", task, *files, *fixed, *args]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


def test_a_table_with_the_best_trial_first_and_the_command(run, trained, tmp_path):
    code, out, err = run("--folds", 2, "--set", "learning_rate=1e-3,2e-3", "--set", "batch-size=2")
    assert code == 0, err
    assert "trial 2 of 2: accuracy 0.5130 ± 0.0071" in err
    rows = [line.split() for line in out.splitlines() if "0.00" in line]
    assert [row[1] for row in rows[:2]] == ["2", "1"]
    assert f"Wrote {tmp_path / 'found'}" in out
    assert "keras-bert-kit finetune text-classification --model" in out


def test_json(run, trained):
    rates = "learning_rate=1e-5:1e-3:log"
    code, out, err = run(
        *("--folds", 2, "--range", rates, "--set", "problem_type=single_label_classification"),
        *("--strategy", "random", "--trials", 3, "--seed", 4, "--json"),
    )
    assert code == 0, err
    found = json.loads(out)
    assert len(found["trials"]) == 3
    assert found["best"]["score"] == max(trial["score"] for trial in found["trials"])
    assert found["recipe"]["options"] == {"problem_type": "single_label_classification"}
    assert found["recipe"]["seed"] == 4
    assert all(1e-5 <= trial["values"]["learning_rate"] <= 1e-3 for trial in found["trials"])


def test_a_choice_overrides_the_preset(run, trained):
    code, out, err = run("--folds", 2, "--preset", "paper", "--set", "epochs=1", "--json")
    assert code == 0, err
    values = [trial["values"] for trial in json.loads(out)["trials"]]
    assert len(values) == 6
    assert {one["epochs"] for one in values} == {1}


def test_an_interrupted_search_says_how_to_go_on(run, trained, monkeypatch, tmp_path):
    args = ["--folds", 2, "--set", "learning_rate=1e-3,2e-3"]
    with monkeypatch.context() as patch:
        score = TrialScorer._score

        def die(self, recipe, fold):
            if len(trained) == 3:
                raise KeyboardInterrupt
            return score(self, recipe, fold)

        patch.setattr(TrialScorer, "_score", die)
        code, _, err = run(*args)
    assert code == 130
    assert "3 training runs are kept in" in err
    assert "--resume goes on" in err
    code, _, err = run(*args, "--resume")
    assert code == 0, err
    assert len(trained) == 4


def test_an_early_interruption_keeps_nothing(run, monkeypatch):
    def die(self, recipe, fold):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrialScorer, "_score", die)
    code, _, err = run("--folds", 2, "--set", "epochs=1")
    assert (code, "nothing is kept" in err) == (130, True)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--folds", 2], "The space must vary at least one hyper-parameter"),
        (["--set", "epochs=1"], "validation file, or by folds"),
        (["--folds", 2, "--set", "epochs"], "--set must be NAME=A,B. Received: 'epochs'"),
        (["--folds", 2, "--set", "epochs=1,few"], "epochs must be a whole number"),
        (["--folds", 2, "--range", "epochs=1"], "--range must be NAME=MIN:MAX"),
        (["--folds", 2, "--range", "epochs=1:2:ln"], "--range must be NAME=MIN:MAX"),
        (["--folds", 2, "--preset", "pape"], "--preset must be one of paper. Received: 'pape'"),
        (["--folds", 2, "--option", "crf=true", "--set", "epochs=1"], "Received: crf"),
        (["--folds", 2, "--option", "crf", "--set", "epochs=1"], "--option must be NAME=VALUE"),
    ],
)
def test_a_mistake_is_one_line(run, tmp_path, args, message):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_is_one_line(run):
    code, _, err = run("--folds", 2, "--set", "epochs=1", task="poetry")
    assert code == 2
    assert "The task must be one of text-classification, " in err
