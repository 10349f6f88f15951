import numpy as np
import pytest
from checks import randomise

from keras_bert_kit import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

CONFIG = BertConfig(
    vocab_size=61,
    hidden_size=20,
    num_hidden_layers=1,
    num_attention_heads=5,
    intermediate_size=37,
    hidden_act="gelu_new",
    hidden_dropout_prob=0.2,
    attention_probs_dropout_prob=0.3,
    max_position_embeddings=11,
    type_vocab_size=3,
    initializer_range=0.03,
    layer_norm_eps=1e-5,
    pad_token_id=0,
    classifier_dropout=0.4,
    id2label={0: "bad", 1: "so-so", 2: "good"},
    problem_type="single_label_classification",
)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "B", "##b"]


def make(model_class, **kwargs):
    """A model with random weights, each of them different, in odd sizes."""
    return randomise(model_class(CONFIG, tokenizer=BertTokenizer(VOCABULARY, False), **kwargs))


@pytest.fixture(scope="session", name="make")
def make_fixture():
    return make


@pytest.fixture(scope="session")
def inputs():
    ids = np.arange(2, 58).reshape(8, 7)
    return {"input_ids": ids, "attention_mask": np.ones((8, 7), "int32")}


@pytest.fixture(scope="session")
def encoder():
    return make(BertModel)


@pytest.fixture(scope="session")
def classifier():
    return make(BertForSequenceClassification)


@pytest.fixture
def encoder_folder(encoder, tmp_path):
    encoder.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture
def classifier_folder(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "classifier")
    return tmp_path / "classifier"


@pytest.fixture
def change_tensors():
    """Lets a function edit the dict of tensors in a folder's weights, or give another one."""
    from safetensors.numpy import load_file, save_file

    def change(folder, edit):
        tensors = load_file(folder / "model.safetensors")
        save_file(edit(tensors) or tensors, folder / "model.safetensors")

    return change
