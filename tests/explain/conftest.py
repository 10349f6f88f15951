import keras
import pytest
from checks import randomise

from keras_bert_kit import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTokenizer,
)

SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 17,
    "max_position_embeddings": 23,
}


@pytest.fixture(scope="session")
def make(tiny_vocab):
    """Makes a tiny model with random weights and a tokenizer."""

    def make(model_class=BertForSequenceClassification, seed=5, **fields):
        fields = {"id2label": {0: "bad", 1: "so-so", 2: "good"}, **fields}
        config = BertConfig(vocab_size=len(tiny_vocab), **SIZES, **fields)
        keras.utils.set_random_seed(seed)
        return randomise(model_class(config, tokenizer=BertTokenizer(tiny_vocab)), seed)

    return make


@pytest.fixture(scope="session")
def classifier(make):
    return make()


@pytest.fixture(scope="session")
def tagger(make):
    return make(BertForTokenClassification, id2label={0: "O", 1: "B-PER", 2: "I-PER"})


@pytest.fixture(scope="session")
def found(classifier):
    from keras_bert_kit.explain import attributions

    return attributions(classifier, "The food is not bad, but kettles!", steps=10)
