"""Fine-tuning runs that are refused, and what they leave behind."""

import contextlib
import dataclasses

import pytest

from keras_bert_kit.training import finetune


def run(recipe, output, **changes):
    recipe = dataclasses.replace(recipe, **changes)
    return finetune(recipe, output, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1. Received: 0"),
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"head_learning_rate": 0.0}, "head_learning_rate must be above 0"),
        ({"precision": "float8"}, "precision must be one of float32.* Received: 'float8'"),
        ({"max_length": 51}, "max_length must be at most 50.* Received: max_length=51"),
        ({"max_length": 2}, "max_length must be at least 3"),
        ({"warmup_ratio": 1.5}, "warmup"),
        ({"train": "absent.tsv"}, "absent.tsv"),
        ({"validation": "absent.tsv"}, "absent.tsv"),
        ({"model": "absent"}, "absent"),
    ],
)
def test_a_recipe_that_cannot_be_run_is_refused_and_leaves_nothing(
    recipe, tmp_path, changes, message
):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(recipe, tmp_path / "out", **changes)
    assert not list(tmp_path.iterdir())


def test_one_class_is_refused(recipe, tmp_path):
    train = tmp_path / "train.tsv"
    train.write_text("good food\tgood\nnice room\tgood\n")
    with pytest.raises(ValueError, match=r"at least two classes\. Received: 'good' in all 2 rows"):
        run(recipe, tmp_path / "out", train=str(train))


def test_a_label_that_training_never_saw_is_refused(recipe, tmp_path):
    validation = tmp_path / "validation.tsv"
    validation.write_text("good food\tgood\nnice room\tfine\n")
    with pytest.raises(ValueError, match=r"validation\.tsv.* 'bad', 'good'. Received: 'fine'"):
        run(recipe, tmp_path / "out", validation=str(validation))
    assert [path.name for path in tmp_path.iterdir()] == ["validation.tsv"]


def test_an_output_that_exists_is_kept(recipe, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True, or --overwrite"):
        run(recipe, tmp_path / "out")
    assert (tmp_path / "out" / "notes").read_text() == "mine"


def test_a_folder_that_is_no_interrupted_run_is_kept(recipe, tmp_path):
    (tmp_path / "out.training").mkdir()
    (tmp_path / "out.training" / "notes").write_text("mine")
    with contextlib.suppress(FileExistsError):
        run(recipe, tmp_path / "out", validation=None)
    assert (tmp_path / "out.training" / "notes").read_text() == "mine"
