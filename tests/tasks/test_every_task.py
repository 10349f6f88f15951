"""What holds for every task, from the file to the served answer."""

import dataclasses
import json

import pytest
from task_cases import CASES

import keras_bert_kit as kbk
from keras_bert_kit.export import litert, saved_model
from keras_bert_kit.tasks import TASKS, get_task, task_of
from keras_bert_kit.training import evaluate


def test_every_task_has_a_case():
    assert {name.partition(",")[0] for name in CASES} == TASKS.keys()


@pytest.mark.parametrize("name", TASKS)
def test_the_table_is_true(name):
    task = get_task(name)
    assert type(task).name == name
    assert isinstance(task.metric, str)
    assert isinstance(task.purpose, str)
    assert all(field.metadata["help"] for field in dataclasses.fields(task))


def test_the_task_is_learnt(trained, case):
    score, least = case[1].learnt
    assert trained.scores[score] >= least, trained.scores
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


def test_the_folder_names_its_task(model, trained, case):
    name, case = case
    assert model.config.finetuning_task == name
    task = task_of(model)
    assert task.name == name
    shown = {option: getattr(task, option) for option in case.options}
    assert shown == case.options
    assert f"pipeline_tag: {name}" in (trained.output / "README.md").read_text()


def test_the_loaded_model_has_the_same_scores(model, trained, case):
    scores = evaluate(model, trained.output.parent / case[1].name, batch_size=5)
    kept = json.loads((trained.output / "evaluation.json").read_text())
    del scores["data"]
    assert scores.keys() == kept.keys()
    for name, value in kept.items():
        if isinstance(value, float):
            assert scores[name] == pytest.approx(value, abs=1e-4), name


def test_the_artefact_answers_as_the_model(model, case, tmp_path):
    columns = case[1].columns
    expected = kbk.pipeline(model)(*columns)
    assert len(expected) == len(columns[0])
    json.dumps(expected)  # plain Python
    found = kbk.pipeline(saved_model(model, tmp_path / "1"))(*columns, batch_size=2)
    check_alike(found, expected)


#: Tasks that LiteRT lacks something for, and what.
NOT_ON_LITE = {"token-classification, CRF and LSTM": "use_crf=True"}


@pytest.mark.slow
def test_the_litert_model_answers_as_the_model(model, case, tmp_path):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("ai_edge_quantizer")
    name = next(name for name, one in CASES.items() if one is case[1])
    if name in NOT_ON_LITE:
        with pytest.raises(ValueError, match=NOT_ON_LITE[name]):
            litert(model, tmp_path / "lite")
        return
    columns = case[1].columns
    done = litert(model, tmp_path / "lite", max_length=model.max_length)
    scores = done.models["model.text.tflite"].scores
    assert scores.largest_difference < 1e-5
    found = kbk.pipeline(done.path)(*columns, batch_size=2)
    check_alike(found, kbk.pipeline(model)(*columns))


def check_alike(found, expected):
    """Two nests of answers are equal, but for the last digits of numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            check_alike(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5)
    else:
        assert found == expected
