"""KerasHub, with its own preprocessing, at a fixed length."""

import keras
import keras_hub
import numpy as np

from peers import Work, load


def encoder(folder, model, dtype, rows, length, **_):
    """Hidden states for tokens."""
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    network = keras_hub.models.BertBackbone.from_preset(f"{folder}/{model}", dtype=policy)
    ids = np.array(load(folder, "ids"), "int32")[:rows, :length]
    given = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": np.ones_like(ids)}
    network.predict_on_batch(given)

    def run(_):
        network.predict_on_batch(given)

    def check():
        return network.predict_on_batch(given)["sequence_output"][0, 0, :8].astype(float).tolist()

    return Work(run, check)


def finetune(folder, model, dtype, rounds, batch_size, length, **_):
    """A round is one pass over its own part of the sentences."""
    keras.utils.set_random_seed(0)
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    backbone = keras_hub.models.BertBackbone.from_preset(f"{folder}/{model}", dtype=policy)
    network = keras_hub.models.BertTextClassifier(
        backbone, num_classes=2, preprocessor=_preprocessor(folder, model, length), dropout=0.1
    )
    parts, (texts, labels) = load(folder, "finetune")[:rounds], load(folder, "score")
    network.compile(
        keras.optimizers.AdamW(5e-5, weight_decay=0.01, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    def run(number):
        sentences, classes = parts[number]
        network.fit(sentences, np.array(classes), batch_size=batch_size, verbose=0)

    def check():
        found = network.predict(texts, batch_size=64, verbose=0).argmax(-1)
        return {"accuracy": float(np.mean(found == labels))}

    return Work(run, check)


def predict(folder, model, batch_size, length, **_):
    """Labels for texts. Its loader has no classifier head: a fresh one takes as long."""
    network = keras_hub.models.BertTextClassifier(
        keras_hub.models.BertBackbone.from_preset(f"{folder}/{model}"),
        num_classes=2,
        preprocessor=_preprocessor(folder, model, length),
    )
    texts = load(folder, "predict")

    def run(_):
        network.predict(texts, batch_size=batch_size, verbose=0)

    return Work(run)


def _preprocessor(folder, model, length):
    tokenizer = keras_hub.models.BertTokenizer(f"{folder}/{model}/vocab.txt", lowercase=True)
    return keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=length)
