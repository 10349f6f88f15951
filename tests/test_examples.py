import csv
import gzip
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from task_cases import CASES

from keras_bert_kit import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
)
from keras_bert_kit.data import read_examples

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


# What each example prints for the case of its task, after the scores.
TASKS = {
    "named_entities": ("token-classification", r"\[|Marie Curie"),
    "semantic_roles": ("semantic-role-labeling", r"F1 0\.\d+ of 80 rows"),
    "questions": ("question-answering", r"Who drew the bridge\?\n  0\.\d+  .+\n(.*\n)+.*no answer"),
    "sentence_pairs": ("text-classification, pairs", r"\n(same|other)  0\.\d+  The shop.* \| "),
    "long_documents": (
        "document-classification",
        r"(good|bad) \(.*\), 1 windows\n  1\.000  it was",
    ),
    "choices": ("multiple-choice", r"0\.\d+  It broke on the floor\.\n0\.\d+  The table"),
    "masked_words": ("fill-mask", r"lazy dog\.\n(  \[MASK\] 1: 0\.\d+  \S+\n){5}"),
}


@pytest.fixture
def long_folder(tmp_path, tiny_vocab):
    """A tiny model at random that takes as many tokens as BERT does."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tiny_vocab), intermediate_size=16, **sizes)
    BertModel(config, tokenizer=BertTokenizer(tiny_vocab)).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_the_examples_of_tasks_train_and_answer(name, tmp_path, long_folder, capsys):
    task, printed = TASKS[name]
    if task.endswith("pairs"):
        file, content = "train.tsv", "text\ttext_pair\tlabel\na\ta\tsame\na\tfilm\tother\n" * 8
    else:
        file, content = CASES[task].name, CASES[task].content
    (tmp_path / file).write_text(content, encoding="utf-8")
    main = runpy.run_path(str(EXAMPLES / "tasks" / f"{name}.py"))["main"]
    main(str(long_folder), *[str(tmp_path / file)] * 2, str(tmp_path / "model"))
    assert re.search(printed, capsys.readouterr().out)


def test_semantic_search_finds_a_line_by_itself(tmp_path, tiny_folder, capsys):
    lines = ["the food was great", "the room was bad", "a slow phone", "it was"]
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    main = runpy.run_path(str(EXAMPLES / "tasks" / "semantic_search.py"))["main"]
    main(str(tiny_folder), str(tmp_path / "lines.txt"), lines[2])
    asked, best, *others = capsys.readouterr().out.splitlines()
    assert (asked, best, len(others)) == (lines[2], f"  1.000  {lines[2]}", 2)


PUBLIC = {
    "cola": ('gj04\t1\t\tIt "ran.\ngj04\t0\t*\tIt run ran.\n', 'It "ran.|1', "It run ran.|0"),
    "liar": (
        "".join(
            f"1.json\tfalse\tIt is {party}.\tx\tsomeone\t\t\t{party}\t0\t0\t0\t0\t0\tx\n"
            for party in ("republican", "none", "democrat")
        ),
        "It is republican.|republican",
        "It is democrat.|democrat",
    ),
    "movies": ("a b .\t1\nc\t0\n", "a b .|positive", "c|negative"),
    "mrpc": (
        'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t2\t3\tA "b.\tB a.\r\n',
        'A "b.|B a.|1',
    ),
    "stsb": ('"A, b.",A b.,4.6\nC.,D.,0.0\n', "A, b.|A b.|4.6", "C.|D.|0.0"),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_data_sets_become_files_of_the_kit(name, tmp_path, monkeypatch):
    content, *rows = PUBLIC[name]
    with gzip.open(tmp_path / "file.gz", "wb") as file:
        file.write(content.encode("utf-8-sig"))
    check_converted(monkeypatch, name, [tmp_path / "file.gz"], rows)


def test_languages_become_a_column(tmp_path, monkeypatch):
    for language in ("hindi", "french"):
        (tmp_path / language).mkdir()
        (tmp_path / language / "train_text.txt").write_text(f"a {language}\nb \u2028 c\n", "utf-8")
        (tmp_path / language / "train_labels.txt").write_text("2\n0")
    files = [tmp_path / language / "train_text.txt" for language in ("hindi", "french")]
    rows = [
        f"{text}|{label}|{language}"
        for language in ("hindi", "french")
        for text, label in ((f"a {language}", "positive"), ("b \u2028 c", "negative"))
    ]
    check_converted(monkeypatch, "xlmt", files, rows)


def check_converted(monkeypatch, name, files, rows):
    output = files[0].parent / "out.tsv"
    monkeypatch.setattr(sys, "argv", ["", name, *map(str, files), "--output", str(output)])
    runpy.run_path(str(EXAMPLES / "public_datasets.py"), run_name="__main__")
    found = read_examples(str(output))
    columns = (found.texts, found.text_pairs, found.labels, found.languages)
    assert ["|".join(row) for row in zip(*(c for c in columns if c), strict=True)] == rows
