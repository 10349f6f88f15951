"""The layers on Keras' JAX backend, in a process of its own, against the TensorFlow backend."""

import subprocess
import sys

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

# The same lines make the layers in both processes.
LAYERS = """
import keras
import numpy as np

from keras_bert_kit import layers as kbk

random = np.random.default_rng(6)
ids = random.integers(0, 31, (3, 7)).astype("int32")
states = random.normal(size=(3, 7, 20)).astype("float32")
mask = np.arange(7) < np.array([[7], [4], [1]])
block = {"hidden_size": 20, "num_attention_heads": 5, "intermediate_size": 37}
cases = {
    "embeddings": (kbk.BertEmbeddings(31, 20), {"input_ids": ids}),
    "sinusoids": (
        kbk.BertEmbeddings(31, 20, position_embedding_type="sinusoidal"),
        {"input_ids": ids, "token_type_ids": ids % 2, "position_ids": ids % 5},
    ),
    "attention": (
        kbk.MultiHeadSelfAttention(20, 5), {"hidden_states": states, "attention_mask": mask}
    ),
    "block": (
        kbk.TransformerEncoderBlock(**block), {"hidden_states": states, "attention_mask": mask}
    ),
    "encoder": (
        kbk.TransformerEncoder(2, **block, norm_first=True, hidden_act="gelu_new"),
        {"hidden_states": states, "attention_mask": mask.astype("int32")},
    ),
    "pooler": (kbk.Pooler(20), {"hidden_states": states}),
    "classifier": (kbk.ClassificationHead(3), {"features": states[:, 0]}),
    "masked_lm": (
        kbk.MaskedLMHead(31, 20),
        {
            "hidden_states": states,
            "token_table": random.normal(size=(31, 20)).astype("float32"),
            "masked_positions": ids[:, :2] % 7,
        },
    ),
    "next_sentence": (kbk.NextSentenceHead(), {"pooled": states[:, 0]}),
}
"""

ON_JAX = (
    LAYERS
    + """
import sys

assert keras.backend.backend() == "jax"
folder = sys.argv[1]
for name, (layer, inputs) in cases.items():
    layer(**inputs)
    kept = np.load(f"{folder}/{name}.npz")
    layer.set_weights([kept[f"weight {i}"] for i in range(len(layer.weights))])
    output = keras.ops.convert_to_numpy(layer(**inputs))
    np.testing.assert_allclose(output, kept["output"], rtol=1e-5, atol=1e-5, err_msg=name)

# in somebody's functional model, trained by fit, with recomputation and dropout
tokens = keras.Input((None,), dtype="int32")
x = kbk.BertEmbeddings(31, 20)(tokens)
encoder = kbk.TransformerEncoder(2, **block, gradient_checkpointing=True)
x = encoder(x, attention_mask=keras.ops.not_equal(tokens, 0))
model = keras.Model(tokens, kbk.ClassificationHead(3)(kbk.Pooler(20)(x)))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.005), loss)
losses = model.fit(ids, np.arange(3), epochs=60, verbose=0).history["loss"]
assert losses[-1] < 0.5 * losses[0], losses
"""
)


@pytest.mark.slow  # another process loads Keras and JAX
def test_layers_on_jax_give_what_they_give_on_tensorflow(tmp_path):
    names = {}
    exec(LAYERS, names)
    for name, (layer, inputs) in names["cases"].items():
        output = keras.ops.convert_to_numpy(layer(**inputs))
        weights = {f"weight {i}": weight for i, weight in enumerate(layer.get_weights())}
        np.savez(tmp_path / f"{name}.npz", output=output, **weights)
    ran = subprocess.run(
        [sys.executable, "-c", ON_JAX, tmp_path],
        env={"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
