"""The kit's LiteRT export, on LiteRT's interpreter."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_bert_kit as kbk
from keras_bert_kit.export import litert
from peers import Work, load, one_by_one


def classifier(folder, model, dtype, rows, length, texts, threads, **_):
    """Logits for tokens, a row after the other."""
    path = _exported(folder, model, dtype, length)
    interpreter = Interpreter(str(path / "model.ids.tflite"), num_threads=threads)
    interpreter.allocate_tensors()
    slots = {_kind(one["name"]): one["index"] for one in interpreter.get_input_details()}
    ids = np.array(load(folder, "ids"), "int32")[:rows, :length]
    interpreter.set_tensor(slots["mask"], np.ones((1, length), "int32"))
    interpreter.set_tensor(slots["segment_ids"], np.zeros((1, length), "int32"))

    def run(_):
        for row in range(texts):  # the model takes a row at a time
            interpreter.set_tensor(slots["ids"], ids[row % rows : row % rows + 1])
            interpreter.invoke()

    def check():
        texts, labels = load(folder, "score")
        answers = kbk.pipeline(path)(texts)
        return {"accuracy": float(np.mean([int(a["label"]) == b for a, b in
                                           zip(answers, labels, strict=True)]))}  # fmt: skip

    return Work(run, check)


def latency(folder, model, dtype, length, requests, **_):
    """One short text at a time, with the tokenizer in the model."""
    classify = kbk.pipeline(_exported(folder, model, dtype, length))
    texts = load(folder, "score")[0][:requests]

    def answer(text):
        return list(classify(text)[0]["probabilities"].values())

    return one_by_one(answer, texts)


def _exported(folder, model, dtype, length):
    path = Path(folder) / f"lite-{dtype}-{length}"
    if not path.exists():
        network = kbk.BertForSequenceClassification.from_pretrained(f"{folder}/{model}")
        quantize = {"int8": "dynamic-int8", "float32": "none"}[dtype]
        litert(network, path, max_length=length, quantize=quantize)
    return path


def _kind(name):
    return next(kind for kind in ("mask", "segment_ids", "ids") if kind in name)
