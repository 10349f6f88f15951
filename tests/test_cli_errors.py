"""Every error of the command line: exit code 2, one line that says what was wrong, nothing lost."""

import io
import json
import shutil
import sys

import pytest

from keras_bert_kit import cli, tasks, training

HEADER = "text\tlabel\n"
GOOD = "good food\tgood\nbad food\tbad\n"


@pytest.fixture
def fail(monkeypatch, capsys):
    """Runs the command line, which has to fail; gives the message."""

    def fail(*args, code=2):
        monkeypatch.setattr(sys, "argv", ["keras-bert-kit", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert caught.value.code == code, err
        assert out == ""
        assert err.startswith("Error: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in err
        return err

    return fail


@pytest.fixture
def finetune(fail, tiny_folder, reviews, tmp_path):
    """Runs a fine-tuning, which has to fail; gives the message."""

    def finetune(*args, **options):
        values = {
            "--model": tiny_folder,
            "--train": reviews["train"],
            "--output": tmp_path / "out",
            "--max-length": 24,
            **options,
        }
        flat = [item for pair in values.items() for item in pair]
        return fail("finetune", "text-classification", *flat, *args)

    return finetune


def check_parts(message, *parts):
    for part in parts:
        assert part in message


@pytest.mark.parametrize("option", ["--train", "--validation"])
@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["nothing is there", "check the path"]),
        (b"", ["at least one row"]),
        (b"text\tlabel\n", ["at least one row"]),
        (b"text\tkind\n" + GOOD.encode(), ["line 1", "'label' is missing", "rename"]),
        (b"text\tlabel\ngood\tgood\nbad\n", ["line 3 has 1 field, needs 2", "complete or remove"]),
        (b"text\tlabel\ngood\tgood\n\xff\tbad\n", ["line 3 must be UTF-8", "convert"]),
        (b"text\tlabel\ngood\tgood\nbad\t\n", ["line 3 must have a label"]),
    ],
    ids=["missing", "empty", "header only", "column", "fields", "UTF-8", "no label"],
)
def test_a_file_that_cannot_be_read(finetune, tmp_path, option, content, parts):
    path = tmp_path / "data.tsv"
    if content is not None:
        path.write_bytes(content)
    check_parts(finetune(**{option: path}), str(path), *parts)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.training").exists()


def test_labels_that_cannot_be_trained(finetune, tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text(HEADER + "good food\tgood\n" * 3)
    check_parts(finetune(**{"--train": path}), str(path), "at least two classes", "'good' in all 3")
    path.write_text(HEADER + GOOD + "nice\tfine\n")
    message = finetune(**{"--validation": path})
    check_parts(message, str(path), "that training knows, 'bad', 'good'", "'fine', in 1 of 3 rows")


def change_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def remove_tokenizer(folder):
    for name in ("tokenizer.json", "vocab.txt"):
        (folder / name).unlink()


def truncate(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


BROKEN_MODELS = {
    "no tokenizer": (remove_tokenizer, ["must hold a tokenizer, as tokenizer.json or vocab.txt"]),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), ["model.safetensors"]),
    "no config": (lambda folder: (folder / "config.json").unlink(), ["config.json"]),
    "another architecture": (
        lambda folder: change_config(folder, model_type="roberta"),
        ["config.json", "must be a BERT", "'roberta'"],
    ),
    "another position": (
        lambda folder: change_config(folder, position_embedding_type="relative_key"),
        ["position_embedding_type='relative_key'"],
    ),
    "other shapes": (lambda folder: change_config(folder, intermediate_size=36), ["intermediate"]),
    "half a config": (truncate("config.json", 50), ["config.json", "must be a JSON file"]),
    "half of the weights": (
        truncate("model.safetensors", 20_000),
        ["model.safetensors", "must be a whole safetensors file", "Copy it again"],
    ),
    "no bytes of weights": (truncate("model.safetensors", 0), ["model.safetensors"]),
    "half a tokenizer": (truncate("tokenizer.json", 500), ["tokenizer.json"]),
}


@pytest.mark.parametrize("name", BROKEN_MODELS)
def test_a_model_that_cannot_be_used(finetune, fail, tiny_folder, trained_folder, tmp_path, name):
    change, parts = BROKEN_MODELS[name]
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    change(folder)
    check_parts(finetune(**{"--model": folder}), str(folder), *parts)
    trained = shutil.copytree(trained_folder, tmp_path / "trained")
    change(trained)
    check_parts(fail("predict", trained, "good"), str(trained), *parts)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "trained"}


def test_a_model_that_is_not_there(finetune, fail, tmp_path):
    check_parts(finetune(**{"--model": tmp_path / "absent"}), "absent", "a local folder, hf://")
    check_parts(finetune(**{"--model": "ftp://model"}), "ftp://model", "package://")
    check_parts(finetune(**{"--model": "package://absent-model"}), "pip install")
    for command in (["predict", tmp_path / "absent", "good"],
                    ["evaluate", tmp_path / "absent", "--data", "absent.tsv"],
                    ["export", tmp_path / "absent", "--output", tmp_path / "1"]):  # fmt: skip
        assert "absent" in fail(*command)


def test_a_model_that_is_no_classifier(fail, tiny_folder, reviews, tmp_path):
    for command in (["predict", tiny_folder, "good"],
                    ["evaluate", tiny_folder, "--data", reviews["validation"]],
                    ["export", tiny_folder, "--output", tmp_path / "1"]):  # fmt: skip
        check_parts(fail(*command), str(tiny_folder), "must be trained first", "BertModel")
    assert not list(tmp_path.iterdir())


def test_an_output_that_exists(finetune, fail, trained_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").write_text("mine")
    check_parts(finetune(), str(tmp_path / "out"), "exists already", "--overwrite")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "notes").write_text("mine")
    message = fail("export", trained_folder, "--output", tmp_path / "1")
    check_parts(message, str(tmp_path / "1"), "exists already", "--overwrite")
    (tmp_path / "file").write_text("mine")
    check_parts(finetune("--overwrite", **{"--output": tmp_path / "file"}), "Choose another path")
    assert {path.name for path in tmp_path.rglob("*")} == {"out", "1", "notes", "file"}


def test_nothing_to_resume(finetune):
    check_parts(finetune("--resume"), "no interrupted run to resume", "Start it without")


def test_values_out_of_range(finetune, fail, trained_folder, artefact_path):
    check_parts(finetune(**{"--max-length": 51}), "at most 50", "max_length=51")
    check_parts(finetune(**{"--precision": "float8"}), "one of float32", "'float8'")
    check_parts(finetune(**{"--learning-rate": 0}), "learning_rate must be above 0")
    export = ["export", trained_folder, "--output", artefact_path]
    check_parts(fail(*export, "--format", "tflite"), "saved-model, litert, onnx", "'tflite'")
    check_parts(fail(*export, "--quantize", "int8"), "--quantize belongs to --format litert")
    check_parts(fail(*export, "--format", "onnx", "--xla"), "--xla belongs to", "saved-model")
    check_parts(fail(*export, "--format", "litert", "--quantize", "int4"), "dynamic-int8", "'int4'")
    few = ["--format", "litert", "--quantize", "int8"]
    check_parts(fail(*export, *few), "at least 32 texts", "--data or --texts", "9 of the kit")
    check_parts(fail(*export, "--weights", "int8"), "float32, bfloat16", "'int8'")
    pattern = artefact_path.parent / "[served]" / "1"
    check_parts(fail(*export[:-1], pattern), "none of the characters *?[]\\", str(pattern))
    check_parts(fail(*export, "--max-length", 51), "at most 50")
    assert not artefact_path.exists()


@pytest.fixture
def artefact_path(tmp_path):
    return tmp_path / "served" / "1"


def test_predict_needs_texts(fail, trained_folder, tmp_path):
    assert "texts or --input" in fail("predict", trained_folder)
    assert "texts or --input" in fail("predict", trained_folder, "good", "--input", "texts.txt")
    assert "nothing is there" in fail("predict", trained_folder, "--input", tmp_path / "no.txt")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_standard_input_that_is_not_utf8(fail, trained_folder, monkeypatch, errors):
    stream = io.TextIOWrapper(io.BytesIO(b"good\nbad \xff\n"), encoding="utf-8", errors=errors)
    monkeypatch.setattr(sys, "stdin", stream)
    check_parts(fail("predict", trained_folder, "--input", "-"), "line 2", "UTF-8")


@pytest.mark.parametrize("name", ["[red]model", "[/b]model", "[model]"])
def test_brackets_in_a_message_are_shown(fail, tmp_path, name):
    assert f"{name}'" in fail("predict", tmp_path / name, "good")


def interrupt(*args, **options):
    raise KeyboardInterrupt


def interrupt_within_tensorflow(*args, **options):
    """Ctrl-C in the midst of a context manager, which then fails to leave its state."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise AssertionError("Concurrent access?") from None


@pytest.mark.parametrize("end", [interrupt, interrupt_within_tensorflow])
def test_an_interruption_is_one_line(fail, trained_folder, monkeypatch, end):
    monkeypatch.setattr(tasks, "load_trained", end)
    assert "Interrupted" in fail("predict", trained_folder, "good", code=130)


@pytest.mark.parametrize("end", [interrupt, interrupt_within_tensorflow])
def test_an_interrupted_fine_tuning_says_what_is_kept(fail, reviews, tmp_path, monkeypatch, end):
    monkeypatch.setattr(training, "finetune", end)
    files = ["--model", tmp_path, "--train", reviews["train"], "--output", tmp_path / "out"]
    assert "nothing is kept" in fail("finetune", "text-classification", *files, code=130)


def test_convert_says_what_stands_in_the_way(fail, tiny_folder, tmp_path):
    out = tmp_path / "out"
    check_parts(fail("convert", tiny_folder, out, "--to", "onnx"), "huggingface, tf1", "'onnx'")
    check_parts(fail("convert", tiny_folder, out, "--to", "tf1"), "layer_norm_eps=1e-05")
    check_parts(fail("convert", tmp_path / "none", out, "--to", "tf1"), "There is no folder")
    check_parts(fail("convert", tmp_path, out, "--to", "tf1"), "must hold a BERT checkpoint")
    roberta = tmp_path / "roberta"
    shutil.copytree(tiny_folder, roberta)
    (roberta / "config.json").write_text('{"model_type": "roberta", "hidden_size": 8}')
    check_parts(fail("convert", roberta, out, "--to", "tf1"), "must be a BERT", "'roberta'")
    check_parts(fail("convert", tiny_folder, roberta, "--to", "huggingface"), "--overwrite")
    assert not out.exists()
    assert json.loads((roberta / "config.json").read_text())["model_type"] == "roberta"
