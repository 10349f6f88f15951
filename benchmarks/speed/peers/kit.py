"""keras_bert_kit, with the defaults that its users get."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from inputs import served_model

import keras_bert_kit as kbk
from keras_bert_kit.data import (
    Examples,
    bucketed_batches,
    counted,
    encode_texts,
    pretraining_batches,
)
from keras_bert_kit.training import bert_optimizer, pretraining_losses
from peers import Work, load, one_by_one


def encoder(folder, model, dtype, rows, length, **_):
    """Hidden states for tokens."""
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    network = kbk.BertModel.from_pretrained(f"{folder}/{model}", dtype=policy)
    ids = tf.constant(np.array(load(folder, "ids"), "int32")[:rows, :length])
    mask = tf.ones_like(ids)
    call = tf.function(lambda: network(ids, attention_mask=mask).last_hidden_state)
    call()

    def run(_):
        call()

    return Work(run, lambda: tf.cast(call()[0, 0, :8], "float32").numpy().tolist())


def finetune(folder, model, dtype, rounds, batch_size, **_):
    """A round is one pass over its own part of the sentences."""
    keras.utils.set_random_seed(0)
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    network = kbk.BertForSequenceClassification.from_pretrained(
        f"{folder}/{model}", num_labels=2, new_head=True, dtype=policy
    )
    parts, (texts, labels) = load(folder, "finetune")[:rounds], load(folder, "score")
    steps = sum(-(-len(part[0]) // batch_size) for part in parts)
    network.compile(
        bert_optimizer(learning_rate=5e-5, total_steps=steps),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    def run(number):
        sentences, classes = parts[number]
        encoded = encode_texts(Examples("", sentences), network.tokenizer)
        batches = bucketed_batches(
            encoded, np.array(classes), batch_size, seed=number, few_lengths=False
        )
        network.fit(batches, shuffle=False, verbose=0)

    def check():
        encoded = encode_texts(Examples("", texts), network.tokenizer)
        batches = bucketed_batches(encoded, None, 64, few_lengths=False)
        found = [network(batch, training=False).logits.numpy().argmax(-1) for batch in batches]
        return {"accuracy": float(np.mean(np.concatenate(found) == labels))}

    return Work(run, check)


def pretrain(folder, model, rounds, batch_size, length, **_):
    """Masked tokens and next sentences; a round is one pass over its own part of the documents."""
    keras.utils.set_random_seed(0)
    network = kbk.BertForPreTraining.from_pretrained(f"{folder}/{model}", new_head=True)
    parts = []
    for documents in load(folder, "pretrain")[:rounds]:
        batches = counted(
            pretraining_batches(
                documents,
                network.tokenizer,
                batch_size=batch_size,
                max_length=length,
                epochs=[0],
                few_lengths=False,
            )
        )
        tokens = sum(int(tf.reduce_sum(inputs["attention_mask"])) for inputs, _, _ in batches)
        parts.append((batches, tokens))
    network.compile(
        bert_optimizer(learning_rate=1e-4, total_steps=1000),
        pretraining_losses(),
        jit_compile=False,
    )

    def run(number):
        batches, tokens = parts[number]
        network.fit(batches, verbose=0)
        return {"items": tokens}

    return Work(run)


def predict(folder, model, batch_size, **_):
    """Labels for texts."""
    classify = kbk.pipeline(f"{folder}/{model}", max_length=256)
    texts = load(folder, "predict")
    answers = []

    def run(_):
        answers[:] = classify(texts, batch_size=batch_size)

    return Work(run, lambda: [answer["label"] for answer in answers])


def latency(folder, requests, **_):
    """One short text at a time, in the SavedModel."""
    served = tf.saved_model.load(str(served_model(Path(folder)))).signatures["serving_default"]
    texts = [tf.constant([text]) for text in load(folder, "score")[0][:requests]]

    def answer(text):
        return served(text=text)["probabilities"].numpy()[0].tolist()

    return one_by_one(answer, texts)


def memory(folder, model, rows, length, **_):
    """One training step."""
    network = kbk.BertForSequenceClassification.from_pretrained(f"{folder}/{model}")
    ids = np.array(load(folder, "ids"), "int32")[:rows, :length]
    network.compile(
        bert_optimizer(learning_rate=5e-5, total_steps=10),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )

    def run(_):
        network.train_on_batch({"input_ids": ids}, np.zeros(rows, "int32"))

    return Work(run)
