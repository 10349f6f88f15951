"""The command line in this process; test_cli_errors.py and test_cli_processes.py have the rest."""

import io
import json
import shutil
import subprocess
import sys

import pytest

from keras_bert_kit import cli

TEXTS = ["the food was good", "the room was very very very awful"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line; gives standard output."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["keras-bert-kit", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert caught.value.code in (0, None), err
        return out

    return run


@pytest.fixture(scope="module")
def artefact(trained_folder, tmp_path_factory):
    from keras_bert_kit import BertForSequenceClassification
    from keras_bert_kit.export import saved_model

    model = BertForSequenceClassification.from_pretrained(trained_folder)
    return saved_model(model, tmp_path_factory.mktemp("served") / "1")


def answers(out):
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["finetune", "--help"],
        ["finetune", "text-classification", "--help"],
        ["evaluate", "--help"],
        ["export", "--help"],
        ["serve-check", "--help"],
        ["convert", "--help"],
        ["predict", "--help"],
        ["explain", "--help"],
        ["search", "--help"],
        ["tasks", "--help"],
    ],
    ids=" ".join,
)
def test_help(run, args):
    shown = run(*args)
    assert "Usage: " in shown
    assert " ".join(args[:-1]) in shown


def test_help_loads_no_tensorflow():
    script = (
        "import sys; from keras_bert_kit.cli import app; sys.argv = ['keras-bert-kit', '--help']\n"
        "try:\n    app()\nexcept SystemExit as done:\n    assert not done.code\n"
        "print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"tensorflow", "keras", "matplotlib", "sklearn", "tokenizers", "h5py", "pandas"}
    assert not heavy & set(ran.stdout.splitlines()[-1].split())
    assert "Usage" in ran.stdout


def test_evaluate(run, trained_folder, reviews):
    scores = json.loads(run("evaluate", trained_folder, "--data", reviews["validation"], "--json"))
    kept = json.loads((trained_folder / "evaluation.json").read_text())
    assert scores["accuracy"] == kept["accuracy"]
    assert scores["confusion_matrix"] == kept["confusion_matrix"]
    assert scores["data"]["texts"] == scores["rows"] == 32
    shown = run("evaluate", trained_folder, "--data", reviews["validation"], "--batch-size", 5)
    assert f"accuracy {kept['accuracy']:.4f}" in shown
    assert "bad" in shown


def test_evaluate_counts_empty_and_cut_texts(run, trained_folder, tmp_path):
    data = tmp_path / "data.tsv"
    data.write_text("text\tlabel\n\tbad\n" + "very " * 50 + "good\tgood\n")
    scores = json.loads(run("evaluate", trained_folder, "--data", data, "--json"))
    assert (scores["data"]["empty"], scores["data"]["truncated"]) == (1, 1)


def test_evaluate_takes_the_length_that_the_model_can(run, trained_folder, reviews, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 512}))
    scores = json.loads(run("evaluate", folder, "--data", reviews["validation"], "--json"))
    assert scores["rows"] == 32


def test_predict_texts(run, trained_folder):
    rows = answers(run("predict", trained_folder, *TEXTS, "--json"))
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == ["good", "bad"]
    for row in rows:
        assert row["score"] == row["probabilities"][row["label"]] > 0.5
    shown = run("predict", trained_folder, *TEXTS)
    assert "good" in shown
    assert f"{rows[0]['score']:.4f}" in shown


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.txt", "\n".join(TEXTS)),
        ("texts.tsv", "id\ttext\n" + "".join(f"1\t{text}\n" for text in TEXTS)),
        ("texts.csv", "text,id\n" + "".join(f"{text},1\n" for text in TEXTS)),
        ("texts.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)),
    ],
)
def test_predict_a_file(run, trained_folder, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    rows = answers(run("predict", trained_folder, "--input", tmp_path / name, "--json"))
    assert [(row["text"], row["label"]) for row in rows] == list(
        zip(TEXTS, ["good", "bad"], strict=True)
    )


def test_predict_pairs(run, trained_folder, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("text\ttext_pair\ngood food\tvery bad\n")
    (row,) = answers(run("predict", trained_folder, "--input", path, "--json"))
    assert (row["text"], row["text_pair"]) == ("good food", "very bad")


def stream(text):
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", newline="")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_predict_standard_input(run, artefact, monkeypatch, end):
    monkeypatch.setattr(sys, "stdin", stream(end.join(["é good", "", "bad"]) + end))
    rows = answers(run("predict", artefact, "--input", "-", "--json"))
    assert [row["text"] for row in rows] == ["é good", "", "bad"]


def test_predict_nothing_from_standard_input(run, artefact, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stream(""))
    assert run("predict", artefact, "--input", "-", "--json") == ""
    monkeypatch.setattr(sys, "stdin", stream(""))
    assert "No texts" in run("predict", artefact, "--input", "-")


@pytest.mark.parametrize(
    "text", ["[b]good[/b]", "[/] good", "[red]good", "good \\[", "好 🎉 :smile:"]
)
def test_texts_are_shown_as_they_are(run, artefact, text):
    shown = run("predict", artefact, text)
    assert text in shown


def test_export_then_predict(run, trained_folder, tmp_path):
    output = tmp_path / "reviews-serving" / "1"
    shown = run("export", trained_folder, "--format", "saved-model", "--output", output)
    assert "Wrote" in shown
    ours, served = (answers(run("predict", path, *TEXTS, "--json")) for path in
                    (trained_folder, output))  # fmt: skip
    for one, other in zip(ours, served, strict=True):
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_export_to_bfloat16_as_json(run, trained_folder, reviews, tmp_path):
    output = tmp_path / "reviews-serving" / "1"
    options = ["--weights", "bfloat16", "--max-length", 9, "--texts", reviews["train"], "--json"]
    done = json.loads(run("export", trained_folder, "--output", output, *options))
    files = [file for file in output.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    assert done == {"path": str(output), "format": "saved-model", "bytes": size}
    assert "| weights | bfloat16 |" in (output.parent / "README.md").read_text()


@pytest.mark.slow
def test_export_to_litert(run, trained_folder, reviews, tmp_path):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("ai_edge_quantizer")
    export = ["export", trained_folder, "--format", "litert", "--max-length", 12, "--output"]
    shown = run(*export, tmp_path / "reviews", "--data", reviews["validation"])
    for part in ("model.ids.tflite", "float32", "Keras model's accuracy is", "(32 texts)"):
        assert part in shown
    options = ["--quantize", "int8", "--texts", reviews["train"], "--allow-drop", "--json"]
    done = json.loads(run(*export, tmp_path / "whole", *options))
    assert done["path"] == str(tmp_path / "whole")
    assert not done["labelled"]
    assert done["models"]["model.ids.tflite"]["format"] == "int8"
    assert done["models"]["model.text.tflite"]["scores"]["texts"] > 32


@pytest.mark.slow
def test_export_to_onnx(run, trained_folder, tmp_path):
    pytest.importorskip("tf2onnx")
    output = tmp_path / "reviews.onnx"
    shown = run("export", trained_folder, "--format", "onnx", "--output", output)
    assert f"Wrote {output}" in shown
    assert output.is_file()


def test_finetune(run, tiny_folder, reviews, tmp_path):
    output = tmp_path / "out"
    args = ["finetune", "text-classification", "--model", tiny_folder, "--output", output,
            "--train", reviews["train"], "--validation", reviews["validation"], "--epochs", 1,
            "--max-length", 24, "--learning-rate", 5e-3, "--seed", 3, "--json"]  # fmt: skip
    result = json.loads(run(*args))
    assert result["output"] == str(output)
    assert result["best_epoch"] == len(result["history"]) == 1
    assert [part["texts"] for part in result["data"]] == [112, 32]
    assert result["scores"] == json.loads((output / "evaluation.json").read_text())
    assert "| seed | 3 |" in (output / "README.md").read_text()
    (output / "notes").write_text("old")
    shown = run(*args[:-1], "--overwrite")
    assert "accuracy" in shown
    assert "after epoch 1" in shown
    assert not (output / "notes").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_path_with_brackets_is_shown_as_it_is(run, trained_folder, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "[v1]")
    shown = run("convert", folder, tmp_path / "[copy]", "--to", "huggingface")
    assert "[copy]" in shown.replace("\n", "")


def test_convert_writes_another_format_and_compares_both_sides(run, trained_folder, tmp_path):
    args = ["--to", "huggingface", "--verify"]
    shown = run("convert", trained_folder, tmp_path / "copy", *args)
    assert "BertForSequenceClassification, 41 weights" in " ".join(shown.split())
    assert "Largest difference of outputs: 0 (at most 1e-05)" in shown
    args = ["--to", "tf1", "--layer-norm-eps", "1e-12", "--json"]
    answer = json.loads(run("convert", trained_folder, tmp_path / "tf1", *args))
    assert answer["to"] == "tf1"
    assert answer["output"] == str(tmp_path / "tf1")
    assert answer["largest_difference"] is None
    assert (tmp_path / "tf1" / "bert_model.ckpt.index").is_file()
    kept = (trained_folder / "model.safetensors").read_bytes()
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == kept


def test_tasks_lists_every_task(run):
    from keras_bert_kit.tasks import TASKS

    rows = json.loads(run("tasks", "--json"))
    assert [row["task"] for row in rows] == list(TASKS)
    assert all(row["does"] and row["files"] for row in rows)
    assert "token-classification" in run("tasks")


def test_the_options_of_a_task_are_its_own(run):
    shown = run("finetune", "token-classification", "--help")
    assert "--crf" in shown
    assert "--problem-type" not in shown
    assert "[default: 384]" in run("finetune", "question-answering", "--help")


def test_a_tagger_is_trained_scored_and_asked(run, tiny_folder, tmp_path):
    data, output = tmp_path / "train.txt", tmp_path / "names"
    sentences = [f"the O\n{thing} B-X\nwas O\n{word} O\n" for thing in ("food", "room", "film")
                 for word in ("good", "bad", "slow")]  # fmt: skip
    data.write_text("\n".join(sentences))
    settings = ("--epochs", 12, "--batch-size", 2, "--learning-rate", 5e-3, "--max-length", 16)
    shown = run("finetune", "token-classification", "--model", tiny_folder, "--train", data,
                "--validation", data, "--output", output, *settings)  # fmt: skip
    assert "scheme" in shown
    assert "f1 1.0000" in shown
    scores = json.loads(run("evaluate", output, "--data", data, "--json"))
    assert (scores["f1"], scores["data"]["sentences"]) == (1.0, 9)
    (answer,) = answers(run("predict", output, "the film was good", "--json"))
    (found,) = answer["entities"]
    assert (found["text"], found["label"], found["start"], found["end"]) == ("film", "X", 4, 8)
    assert "film" in run("predict", output, "the film was good")


def test_predict_with_a_second_text(run, trained_folder, tmp_path):
    (tmp_path / "pairs.tsv").write_text("text\ttext_pair\n" + f"{TEXTS[0]}\t{TEXTS[1]}\n")
    (one,) = answers(run("predict", trained_folder, TEXTS[0], "--with", TEXTS[1], "--json"))
    (other,) = answers(run("predict", trained_folder, "--input", tmp_path / "pairs.tsv", "--json"))
    assert one == other
    assert (one["text"], one["text_pair"]) == tuple(TEXTS)
