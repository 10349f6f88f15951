"""What the table of tasks refuses, and how it finds the task of a model."""

import dataclasses

import pytest

from keras_bert_kit import BertForTokenClassification, BertModel
from keras_bert_kit.tasks import get_task, load_trained, task_of
from keras_bert_kit.training import FinetuningRecipe


def test_a_task_that_is_not_there():
    with pytest.raises(ValueError, match=r"one of text-classification, .*Received: 'poetry'"):
        get_task("poetry")


def test_an_option_that_is_not_there():
    with pytest.raises(ValueError, match=r"token-classification must be among: crf, lstm.*gru"):
        get_task("token-classification", {"crf": True, "gru": 3})
    with pytest.raises(ValueError, match=r"among: none.*Received: depth"):
        get_task("question-answering", {"depth": 3})


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("text-classification", {"problem_type": "ranking"}, "problem_type must be one of"),
        ("sentence-similarity", {"loss_type": "triplet"}, "loss_type must be one of cosine"),
        ("sentence-similarity", {"max_score": 0.0}, "max_score must be above 0"),
    ],
)
def test_an_option_out_of_its_range(task, options, message):
    with pytest.raises(ValueError, match=message):
        FinetuningRecipe(model="m", train="t", task=task, options=options)


def test_the_recipe_takes_what_is_usual_for_the_task():
    recipe = FinetuningRecipe(model="m", train="t", task="question-answering", epochs=7)
    assert (recipe.epochs, recipe.batch_size, recipe.max_length) == (7, 12, 384)
    assert recipe.metric == "f1"
    assert FinetuningRecipe(model="m", train="t").batch_size == 32
    assert dataclasses.replace(recipe, epochs=1).epochs == 1


@pytest.mark.parametrize(
    ("task", "options", "rate"),
    [
        ("token-classification", {}, None),
        ("token-classification", {"crf": True}, 1e-3),
        ("token-classification", {"lstm": 8}, 1e-3),
        ("semantic-role-labeling", {}, 1e-3),
    ],
)
def test_new_layers_of_a_tagger_learn_faster_than_bert(task, options, rate):
    recipe = FinetuningRecipe(model="m", train="t", task=task, options=options)
    assert recipe.head_learning_rate == rate
    own = dataclasses.replace(recipe, head_learning_rate=2e-4)
    assert own.head_learning_rate == 2e-4


def test_the_task_of_a_model(tiny_folder):
    tagger = BertForTokenClassification.from_pretrained(tiny_folder)
    assert task_of(tagger).name == "token-classification"
    roles = {"finetuning_task": "semantic-role-labeling"}
    tagger = BertForTokenClassification.from_pretrained(tiny_folder, **roles)
    assert task_of(tagger).name == "semantic-role-labeling"
    tagger = BertForTokenClassification.from_pretrained(tiny_folder, finetuning_task="mnli")
    assert task_of(tagger).name == "token-classification"
    with pytest.raises(TypeError, match=r"BertForSequenceClassification.*Received: BertModel"):
        task_of(BertModel.from_pretrained(tiny_folder))


def test_a_model_that_was_never_trained_is_refused(tiny_folder):
    with pytest.raises(ValueError, match="must be trained first, with finetune"):
        load_trained(tiny_folder)
