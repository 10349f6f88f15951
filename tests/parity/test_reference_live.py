"""Both directions against PyTorch transformers, where it is installed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert_kit
from keras_bert_kit import BertTokenizer
from keras_bert_kit.checkpoints.names import ENCODER, HEADS, HUGGINGFACE, rows
from keras_bert_kit.training import pretraining_losses

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] the food is good ##s ! a b c d e f g".split()  # noqa: SIM905
TEXTS = ["The foods is GOOD!", "", "é unknown §"]
LABELS = ("bad", "so-so", "good")
NAMES = {
    "BertModel": ("last_hidden_state", "pooler_output"),
    "BertForSequenceClassification": ("logits",),
    "BertForMaskedLM": ("logits",),
    "BertForNextSentencePrediction": ("logits",),
    "BertForTokenClassification": ("logits",),
    "BertForQuestionAnswering": ("start_logits", "end_logits"),
    "BertForMultipleChoice": ("logits",),
    "BertForPreTraining": ("prediction_logits", "seq_relationship_logits"),
}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(
    params=[("gelu", 1e-12, 2), ("gelu_new", 1e-5, 3), ("gelu", 1e-3, 3), ("relu", 1e-12, 2)],
    ids=lambda variant: "-".join(map(str, variant)),
)
def theirs(request, name):
    activation, epsilon, types = request.param
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=20,
        num_hidden_layers=2,
        num_attention_heads=5,
        intermediate_size=37,
        max_position_embeddings=11,
        type_vocab_size=types,
        hidden_act=activation,
        layer_norm_eps=epsilon,
        id2label=dict(enumerate(LABELS[: 2 if name == "BertForQuestionAnswering" else 3])),
        attn_implementation="eager",
    )
    model = getattr(transformers, name)(config).eval()
    for key, weight in model.named_parameters():
        middle = 1.0 if "LayerNorm.weight" in key else 0.0
        torch.nn.init.normal_(weight, middle, 0.02 if "_embeddings" in key else 0.3)
    return model


def random_inputs(types):
    random = np.random.default_rng(3)
    mask = (np.arange(7) < np.array([[7], [4], [1]])).astype("int64")
    return {
        "input_ids": random.integers(1, len(VOCABULARY), (3, 7)) * mask,
        "token_type_ids": random.integers(0, types, (3, 7)) * mask,
        "attention_mask": mask,
    }


def check_equal(ours, theirs, name):
    inputs = random_inputs(theirs.config.type_vocab_size)
    if name == "BertForMultipleChoice":
        inputs = {key: value[None] for key, value in inputs.items()}  # three choices of one
    with torch.no_grad():
        expected = theirs(**{key: torch.tensor(value) for key, value in inputs.items()})
    actual = ours(inputs)
    seen = inputs["attention_mask"] == 1
    for key in NAMES[name]:
        one, other = actual[key].numpy(), expected[key].numpy()
        if key == "last_hidden_state":
            one, other = one[seen], other[seen]
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=key)


def test_what_transformers_saved_loads_here(theirs, name, tmp_path):
    theirs.save_pretrained(tmp_path)
    BertTokenizer(VOCABULARY).save_pretrained(tmp_path)
    ours = getattr(keras_bert_kit, name).from_pretrained(tmp_path)
    assert str(ours.loading_report) == "every weight was loaded"
    check_equal(ours, theirs, name)


def test_what_is_saved_here_loads_in_transformers(theirs, name, tmp_path):
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer = BertTokenizer(VOCABULARY)
    tokenizer.save_pretrained(tmp_path / "theirs")
    ours = getattr(keras_bert_kit, name).from_pretrained(tmp_path / "theirs")
    ours.save_pretrained(tmp_path / "ours")
    back, info = getattr(transformers, name).from_pretrained(
        tmp_path / "ours", attn_implementation="eager", output_loading_info=True
    )
    assert not any(info.values()), info
    check_equal(ours, back.eval(), name)
    assert back.config.id2label == theirs.config.id2label
    assert back.config.architectures == [name]
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    expected = reference(TEXTS, padding=True, return_tensors="np")
    for key, value in tokenizer(TEXTS).items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)


@pytest.mark.parametrize("name", ["BertForPreTraining"])
def test_gradients_of_the_pretraining_loss_are_the_same(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    BertTokenizer(VOCABULARY).save_pretrained(tmp_path)
    ours = keras_bert_kit.BertForPreTraining.from_pretrained(tmp_path)
    inputs = random_inputs(theirs.config.type_vocab_size)
    positions = np.array([[1, 5], [0, 2], [0, 0]])
    weights = np.array([[1, 1], [1, 0], [1, 0]], "float32")
    labels = {
        "prediction_logits": np.array([[3, 9], [7, 0], [11, 0]]),
        "seq_relationship_logits": np.array([1, 0, 1]),
    }
    where = np.nonzero(weights)
    targets = np.full((3, 7), -100)
    targets[where[0], positions[where]] = labels["prediction_logits"][where]
    tensors = {key: torch.tensor(value) for key, value in inputs.items()}
    expected = theirs(
        **tensors,
        labels=torch.tensor(targets),
        next_sentence_label=torch.tensor(labels["seq_relationship_logits"]),
    ).loss
    expected.backward()

    variables = ours.weights_by_path()
    with tf.GradientTape() as tape:
        outputs = ours({**inputs, "masked_positions": positions})
        scales = {"prediction_logits": weights / weights.mean()}
        loss = sum(
            function(labels[key], outputs[key], sample_weight=scales.get(key))
            for key, function in pretraining_losses().items()
        )
    gradients = tape.gradient(loss, [variable.value for variable in variables.values()])
    assert float(loss) == pytest.approx(expected.item(), rel=1e-5)
    table = {row.path: row for row in rows(ENCODER + HEADS, 2)}
    reference = {key.removeprefix("bert."): v.grad for key, v in theirs.named_parameters()}
    assert len(reference) == len(variables)
    for path, gradient in zip(variables, gradients, strict=True):
        row = table[path]
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(gradient),
            HUGGINGFACE.to_ours(reference[row.huggingface].numpy(), row, ours.config),
            atol=1e-5,
            err_msg=path,
        )
