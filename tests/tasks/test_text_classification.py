"""What texts to labels has that other tasks have not: scores by language."""

import pytest

from keras_bert_kit.training import FinetuningRecipe, evaluate, finetune


@pytest.fixture
def recipe(tiny_folder, tmp_path):
    train = tmp_path / "train.tsv"
    rows = ["the food was good\tgood\ten", "das war bad\tbad\tde", "bad\tgood\tde"] * 3
    train.write_text("text\tlabel\tlanguage\n" + "\n".join(rows) + "\n")
    return FinetuningRecipe(
        model=str(tiny_folder), train=str(train), validation=str(train), epochs=1, max_length=24
    )


def test_scores_are_given_by_language(recipe, tmp_path):
    result = finetune(recipe, tmp_path / "out", progress=False)
    languages = result.scores["languages"]
    assert list(languages) == ["de", "en"]
    assert (languages["de"]["rows"], languages["en"]["rows"]) == (6, 3)
    right = sum(one["rows"] * one["accuracy"] for one in languages.values())
    assert right / 9 == pytest.approx(result.scores["accuracy"])
    card = (result.output / "README.md").read_text()
    assert "| language | rows | accuracy |" in card


def test_a_file_without_languages_has_none(trained_folder, reviews):
    from keras_bert_kit.tasks import load_trained

    assert "languages" not in evaluate(load_trained(trained_folder), reviews["validation"])
