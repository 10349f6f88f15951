"""What a fine-tuning run gives; test_refusals.py and test_resuming.py have those that fail."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from keras_bert_kit import BertConfig, BertForSequenceClassification, BertTokenizer, __version__
from keras_bert_kit.data import length_buckets
from keras_bert_kit.tasks.text_classification import TextClassification
from keras_bert_kit.training import evaluate, finetune
from keras_bert_kit.training.finetuning import compile_model, fit_model, new_model


def run(recipe, output, **changes):
    recipe = dataclasses.replace(recipe, **changes)
    return finetune(recipe, output, progress=False)


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_folder_holds_all_files_and_nothing_lies_beside_it(trained_folder):
    assert {path.name for path in trained_folder.iterdir()} == {
        "README.md",
        "config.json",
        "confusion_matrix.png",
        "evaluation.json",
        "history.csv",
        "model.safetensors",
        "tensorboard",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_curves.png",
        "vocab.txt",
    }
    assert [path.name for path in trained_folder.parent.iterdir()] == [trained_folder.name]


def test_the_config_names_the_classes(trained_folder):
    assert BertConfig.from_file(trained_folder / "config.json").label_names == ["bad", "good"]


def test_the_tokenizer_keeps_the_length_of_the_training(trained_folder):
    assert BertTokenizer.from_pretrained(trained_folder).model_max_length == 24


def test_the_model_has_learnt(trained_folder):
    scores = json.loads((trained_folder / "evaluation.json").read_text())
    assert scores["rows"] == 32
    assert scores["accuracy"] >= 0.9
    assert scores["macro_f1"] >= 0.9
    matrix = np.array(scores["confusion_matrix"])
    assert matrix.sum() == 32
    assert matrix.trace() / 32 == scores["accuracy"]
    assert [scores["labels"][name]["support"] for name in ("bad", "good")] == matrix.sum(1).tolist()


def test_the_loaded_model_has_the_same_scores(trained_folder, reviews):
    model = BertForSequenceClassification.from_pretrained(trained_folder)
    assert not model.loading_report.new
    scores = evaluate(model, reviews["validation"], batch_size=5)
    assert scores.pop("data")["texts"] == 32
    kept = json.loads((trained_folder / "evaluation.json").read_text())
    assert scores["loss"] == pytest.approx(kept.pop("loss"), abs=1e-6)
    del scores["loss"]
    assert scores == kept


def test_the_best_epoch_is_kept(trained_folder):
    rows = history(trained_folder)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    scores = json.loads((trained_folder / "evaluation.json").read_text())
    assert scores["accuracy"] == pytest.approx(best["val_accuracy"], abs=1e-6)
    assert scores["loss"] == pytest.approx(best["val_loss"], abs=1e-5)
    card = (trained_folder / "README.md").read_text()
    assert f"those after epoch {best['epoch']:.0f} of 5" in card


def test_the_learning_rate_in_the_history_falls_to_zero(trained_folder):
    rates = [row["learning_rate"] for row in history(trained_folder)]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[0] < 5e-3
    assert rates[-1] == 0


def test_the_model_card_tells_scores_recipe_and_versions(trained_folder, tiny_folder, reviews):
    card = (trained_folder / "README.md").read_text(encoding="utf-8")
    scores = json.loads((trained_folder / "evaluation.json").read_text())
    for part in (
        f"accuracy {scores['accuracy']:.4f}",
        "`bad`, `good`",
        f"keras-bert-kit {__version__}",
        "| learning_rate | 0.005 |",
        "| seed | 0 |",
        str(tiny_folder),
        str(reviews["train"]),
        "| 112 | 0 | 0 |",
        "![training curves](training_curves.png)",
        "![confusion matrix](confusion_matrix.png)",
    ):
        assert part in card


@pytest.mark.parametrize("name", ["training_curves.png", "confusion_matrix.png"])
def test_the_plots_show_something(trained_folder, name):
    with Image.open(trained_folder / name) as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 200
    assert 0.01 < (pixels < 200).mean() < 0.9


def test_tensorboard_has_a_point_an_epoch(trained_folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for part, tag in (("train", "epoch_loss"), ("validation", "epoch_accuracy")):
        events = EventAccumulator(str(trained_folder / "tensorboard" / part))
        events.Reload()
        assert [event.step for event in events.Tensors(tag)] == [0, 1, 2, 3, 4]


def test_without_validation_the_last_epoch_is_kept(recipe, tmp_path):
    result = run(recipe, tmp_path / "out", validation=None, epochs=2)
    assert (result.best_epoch, result.scores, len(result.data)) == (2, None, 1)
    names = {path.name for path in result.output.iterdir()}
    assert not names & {"evaluation.json", "confusion_matrix.png"}
    assert names >= {"training_curves.png", "README.md", "model.safetensors", "history.csv"}
    assert "No validation texts" in (result.output / "README.md").read_text()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(recipe, tmp_path):
    files = [
        run(recipe, tmp_path / str(index), seed=seed).output / "model.safetensors"
        for index, seed in enumerate((4, 4, 5))
    ]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_empty_and_cut_texts_are_counted(recipe, tmp_path):
    train = tmp_path / "train.tsv"
    rows = ["\tbad", "good food\tgood", "very " * 40 + "\tbad", "...\tgood"]
    train.write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    result = run(recipe, tmp_path / "out", train=str(train), validation=None)
    assert result.data == [
        {"file": str(train), "texts": 4, "empty": 1, "truncated": 1, "mean_tokens": 8.8}
    ]
    assert f"| {train} | 4 | 1 | 1 |" in (result.output / "README.md").read_text()


def test_pairs(recipe, tmp_path):
    train = tmp_path / "train.tsv"
    train.write_text("text\ttext_pair\tlabel\n" + "good\tbad\t0\ngood\tgood\t1\n" * 8)
    result = run(recipe, tmp_path / "out", train=str(train), validation=str(train))
    assert result.scores["rows"] == 16


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_lower_precision_trains_and_is_saved_in_float32(recipe, tmp_path, precision):
    result = run(recipe, tmp_path / "out", precision=precision)
    assert np.isfinite(result.history[0]["loss"])
    tensors = safetensors.numpy.load_file(result.output / "model.safetensors")
    assert {array.dtype.name for array in tensors.values()} == {"float32"}
    assert all(np.isfinite(array).all() for array in tensors.values())


@pytest.mark.slow
def test_xla_gives_about_the_same_loss(recipe, tmp_path):
    plain = run(recipe, tmp_path / "plain", xla=False).history[0]
    compiled = run(recipe, tmp_path / "compiled", xla=True).history[0]
    for name in ("loss", "val_loss"):
        assert compiled[name] == pytest.approx(plain[name], abs=0.05)


@pytest.mark.parametrize("xla", [False, True])
def test_only_for_xla_are_batches_padded_to_few_lengths(recipe, xla, monkeypatch):
    recipe = dataclasses.replace(recipe, xla=xla)
    task = TextClassification()
    examples = task.read(recipe.train)
    model = new_model(task, recipe, recipe.model, task.config(examples))
    train = task.data(model, examples, recipe.max_length)
    compile_model(task, recipe, model, len(train.features))
    batches = []
    monkeypatch.setattr(model, "fit", lambda given, **_: batches.extend(given))
    fit_model(recipe, model, train, [])
    masks = [inputs["attention_mask"].numpy() for inputs, _ in batches]
    lengths = {mask.shape[1] for mask in masks}
    assert lengths <= set(length_buckets(recipe.max_length)) or not xla
    assert any(mask.shape[1] > mask.sum(1).max() for mask in masks) == xla
