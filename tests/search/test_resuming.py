"""Searches that are interrupted, and how they go on."""

import dataclasses

import pytest

from keras_bert_kit.search.trials import TrialScorer

SPACES = {
    "grid": {"learning_rate": [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]},
    "random": {"learning_rate": {"min": 1e-3, "max": 1e-2}},
    "bayesian": {"learning_rate": {"min": 1e-3, "max": 1e-2}},
}


@pytest.fixture
def killed(look, by_folds, trained, monkeypatch):
    """Runs a search of 5 trials of 2 folds that ends in the second fold of the fourth."""

    def run(strategy, **options):
        score = TrialScorer._score

        def score_or_die(self, recipe, fold):
            if len(trained) == 7:
                raise KeyboardInterrupt
            return score(self, recipe, fold)

        with monkeypatch.context() as patch:
            patch.setattr(TrialScorer, "_score", score_or_die)
            with pytest.raises(KeyboardInterrupt):
                look(by_folds, SPACES[strategy], strategy=strategy, trials=5, folds=2, **options)
        return by_folds, SPACES[strategy]

    return run


def without_times(result):
    return [dataclasses.replace(trial, seconds=0) for trial in result.trials]


@pytest.mark.parametrize("strategy", list(SPACES))
def test_a_resumed_search_repeats_nothing_and_ends_as_an_unbroken_one(
    killed, look, tmp_path, trained, strategy
):
    recipe, space = killed(strategy)
    assert len(trained) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["found.search"]
    options = {"strategy": strategy, "trials": 5, "folds": 2}
    result = look(recipe, space, resume=True, **options)
    assert len(trained) == len(set(trained)) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["found"]
    assert without_times(result) == without_times(look(recipe, space, tmp_path / "b", **options))
    assert len(trained) == 20


def test_a_resumed_search_may_have_more_trials(killed, look, trained):
    recipe, space = killed("random")
    result = look(recipe, space, strategy="random", trials=6, folds=2, resume=True)
    assert len(result.trials) == 6
    assert len(trained) == len(set(trained)) == 12


@pytest.mark.parametrize(
    ("recipe_changes", "changes", "message"),
    [
        ({"batch_size": 3}, {}, "Received: batch_size=3, was 6"),
        ({}, {"folds": 3}, "Received: folds=3, was 2"),
        ({}, {"strategy": "random"}, "Received: strategy='random', was 'grid'"),
        ({}, {"space": {"learning_rate": [1e-3]}}, r"space=\{'learning_rate': \[0.001\]\}, was"),
    ],
)
def test_another_search_is_not_resumed(
    killed, look, tmp_path, trained, recipe_changes, changes, message
):
    recipe, space = killed("grid")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    options = {"space": space, "strategy": "grid", "folds": 2, **changes}
    with pytest.raises(ValueError, match=message):
        look(dataclasses.replace(recipe, **recipe_changes), resume=True, **options)
    assert len(trained) == 7
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_interrupted_search_is_not_dropped_unasked(killed, look, trained):
    recipe, space = killed("grid")
    with pytest.raises(FileExistsError, match=r"--resume.*--overwrite"):
        look(recipe, space, folds=2)
    assert len(trained) == 7
    look(recipe, space, folds=2, overwrite=True)
    assert len(trained) == 17


@pytest.mark.parametrize("name", ["runs.json", "settings.json"])
def test_a_damaged_state_is_an_error_that_names_the_file(killed, look, tmp_path, name):
    recipe, space = killed("grid")
    path = tmp_path / "found.search" / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=f"{name} must be a whole JSON file"):
        look(recipe, space, folds=2, resume=True)


def test_a_folder_that_is_no_search_is_kept(recipe, look, tmp_path):
    (tmp_path / "found.search").mkdir()
    (tmp_path / "found.search" / "notes").write_text("mine")
    with pytest.raises(FileExistsError, match="something else is there"):
        look(recipe, SPACES["grid"], overwrite=True)
    assert (tmp_path / "found.search" / "notes").read_text() == "mine"


@pytest.mark.slow
def test_a_refit_that_was_interrupted_goes_on(by_folds, look, tmp_path, trained, monkeypatch):
    def die(*args, **kwargs):
        raise KeyboardInterrupt

    space = {"learning_rate": [1e-3, 2e-3]}
    with monkeypatch.context() as patch:
        patch.setattr("keras_bert_kit.training.finetuning.write_model_card", die)
        with pytest.raises(KeyboardInterrupt):
            look(by_folds, space, folds=2, refit=True)
    assert [path.name for path in tmp_path.iterdir()] == ["found.search"]
    monkeypatch.setattr("keras_bert_kit.training.finetuning.fit_model", die)  # it is trained
    result = look(by_folds, space, folds=2, refit=True, resume=True)
    assert len(trained) == 4
    assert (result.refitted / "README.md").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["found"]
