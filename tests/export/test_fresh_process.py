"""An exported model in a process that has TensorFlow and tensorflow-text, and nothing of ours."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.export import saved_model

SCRIPT = """
import sys

sys.modules["keras_bert_kit"] = None  # an import of it fails
import json

import tensorflow as tf
import tensorflow_text

path, texts, pairs = json.load(sys.stdin)
signatures = tf.saved_model.load(path).signatures
single = signatures["serving_default"](text=tf.constant(texts))
pair = signatures["pair"](text=tf.constant(texts), text_pair=tf.constant(pairs))
ours = [name for name in sys.modules if name.startswith("keras_bert_kit.")]
answers = {name: array.numpy().tolist() for name, array in single.items() if name != "labels"}
answers["label"] = [label.decode() for label in answers["label"]]
answers["pair probabilities"] = pair["probabilities"].numpy().tolist()
tokens = signatures["tokenize"](text=tf.constant(texts))
answers["input_ids"] = tokens["input_ids"].numpy().tolist()
answers["tokens"] = signatures["tokens"](**tokens)["probabilities"].numpy().tolist()
print(json.dumps({"ours": ours, **answers}))
"""


@pytest.mark.slow
def test_a_moved_artefact_gives_the_probabilities_of_the_model(trained_folder, reviews, tmp_path):
    folder = shutil.copytree(trained_folder, tmp_path / "model")
    model = BertForSequenceClassification.from_pretrained(folder)
    path = saved_model(model, tmp_path / "reviews" / "1").rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "reviews")
    shutil.rmtree(folder)
    lines = reviews["validation"].read_text().splitlines()[1:]
    texts = [line.split("\t")[0] for line in lines]
    texts += ["", "Ça, c'était BON!", "very " * 300, "x\ny"] + [
        "good " * n for n in range(2, 40, 3)
    ]
    pairs = texts[::-1]

    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([str(path), texts, pairs]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        timeout=300,
    )

    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout)
    assert answers["ours"] == []
    expected, expected_pairs = (
        tf.nn.softmax(model(model.tokenizer(texts, second, max_length=24))["logits"]).numpy()
        for second in (None, pairs)
    )
    np.testing.assert_allclose(answers["probabilities"], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(answers["tokens"], expected, rtol=0, atol=1e-5)
    assert answers["input_ids"] == model.tokenizer(texts, max_length=24)["input_ids"].tolist()
    np.testing.assert_allclose(answers["pair probabilities"], expected_pairs, rtol=0, atol=1e-5)
    assert answers["label"] == [["bad", "good"][index] for index in expected.argmax(-1)]
