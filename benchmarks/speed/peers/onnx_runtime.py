"""ONNX Runtime on the graph that its own optimizer fuses, float32 or with its dynamic int8."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from tokenizers import BertWordPieceTokenizer

from peers import Work, load, one_by_one

EXPORT = Path(__file__).parents[1] / "to_onnx.py"


def encoder(folder, model, dtype, rows, length, **_):
    """Hidden states for tokens."""
    session = _session(folder, model, "AutoModel", dtype)
    ids = np.array(load(folder, "ids"))[:rows, :length]
    forward = _forward(session, ids)
    forward()

    def run(_):
        forward()

    return Work(run, lambda: forward()[0, 0, :8].tolist())


def classifier(folder, model, dtype, rows, length, texts, **_):
    """Logits for tokens, batch after batch."""
    session = _session(folder, model, "AutoModelForSequenceClassification", dtype)
    forward = _forward(session, np.array(load(folder, "ids"))[:rows, :length])
    forward()

    def run(_):
        for _ in range(texts // rows):
            forward()

    return Work(run, lambda: _accuracy(session, folder, model))


def predict(folder, model, batch_size, in_order=False, **_):
    """Labels for texts, those of like length together, or in the order given."""
    session = _session(folder, model, "AutoModelForSequenceClassification", "float32")
    tokenizer = _tokenizer(folder, model, 256)
    texts = load(folder, "predict")
    answers = [None] * len(texts)

    def run(_):
        sizes = [0 if in_order else len(text) for text in texts]
        order = sorted(range(len(texts)), key=sizes.__getitem__)
        for begin in range(0, len(order), batch_size):
            rows = order[begin : begin + batch_size]
            found = _logits(session, tokenizer, [texts[row] for row in rows])
            for row, label in zip(rows, found.argmax(-1).tolist(), strict=True):
                answers[row] = str(label)

    return Work(run, lambda: list(answers))


def latency(folder, model, requests, **_):
    """One short text at a time."""
    session = _session(folder, model, "AutoModelForSequenceClassification", "float32")
    tokenizer = _tokenizer(folder, model, 256)
    texts = load(folder, "score")[0][:requests]

    def answer(text):
        logits = _logits(session, tokenizer, [text])[0]
        exponents = np.exp(logits - logits.max())
        return (exponents / exponents.sum()).tolist()

    return one_by_one(answer, texts)


def _session(folder, model, head, dtype):
    exported = Path(folder) / f"{model}-{head}.onnx"
    fused, small = exported.with_suffix(".fused.onnx"), exported.with_suffix(".int8.onnx")
    if not exported.exists():
        subprocess.run([sys.executable, EXPORT, f"{folder}/{model}", head, exported], check=True)
    if not fused.exists():
        config = json.loads(Path(folder, model, "config.json").read_text())
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        optimize_model(str(exported), "bert", heads, hidden).save_model_to_file(str(fused))
    if dtype == "int8" and not small.exists():
        # The fused operations' outputs, whose type ONNX cannot tell.
        quantize_dynamic(fused, small, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    return onnxruntime.InferenceSession(
        small if dtype == "int8" else fused, providers=["CPUExecutionProvider"]
    )


def _forward(session, ids):
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids),
             "token_type_ids": np.zeros_like(ids)}  # fmt: skip
    return lambda: session.run(None, given)[0]


def _tokenizer(folder, model, length):
    tokenizer = BertWordPieceTokenizer(f"{folder}/{model}/vocab.txt", lowercase=True)
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding()
    return tokenizer


def _logits(session, tokenizer, texts):
    found = tokenizer.encode_batch(texts)
    return session.run(
        None,
        {
            "input_ids": np.array([one.ids for one in found]),
            "attention_mask": np.array([one.attention_mask for one in found]),
            "token_type_ids": np.array([one.type_ids for one in found]),
        },
    )[0]


def _accuracy(session, folder, model):
    texts, labels = load(folder, "score")
    tokenizer = _tokenizer(folder, model, 256)
    found = [_logits(session, tokenizer, texts[i : i + 32]) for i in range(0, len(texts), 32)]
    return {"accuracy": float(np.mean(np.concatenate(found).argmax(-1) == labels))}
