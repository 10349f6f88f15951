"""What lies beside the versions of a model: configuration, clients, examples, a card."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from importlib.resources import files

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification, __version__
from keras_bert_kit.export.serving_files import write_serving_files, write_version_files
from keras_bert_kit.export.signatures import served_model
from keras_bert_kit.export.warm_up import warm_up_requests
from keras_bert_kit.messages import Request, read_records, read_request, text_example
from keras_bert_kit.serving.check.batcher import allowed_batch_sizes

MEASURED = [{"batch": 1, "tokens": 8, "milliseconds": 1.25}]
NAMES = {
    "models.config",
    "README.md",
    "monitoring.config",
    "batching.config",
    "docker-compose.yaml",
    "kubernetes.yaml",
    "client_rest.py",
    "client_grpc.py",
}
OF_A_VERSION = {"batching_params.pbtxt"}
OF_LITERT = {"litert.md", "litert_task.md"}


@pytest.fixture(scope="module")
def base(artefact):
    return artefact.parent


@pytest.fixture(scope="module")
def served(classifier):
    return served_model(classifier)


@pytest.fixture(scope="module")
def requests(artefact):
    path = artefact / "assets.extra" / "tf_serving_warmup_requests"
    return [read_request(record) for record in read_records(path)]


@pytest.fixture
def write(artefact, served, requests):
    """Writes the files of a version, as an export does, and gives their folder."""

    def write(path, requests=requests, served=served):
        path.mkdir(parents=True)
        shutil.copy(artefact / "saved_model.pb", path)
        write_serving_files(path, served, requests, MEASURED, "float32")
        return path.parent

    return write


def read(path):
    return path.read_text(encoding="utf-8")


def yaml_documents(path):
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all(read(path)))


def test_every_template_is_written(base, artefact):
    templates = {one.name for one in (files("keras_bert_kit.export") / "templates").iterdir()}
    assert templates == NAMES | OF_A_VERSION | OF_LITERT
    assert {path.name for path in base.iterdir()} == {*NAMES, "requests", "1"}
    for path in [*(base / name for name in NAMES), artefact / "batching_params.pbtxt"]:
        text = read(path)
        assert text.endswith("\n")
        assert not re.search(r"\$\{?[a-z_]+", text), path  # every place was filled


def fields(text):
    """The fields of a text proto, in order, without its braces and comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert "\n".join(lines).count("{") == "\n".join(lines).count("}")
    return re.findall(r"([a-z_]+):\s*(\"[^\"]*\"|'[^']*'|[\w.]+)", "\n".join(lines))


def test_the_servers_configuration(base):
    assert fields(read(base / "models.config")) == [
        ("name", '"reviews"'),
        ("base_path", '"/models/reviews"'),
        ("model_platform", '"tensorflow"'),
        ("versions", "1"),
        ("key", '"stable"'),
        ("value", "1"),
        ("key", '"canary"'),
        ("value", "1"),
    ]
    assert fields(read(base / "monitoring.config")) == [
        ("enable", "true"),
        ("path", '"/monitoring/prometheus/metrics"'),
    ]
    assert fields(read(base / "batching.config")) == [("value", "2")]


def test_sizes_of_batches(artefact, tmp_path):
    text = read(artefact / "batching_params.pbtxt")
    assert allowed_batch_sizes(artefact) == [1, 2, 4, 8, 16, 32]
    assert ("value", "32") in fields(text)  # max_batch_size is the last that is allowed
    assert ("pad_variable_length_inputs", "true") in fields(text)
    write_version_files(tmp_path, [], compiled=True)
    assert allowed_batch_sizes(tmp_path) == [1, 8, 32]
    assert list(read_records(tmp_path / "assets.extra" / "tf_serving_warmup_requests")) == []


def test_docker_compose(base):
    ((name, service),) = yaml_documents(base / "docker-compose.yaml")[0]["services"].items()
    assert name == "reviews"
    assert service["image"] == "tensorflow/serving:2.20.0"
    assert service["ports"] == ["8501:8501", "8500:8500"]
    assert service["volumes"] == [".:/models/reviews:ro"]
    named = [
        argument.split("/models/reviews/")[1]
        for argument in service["command"]
        if "/models/" in argument
    ]
    assert named == ["models.config", "monitoring.config", "batching.config"]
    assert not any("xla" in argument for argument in service["command"])


def test_kubernetes(base):
    deployment, service = yaml_documents(base / "kubernetes.yaml")
    assert (deployment["kind"], service["kind"]) == ("Deployment", "Service")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    compose = yaml_documents(base / "docker-compose.yaml")[0]["services"]["reviews"]
    assert container["args"] == compose["command"]
    assert container["image"] == compose["image"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/reviews"
    assert container["resources"]["requests"]["memory"] == "1Gi"
    assert pod["metadata"]["labels"] == service["spec"]["selector"] == {"app": "reviews"}
    assert {port["port"] for port in service["spec"]["ports"]} == {8500, 8501}
    (volume,) = pod["spec"]["volumes"]
    (mount,) = container["volumeMounts"]
    assert volume["name"] == mount["name"]


def test_the_card(base, classifier):
    card = read(base / "README.md")
    assert card.startswith("# reviews\n")
    assert f"keras-bert-kit {__version__}" in card
    assert f"| TensorFlow {tf.__version__}," in card
    assert "| labels | bad, good |" in card
    assert "| longest text | 24 tokens" in card
    assert f"| parameters | {classifier.count_params():,} |" in card
    for name in ("serving_default", "pair", "tokens", "embed", "tokenize", "classify"):
        assert f"| `{name}` | `" in card
    assert "`probabilities`, float32 (B, C)" in card
    assert "`input_ids`, int32 (B, S)" in card
    assert "`embedding`, float32 (B, H)" in card
    assert re.search(r"^\| 32 \| 24 \| [\d.]+ \|$", card, re.M)  # milliseconds


def as_tensors(request, tokens=("input_ids", "attention_mask", "token_type_ids")):
    """What a server makes of a REST request."""
    if "examples" in request:
        return {"inputs": tf.constant([text_example(row) for row in request["examples"]])}
    rows = request["instances"]
    if not isinstance(rows[0], dict):
        return {"text": tf.constant(rows)}
    dtype = tf.int32 if set(rows[0]) == set(tokens) else tf.string
    return {name: tf.constant([row[name] for row in rows], dtype) for name in rows[0]}


def as_json(signature, outputs):
    """What a server answers to it."""
    plain = {
        name: np.vectorize(bytes.decode, otypes=[object])(array.numpy()).tolist()
        if array.dtype == tf.string
        else array.numpy().tolist()
        for name, array in outputs.items()
    }
    if signature.startswith("classify"):
        return {
            "results": [
                [[label, score] for label, score in zip(labels, scores, strict=True)]
                for labels, scores in zip(plain["classes"], plain["scores"], strict=True)
            ]
        }
    rows = zip(*plain.values(), strict=True)
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in rows]}


def check_equal(found, expected):
    """JSON values that are equal, numbers to 1e-5."""
    assert type(found) is type(expected)
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        for name in found:
            check_equal(found[name], expected[name])
    elif isinstance(found, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_equal(one, other)
    else:
        assert found == (pytest.approx(expected, abs=1e-5) if type(found) is float else expected)


def test_example_requests_get_the_example_answers(base, signatures):
    names = {path.name for path in (base / "requests").iterdir()}
    assert names == {f"{name}{end}.json" for name in signatures for end in ("", ".answer")}
    for name, signature in signatures.items():
        request = json.loads(read(base / "requests" / f"{name}.json"))
        assert request.pop("signature_name") == name
        assert set(request) == ({"examples"} if name.startswith("classify") else {"instances"})
        answer = json.loads(read(base / "requests" / f"{name}.answer.json"))
        check_equal(answer, as_json(name, signature(**as_tensors(request))))


def test_requests_of_a_regression(tiny_folder, write, tmp_path):
    model = BertForSequenceClassification.from_pretrained(
        tiny_folder, num_labels=1, problem_type="regression"
    )
    served = served_model(model)
    requests = warm_up_requests(served, ["the food was good", "bad"])
    base = write(tmp_path / "stars" / "1", requests, served)
    request = json.loads(read(base / "requests" / "regress_pair.json"))
    assert set(request["examples"][0]) == {"text", "text_pair"}
    for name in ("regress", "serving_default"):
        answer = json.loads(read(base / "requests" / f"{name}.answer.json"))
        ((key, values),) = answer.items()
        assert key == ("results" if name == "regress" else "predictions")
        assert [type(one) for one in values] == [float]  # one output stands without its name


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(base):
    """Gives the stored answer to whatever is asked."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answer = (base / "requests" / "serving_default.answer.json").read_bytes()
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run_client(base, port, *texts):
    source = read(base / "client_rest.py").replace("localhost:8501", f"127.0.0.1:{port}")
    return subprocess.run(
        [sys.executable, "-", *texts],
        input=source,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def test_the_rest_client_asks_the_server(base, server):
    request = json.loads(read(base / "requests" / "serving_default.json"))
    (text,) = request["instances"]
    ran = run_client(base, server.server_port)
    assert ran.returncode == 0, ran.stderr
    assert server.seen == [("/v1/models/reviews:predict", request)]
    (answer,) = json.loads(server.answer)["predictions"]
    assert ran.stdout == f"{text}\t{answer}\n"

    ran = run_client(base, server.server_port, "très 好")
    assert ran.returncode == 0, ran.stderr
    assert server.seen[1][1]["instances"] == ["très 好"]


def test_the_clients_are_python(base):
    for name in ("client_rest.py", "client_grpc.py"):
        compile(read(base / name), name, "exec")
    assert 'request.model_spec.name = "reviews"' in read(base / "client_grpc.py")


def test_the_clients_are_python_whatever_the_text(write, requests, tmp_path):
    text = 'She said "no\\way"\nand left $1'
    inputs = {"text": np.array([text.encode()], object)}
    asked = [Request("serving_default", inputs, requests[0].outputs)]
    base = write(tmp_path / "quotes" / "1", asked)
    for name in ("client_rest.py", "client_grpc.py"):
        assert text in compile(read(base / name), name, "exec").co_consts


def test_what_is_there_stays_but_for_what_tells_of_every_version(write, tmp_path):
    base = tmp_path / "reviews"
    base.mkdir()
    for name in NAMES:
        (base / name).write_text("mine")
    assert write(base / "3") == base
    kept = {name for name in NAMES if read(base / name) == "mine"}
    assert kept == NAMES - {"models.config", "README.md"}


def test_a_second_version(write, tmp_path):
    write(tmp_path / "reviews" / "9")
    (tmp_path / "reviews" / "7").mkdir()  # no SavedModel
    (tmp_path / "reviews" / "notes").mkdir()
    base = write(tmp_path / "reviews" / "10")
    found = fields(read(base / "models.config"))
    assert [value for name, value in found if name == "versions"] == ["9", "10"]
    assert found[-4:] == [("key", '"stable"'), ("value", "9"), ("key", '"canary"'), ("value", "10")]
    assert "This page tells of version 10." in read(base / "README.md")

    write(tmp_path / "reviews" / "11")
    found = fields(read(base / "models.config"))
    assert [value for name, value in found if name == "versions"] == ["10", "11"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My model (v2)!", "My-model-v2"),
        ("film_kritik", "film_kritik"),
        ('quote"s', "quote-s"),
        ("影评", "model"),
        ("été", "t"),
        ("_x_", "_x_"),
        ("a" * 70, "a" * 70),
        ("2024", "2024"),
        ("on", "on"),
    ],
)
def test_names_with_other_characters(write, tmp_path, folder, name):
    base = write(tmp_path / folder / "1")
    assert ("name", f'"{name}"') in fields(read(base / "models.config"))
    assert f"/v1/models/{name}:predict" in read(base / "client_rest.py")
    assert f"/v1/models/{name}:predict" in read(base / "README.md")
    (service,) = yaml_documents(base / "docker-compose.yaml")[0]["services"].items()
    assert service[0] == name
    assert service[1]["volumes"] == [f".:/models/{name}:ro"]


@pytest.mark.parametrize("folder", ["My model (v2)!", "film_kritik", "_x_", "2024", "on", "a" * 70])
def test_names_that_kubernetes_takes(write, tmp_path, folder):
    base = write(tmp_path / folder / "1")
    names = [document["metadata"]["name"] for document in yaml_documents(base / "kubernetes.yaml")]
    for name in names:
        assert isinstance(name, str)
        assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
