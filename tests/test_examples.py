import csv
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert_kit import BertForPreTraining, BertForSequenceClassification

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_finetune_classifier_leaves_a_model_that_is_served_without_the_kit(
    tmp_path, tiny_folder, reviews
):
    output = tmp_path / "reviews"
    printed = run(
        "finetune_classifier.py", tiny_folder, reviews["train"], reviews["validation"], output
    )
    assert "val_accuracy" in printed
    assert BertForSequenceClassification.from_pretrained(output).config.label_names == [
        "bad",
        "good",
    ]
    table = run("serve_without_the_kit.py", f"{output}-serving/1", "the food was good", "")
    head, *rows = table.splitlines()
    assert head.split() == ["label", "bad", "good", "text"]
    for row, text in zip(rows, ("the food was good", ""), strict=True):
        label, bad, good = row.split()[:3]
        assert abs(float(bad) + float(good) - 1) < 2e-4
        assert label == ("good" if float(good) > float(bad) else "bad")
        assert row.endswith(f"  {text}")


@pytest.mark.slow
@pytest.mark.parametrize("until", ["--epochs=6", "--minutes=0.1"])
def test_pretrain_leaves_a_model_and_its_curves(tmp_path, until):
    days = [f"day {number} was dry.\nthe wind came from the west." for number in range(60)]
    (tmp_path / "texts.txt").write_text("\n\n".join(days), encoding="utf-8")
    output = tmp_path / "bert"
    sizes = ["--hidden=16", "--layers=1", "--max-length=24", "--batch-size=8", "--vocab-size=60"]
    printed = run(
        "pretrain.py", output, tmp_path / "texts.txt", until, "--interval=10", "--no-xla", *sizes
    )
    loss, entropy = (float(line.split()[-2]) for line in printed.splitlines()[-2:])
    assert 0 < entropy < 4.1  # log 60
    model = BertForPreTraining.from_pretrained(output, new_head=False)
    assert model.config.vocab_size == len(model.tokenizer.tokens) <= 60
    assert (output / "pretraining_curves.png").stat().st_size > 10_000
    with open(output / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[0]["step"]) >= 1
    assert float(rows[-1]["val_prediction_logits_loss"]) == pytest.approx(loss, abs=1e-3)
    if until == "--epochs=6":
        assert [int(row["step"]) % int(rows[0]["step"]) for row in rows] == [0] * len(rows)
        assert loss < float(rows[0]["val_prediction_logits_loss"])


def test_from_scratch_trains_without_pretrained_weights(tmp_path, reviews):
    output = tmp_path / "scratch"
    sizes = ["--vocab-size=90", "--layers=1", "--hidden-size=64", "--max-length=24", "--epochs=15"]
    sizes.append("--learning-rate=5e-3")
    files = ["--train", reviews["train"], "--validation", reviews["validation"]]
    printed = run("from_scratch.py", *files, "--output", output, *sizes)
    assert "1 layers: accuracy" in printed
    model = BertForSequenceClassification.from_pretrained(output, new_head=False)
    assert model.config.vocab_size == len(model.tokenizer.tokens) <= 90
    assert float(printed.split("accuracy ")[1][:6]) > 0.9
