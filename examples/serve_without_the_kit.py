"""Classifies sentences with an exported SavedModel, TensorFlow and tensorflow-text alone.

    python examples/serve_without_the_kit.py saved_models/reviews-serving/1 ["a text" ...]

The kit is made impossible to import first, as on a machine where it is not installed.
"""

import os
import sys

sys.modules["keras_bert_kit"] = None  # from here on, importing it fails
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
import tensorflow_text  # noqa: F401, registers the tokenizer's ops

SENTENCES = [
    "A lovely quiet room, and the staff could not have been kinder.",
    "It stopped turning on after nine days.",
    "Not bad at all, I would book the room again.",
    "Great, another charger that lasts a whole week.",
    "The crème brûlée was cold and the waiter shrugged.",
]


def main(path, *texts):
    texts = list(texts) or SENTENCES
    classify = tf.saved_model.load(path).signatures["serving_default"]
    answers = classify(text=tf.constant(texts))
    names = [name.decode() for name in answers["labels"][0].numpy()]
    print("label".ljust(10), *(name.rjust(9) for name in names), " text")
    for text, label, probabilities in zip(
        texts, answers["label"].numpy(), answers["probabilities"].numpy(), strict=True
    ):
        print(label.decode().ljust(10), *(f"{p:9.4f}" for p in probabilities), f" {text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
