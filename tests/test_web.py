import contextlib
import functools
import gzip
import http.server
import importlib.util
import json
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from keras_bert_kit import BertConfig, BertTokenizer
from keras_bert_kit.tokenization.vocabulary import learn_vocabulary

WEB = Path(__file__).resolve().parents[1] / "examples" / "web"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
LENGTH = 24

MISSING = [
    name
    for name, there in {
        "node": shutil.which("node"),
        "Chromium": BROWSER,
        "examples/web/node_modules (`npm ci` makes it)": (WEB / "node_modules").is_dir(),
        "ai-edge-litert": importlib.util.find_spec("ai_edge_litert"),
        "ai-edge-quantizer": importlib.util.find_spec("ai_edge_quantizer"),
    }.items()
    if not there
]
pytestmark = [
    pytest.mark.web,
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}"),
]

ENGLISH = [
    "A lovely quiet room, and the staff could not have been kinder.",
    "It stopped turning on after nine days.",
    "Not bad at all; I'd book the room again!",
    "The crème brûlée was cold and the waiter shrugged.",
]
CHINESE = [
    "这家酒店的房间很干净。服务也很好。",
    "手机电池不到一天就没电了……",
    "電影太無聊了……浪費時間!",
    "早餐不好吃、价格又贵 (68元)。",
]
TEXTS = {"english": ENGLISH, "chinese": CHINESE}
LABELS = {"english": ["negative", "positive"], "chinese": ["差评", "一般", "好评"]}

HARD = [
    "",
    " \t\n",
    "真的\uff0c\u3000全角　空格\u00a0\u200b",
    "Ça coûte 3,50 € — l'été à İstanbul, naïve",
    "ΟΔΟΣ ΣΑΣ ὈΔΥΣΣΕΎΣ",
    "𠀀𠮷野家と𪚥",
    "\U0002b900 is read as no ideograph",
    "[MASK] of [SEP]two[CLS]",
    "x" * 101,
    "x" * 100,
    "한국어 日本語テキスト ภาษาไทย हिन्दी עִבְרִית",
    "constructor __proto__ toString",
    "👩‍👩‍👧 ok\ufeff\ufffd\x00\x7f",
]


def node(script, *arguments, texts=None):
    return subprocess.run(
        ["node", str(WEB / script), *map(str, arguments)],
        input=json.dumps(texts),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def drive(address, profile, *options, texts=()):
    ran = node("test/drive.mjs", BROWSER, address, profile, *options, texts=texts)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def token_ids(folder, texts):
    ran = node("test/token_ids.mjs", folder, texts=texts)
    assert ran.returncode == 0, ran.stderr
    return [[int(token) for token in line.split()] for line in ran.stdout.splitlines()]


@contextlib.contextmanager
def served(folder):
    """Serves a folder on a free port of this machine as long as the block runs."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def make_model(texts, labels):
    import keras

    from keras_bert_kit import BertForSequenceClassification

    keras.utils.set_random_seed(11)
    vocab = learn_vocabulary(texts * 2, 400)
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=20,
        num_hidden_layers=2,
        num_attention_heads=5,
        intermediate_size=37,
        max_position_embeddings=LENGTH,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
    )
    return BertForSequenceClassification(config, tokenizer=BertTokenizer(vocab))


def python_answers(folder, texts):
    """Runs the model file of a folder without the page, one text after the other."""
    from keras_bert_kit.export import LiteModel

    tokenizer = BertTokenizer.from_pretrained(folder)
    model = LiteModel(folder / "model.ids.tflite")
    names = {"ids": "input_ids", "mask": "attention_mask", "segment_ids": "token_type_ids"}
    for text in texts:
        tokens = tokenizer([text], max_length=LENGTH, padding="max_length")
        inputs = {name: tokens[ours] for name, ours in names.items()}
        yield model.run("serving_default", **inputs)["probabilities"][0]


@pytest.fixture(scope="module", params=["english", "chinese"])
def language(request, tmp_path_factory):
    """A model of a language, its folder and its page, built."""
    from keras_bert_kit.export import litert

    folder = tmp_path_factory.mktemp(request.param)
    model = make_model(TEXTS[request.param], LABELS[request.param])
    litert(model, folder / "model")
    built = node("build.mjs", folder / "model", "--name", "a name", "--output", folder / "page")
    assert built.returncode == 0, built.stderr
    return request.param, model, folder


def test_page_answers_as_python_does_with_and_without_a_network(language, tmp_path):
    import keras

    name, model, folder = language
    long = " ".join(TEXTS[name] * 3)
    texts = [*TEXTS[name], long, " ", TEXTS[name][0]]
    with served(folder / "page") as address:
        online = drive(address, tmp_path / "profile", texts=texts)
    offline = drive(address, tmp_path / "profile", texts=texts)  # the server is gone

    typed = [text for text in texts if text.strip()]
    expected = list(python_answers(folder / "model", typed))
    inputs = model.tokenizer(typed, max_length=LENGTH, padding="max_length")
    keras_answers = keras.ops.softmax(model(inputs)["logits"])
    for result in (online, offline):
        assert result["state"] == "ready"
        assert [line for line in result["console"] if line.startswith("error")] == []
        assert all(request.startswith(address) for request in result["requests"])
        assert "Ready offline" in result["shown"]
        assert "a name" in result["shown"]
        assert ", ".join(LABELS[name]) in result["shown"]
        answers = [answer for answer in result["answers"] if answer["summary"]]
        got = [answer["probabilities"] for answer in answers]
        np.testing.assert_allclose(got, expected, atol=1e-5)
        np.testing.assert_allclose(got, keras_answers, atol=1e-5)
        for text, answer in zip(typed, answers, strict=True):
            tokens = len(model.tokenizer.encode(text))
            assert answer["tokens"] == f"{min(tokens, LENGTH)} of {LENGTH}"
            assert [row[0] for row in answer["rows"]] == LABELS[name]
            best = LABELS[name][int(np.argmax(answer["probabilities"]))]
            assert answer["summary"].startswith(best)
            assert (f"it has {tokens} tokens" in answer["note"]) == (tokens > LENGTH)
        empty = result["answers"][texts.index(" ")]
        assert empty["probabilities"] == [""] * len(LABELS[name])
        assert empty["note"] == "The answer comes as you type."


def test_page_says_why_it_does_not_work(language, tmp_path):
    _, _, folder = language
    page = shutil.copytree(folder / "page", tmp_path / "page")
    with served(page) as address:
        shown = drive(address, tmp_path / "without", "--without-webassembly")["shown"]
        assert "no WebAssembly" in shown
        (page / "model" / "model.ids.tflite").write_bytes(b"<!doctype html>")
        shown = drive(address, tmp_path / "other file")["shown"]
        assert "model.ids.tflite is not a LiteRT model" in shown
        (page / "model" / "labels.txt").write_text("one\n")
        shutil.copy(folder / "model" / "model.ids.tflite", page / "model")
        shown = drive(address, tmp_path / "other labels")["shown"]
        assert "labels.txt names 1 labels" in shown
        (page / "model" / "model.ids.tflite").unlink()
        result = drive(address, tmp_path / "no file")
        assert result["state"] == "error"
        assert "The model was not found: the server answered 404" in result["shown"]


def test_page_is_built_of_a_whole_model_alone(language, tmp_path):
    _, _, folder = language
    model = shutil.copytree(folder / "model", tmp_path / "model")
    (model / "labels.txt").unlink()
    ran = node("build.mjs", model, "--output", tmp_path / "page")
    assert ran.returncode == 2
    assert "Missing: labels.txt" in ran.stderr
    ran = node("build.mjs", folder / "model", "--output", model)
    assert ran.returncode == 2
    assert "holds other files" in ran.stderr
    assert (model / "vocab.txt").is_file()


@pytest.mark.parametrize(
    "settings",
    [{"do_lower_case": True}, {"do_lower_case": False}, {"split_special_tokens": True}],
    ids=str,
)
def test_token_ids_of_hard_texts_are_those_of_python(settings, tmp_path):
    lower_case = settings.get("do_lower_case", True)
    tokenizer = BertTokenizer(learn_vocabulary(HARD * 2, 300, lower_case), **settings)
    tokenizer.save_pretrained(tmp_path)
    assert token_ids(tmp_path, HARD) == [tokenizer.encode(text) for text in HARD]


@pytest.mark.data
@pytest.mark.parametrize(
    ("vocab", "lower_case"),
    [("bert-base-uncased", True), ("bert-base-cased", False), ("bert-base-chinese", True)],
)
def test_token_ids_of_real_texts_are_those_of_python(data_dir, vocab, lower_case, tmp_path):
    texts = (data_dir / "sst2" / "dev.tsv").read_text(encoding="utf-8").split("\n")
    for name in ("chnsenticorp/dev.tsv.gz", "wikitext2/valid.txt.gz", "multi30k/val.de.gz"):
        with gzip.open(data_dir / name, "rt", encoding="utf-8", newline="\n") as file:
            texts += file.read().split("\n")
    tokenizer = BertTokenizer(data_dir / "vocab" / vocab / "vocab.txt", do_lower_case=lower_case)
    tokenizer.save_pretrained(tmp_path)
    expected = tokenizer(texts, padding=False, return_tensors=None)["input_ids"]
    pairs = zip(token_ids(tmp_path, texts), expected, strict=True)
    assert len(texts) > 6000
    assert [text for text, (got, wanted) in zip(texts, pairs, strict=True) if got != wanted] == []
