"""TF Model Garden's encoder, which runs on Keras 2."""

import json
import os
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # read when TensorFlow is imported

import numpy as np
import tensorflow as tf
import tf_keras
from official.nlp.modeling.networks import BertEncoderV2
from safetensors.numpy import load_file

from peers import Work, load

PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


def encoder(folder, model, dtype, rows, length, **_):
    """Hidden states for tokens."""
    tf_keras.mixed_precision.set_global_policy(
        "mixed_bfloat16" if dtype == "bfloat16" else "float32"
    )
    network = _network(Path(folder, model))
    ids = tf.constant(np.array(load(folder, "ids"), "int32")[:rows, :length])
    given = {
        "input_word_ids": ids,
        "input_mask": tf.ones_like(ids),
        "input_type_ids": tf.zeros_like(ids),
    }
    call = tf.function(lambda: network(given, training=False)["sequence_output"])
    call()

    def run(_):
        call()

    return Work(run, lambda: tf.cast(call()[0, 0, :8], "float32").numpy().tolist())


def _network(folder):
    """Makes the encoder with the weights of a Hugging Face folder, which are in the same order."""
    config = json.loads((folder / "config.json").read_text())
    network = BertEncoderV2(
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        num_layers=config["num_hidden_layers"],
        num_attention_heads=config["num_attention_heads"],
        max_sequence_length=config["max_position_embeddings"],
        type_vocab_size=config["type_vocab_size"],
        inner_dim=config["intermediate_size"],
        inner_activation=lambda x: tf.nn.gelu(x, approximate=False),
    )
    names = ("input_word_ids", "input_mask", "input_type_ids")
    network(dict.fromkeys(names, tf.ones((1, 7), tf.int32)))
    stored = {
        n.removeprefix("bert."): v for n, v in load_file(folder / "model.safetensors").items()
    }
    tables = [f"embeddings.{name}_embeddings" for name in ("word", "position", "token_type")]
    layers = [
        f"encoder.layer.{layer}.{part}"
        for layer in range(config["num_hidden_layers"])
        for part in PARTS
    ]
    dense = ["embeddings.LayerNorm", *layers, "pooler.dense"]
    values = [stored[f"{name}.weight"] for name in tables]
    for name in dense:
        values += [stored[f"{name}.weight"].T, stored[f"{name}.bias"]]
    network.set_weights(
        [value.reshape(v.shape) for value, v in zip(values, network.weights, strict=True)]
    )
    return network
