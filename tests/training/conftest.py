import pytest

from keras_bert_kit.training import FinetuningRecipe


@pytest.fixture
def recipe(tiny_folder, reviews):
    return FinetuningRecipe(
        model=str(tiny_folder),
        train=str(reviews["train"]),
        validation=str(reviews["validation"]),
        epochs=1,
        batch_size=16,
        learning_rate=5e-3,
        max_length=24,
    )
