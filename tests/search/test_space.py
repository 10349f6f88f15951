"""What may be varied, and what is refused."""

import pytest

from keras_bert_kit.search import PRESETS
from keras_bert_kit.search.space import SearchSpace
from keras_bert_kit.search.tuner import planned_trials


def test_the_preset_is_the_grid_of_the_paper(recipe):
    space = SearchSpace.of(recipe, PRESETS["paper"])
    assert space.size == 18
    assert space.as_json() == {
        "batch_size": [16, 32],
        "learning_rate": [5e-5, 3e-5, 2e-5],
        "epochs": [2, 3, 4],
    }


def test_a_trial_changes_fields_and_options(recipe):
    space = SearchSpace.of(
        recipe,
        {"weight_decay": [0, 0.1], "problem_type": ["regression", "multi_label_classification"]},
    )
    values = space.values({"weight_decay": 0.1, "problem_type": "regression"})
    changed = space.recipe_for(values)
    assert (changed.weight_decay, changed.options) == (0.1, {"problem_type": "regression"})
    assert changed.learning_rate == recipe.learning_rate


def test_options_that_are_true_or_false_stay_so(tiny_folder):
    from keras_bert_kit.training import FinetuningRecipe

    masked = FinetuningRecipe(model=str(tiny_folder), train="t", task="fill-mask")
    space = SearchSpace.of(masked, {"whole_word_mask": [False, True], "mlm_probability": [0.1]})
    found = space.hyperparameters().space[0].values
    assert [space.values({"whole_word_mask": v, "mlm_probability": 0.1}) for v in found] == [
        {"whole_word_mask": False, "mlm_probability": 0.1},
        {"whole_word_mask": True, "mlm_probability": 0.1},
    ]
    assert space.values({"whole_word_mask": 1, "mlm_probability": 0.1})["whole_word_mask"] is True


def test_numbers_of_a_range_have_four_digits_and_stay_within(recipe):
    limits = {"min": 1.23444e-5, "max": 9.87654e-5, "log": True}
    space = SearchSpace.of(recipe, {"learning_rate": limits, "epochs": {"min": 1, "max": 4}})
    assert space.size is None
    rates = [
        space.values({"learning_rate": found, "epochs": 2})["learning_rate"]
        for found in (1.23444e-5, 4.56789123e-5, 9.87654e-5)
    ]
    assert rates == [1.23444e-5, 4.568e-5, 9.87654e-5]
    rate, epochs = space.hyperparameters().space
    assert (rate.sampling, epochs.sampling) == ("log", "linear")
    assert isinstance(epochs.random_sample(1), int)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, r"at least one hyper-parameter\. Received: none.*presets?: paper"),
        ({"rate": [1.0]}, "must be one of epochs, .*problem_type. Received: 'rate'"),
        ({"xla": [True, False]}, "Received: 'xla'"),
        ({"epochs": []}, r"epochs must have a list of choices.*Received: epochs=\[\]"),
        ({"epochs": 3}, "epochs must have a list of choices"),
        ({"problem_type": "regression"}, "problem_type must have a list of choices"),
        ({"epochs": [2, 2.5]}, "epochs must be a whole number. Received: epochs=2.5"),
        ({"epochs": [True]}, "epochs must be a whole number. Received: epochs=True"),
        ({"epochs": [1, 0]}, "epochs must be at least 1. Received: 0"),
        ({"learning_rate": ["fast"]}, "learning_rate must be a number. Received: .*'fast'"),
        ({"learning_rate": [float("nan")]}, "learning_rate must be a number. Received: .*nan"),
        ({"learning_rate": [1, 1.0]}, r"each choice once. Received: learning_rate=\[1.0, 1.0\]"),
        ({"problem_type": ["poetry"]}, "problem_type must be one of.*Received: 'poetry'"),
        (
            {"problem_type": {"min": "a", "max": "b"}},
            "problem_type is a text and must have choices",
        ),
        ({"epochs": {"min": 1}}, "range of epochs must have min and max"),
        ({"epochs": {"min": 1, "max": 3, "step": 1}}, "range of epochs must have min and max"),
        ({"epochs": {"min": 3, "max": 3}}, "range of epochs must have min < max"),
        ({"seed": {"min": 0, "max": 3, "log": True}}, "log range of seed must have min > 0"),
        ({"seed": {"min": 0, "max": 3, "log": "yes"}}, "log of seed must be true or false"),
        ({"warmup_ratio": {"min": 0.5, "max": 2}}, "warmup_ratio must lie between 0 and 1"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(recipe, space, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace.of(recipe, space)


@pytest.mark.parametrize(
    ("strategy", "trials", "planned"),
    [
        ("grid", None, 6),
        ("grid", 4, 4),
        ("grid", 9, 6),
        ("random", None, 6),
        ("random", 5, 5),
        ("bayesian", None, 10),
    ],
)
def test_the_number_of_trials(recipe, strategy, trials, planned):
    space = SearchSpace.of(recipe, {"epochs": [1, 2, 3], "batch_size": [2, 4]})
    assert planned_trials(space, strategy, trials) == planned


@pytest.mark.parametrize(
    ("strategy", "trials", "message"),
    [
        ("genetic", None, "strategy must be one of grid, random, bayesian. Received: 'genetic'"),
        ("random", 0, "trials must be at least 1. Received: trials=0"),
        ("grid", 5, "A grid must have choices, and no range"),
    ],
)
def test_a_search_without_a_plan_is_refused(recipe, strategy, trials, message):
    space = SearchSpace.of(recipe, {"epochs": {"min": 1, "max": 3}})
    with pytest.raises(ValueError, match=message):
        planned_trials(space, strategy, trials)
