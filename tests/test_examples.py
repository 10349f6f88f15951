import subprocess
import sys
from pathlib import Path

from keras_bert_kit import BertForSequenceClassification

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
