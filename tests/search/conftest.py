import dataclasses

import keras
import pytest

from keras_bert_kit import BertConfig, BertModel, BertTokenizer
from keras_bert_kit.search import search
from keras_bert_kit.training import FinetuningRecipe


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """A file of 12 rows: 6 good, 6 bad; and another of 8."""
    folder = tmp_path_factory.mktemp("few")
    things = ("food", "room", "staff", "phone", "battery", "screen")
    lines = [
        f"the {thing} was {word}\t{label}"
        for thing in things
        for word, label in (("great", "good"), ("awful", "bad"))
    ]
    (folder / "train.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    (folder / "validation.tsv").write_text("text\tlabel\n" + "\n".join(lines[:8]) + "\n")
    return folder


@pytest.fixture(scope="session")
def one_layer(tmp_path_factory, tiny_vocab):
    """A model that is traced fast."""
    keras.utils.set_random_seed(7)
    config = BertConfig(
        vocab_size=len(tiny_vocab),
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=3,
        intermediate_size=17,
        max_position_embeddings=50,
        initializer_range=0.1,
    )
    folder = tmp_path_factory.mktemp("models") / "one-layer"
    BertModel(config, tokenizer=BertTokenizer(tiny_vocab)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def by_folds(one_layer, few):
    """A recipe without a validation file."""
    return FinetuningRecipe(
        model=str(one_layer),
        train=str(few / "train.tsv"),
        epochs=1,
        batch_size=6,
        learning_rate=5e-3,
        max_length=9,
        xla=False,
    )


@pytest.fixture(scope="session")
def recipe(by_folds, few):
    """The same with a validation file."""
    return dataclasses.replace(by_folds, validation=str(few / "validation.tsv"))


@pytest.fixture
def trained(monkeypatch):
    """Scores by formula in place of training; gives the learning rate and fold of each run."""
    from keras_bert_kit.search import trials

    runs = []

    def score(self, recipe, fold):
        runs.append((recipe.learning_rate, fold))
        return 0.5 + 10 * recipe.learning_rate - 0.01 * fold - 0.001 * recipe.batch_size

    monkeypatch.setattr(trials.TrialScorer, "_score", score)
    monkeypatch.setattr(trials, "_release", lambda: None)  # there is nothing to release
    return runs


@pytest.fixture
def look(tmp_path):
    """Runs a search into a folder of its own."""

    def look(recipe, space, output=tmp_path / "found", **options):
        return search(recipe, space, output, progress=False, **options)

    return look
