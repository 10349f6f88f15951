"""`keras-bert-kit explain`, in this process."""

import json
import re
import sys

import pytest

from keras_bert_kit import cli

TEXT = "The food is not bad, but kettles!"


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("explained") / "model"
    classifier.save_pretrained(path)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command; gives exit code, standard output and standard error."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["keras-bert-kit", "explain", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


def test_words_and_numbers_are_printed(run, folder, found):
    code, out, err = run(folder, TEXT, "--steps", 10)
    assert code == 0, err
    assert "Wrote" not in out
    for word in found.words:
        assert re.search(rf"│ {re.escape(word.text)} +│ {re.escape(f'{word.score:+.4f}')} ", out)
    assert f"For {found.target}, probability {found.probability:.4f}" in out
    assert "█" * 16 in out
    assert f"{found.delta:+.1e}" in out


def test_the_result_is_printed_as_json(run, folder, found):
    code, out, err = run(folder, TEXT, "--steps", 10, "--json")
    assert code == 0, err
    values = json.loads(out)
    assert values["written"] == []
    assert values["scores"] == pytest.approx(found.scores.tolist(), abs=1e-5)


def test_target_pair_and_baseline_are_passed_on(run, folder):
    args = [folder, TEXT, "--target", "bad", "--text-pair", "good", "--baseline", "[MASK]"]
    code, out, err = run(*args, "--steps", 3, "--json")
    assert code == 0, err
    values = json.loads(out)
    assert (values["target"], values["text_pair"]) == ("bad", "good")
    assert (values["steps"], values["baseline"]) == (3, "[MASK]")


def test_a_page_with_chosen_layers_is_written(run, folder, tmp_path):
    path = tmp_path / "seen.html"
    code, out, err = run(folder, TEXT, "--steps", 2, "--output", path, "--layer", 2)
    assert code == 0, err
    assert f"Wrote {path}" in out.replace("\n", "")
    assert '"layers": [2]' in path.read_text(encoding="utf-8")


def test_pictures_are_written(run, folder, tmp_path):
    code, _, err = run(folder, TEXT, "--steps", 2, "--output", tmp_path / "seen.png")
    assert code == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {"seen.png", "seen-attention.png"}
    assert (tmp_path / "seen-attention.png").read_bytes().startswith(b"\x89PNG")


def test_a_words_label_is_explained(run, tagger, monkeypatch):
    monkeypatch.setattr("keras_bert_kit.cli.explaining.load_model", lambda path: tagger)
    code, out, err = run("model", TEXT, "--word", 7, "--target", "I-PER", "--steps", 2)
    assert code == 0, err
    assert "For kettles, I-PER, probability " in out
    assert re.search(r"│ 7 +│ kettles +│", out)
    code, _, err = run("model", TEXT, "--target", "I-PER")
    assert (code, "--target needs --word NUMBER" in err) == (2, True)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", [], "The text must have at least one word. Received: ''"),
        (TEXT, ["--target", "great"], "target must be one of bad, so-so, good. Received"),
        (TEXT, ["--output", "seen.pdf"], "--output must end in .html or .png. Received: seen.pdf"),
        (TEXT, ["--output", "there.html"], "--output must be a file. Received: there.html, a fol"),
        (TEXT, ["--output", "a.png"], "--output must be a file. Received: a-attention.png, a fol"),
        (TEXT, ["--output", "no/a.html"], "The folder of --output must exist. Received: no"),
        (TEXT, ["--layer", "1"], "--layer is for what --output shows"),
        (TEXT, ["--output", "a.html", "--layer", "3"], "The layers must be from 1 to 2. Received"),
        (TEXT, ["--word", "1"], "--word is for models that give words labels"),
        (TEXT, ["--baseline", "[UNK]"], "baseline must be one of [PAD], [MASK]. Received"),
        (TEXT, ["--steps", "0"], "--steps"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run, folder, tmp_path, monkeypatch, text, options, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").mkdir()
    (tmp_path / "a-attention.png").mkdir()
    code, out, err = run(folder, text, *options)
    assert code == 2
    assert message in " ".join(err.split())
    assert out == ""
    assert not list(tmp_path.glob("*.html/*"))
    assert not (tmp_path / "a.html").exists()
