import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.export import saved_model, serving_functions
from keras_bert_kit.serving import Pipeline, is_saved_model

TEXTS = [f"the {thing} was {'very ' * count}{word}" for thing in ("food", "room", "film")
         for count, word in ((9, "good"), (0, "awful"), (4, "bad"), (1, "great"))]  # fmt: skip


@pytest.fixture(scope="module")
def model(trained_folder):
    return BertForSequenceClassification.from_pretrained(trained_folder)


@pytest.fixture(scope="module")
def artefact(model, tmp_path_factory):
    return saved_model(model, tmp_path_factory.mktemp("served") / "1")


@pytest.fixture(scope="module")
def classifier(artefact):
    return Pipeline.load(artefact)


def check_same(found, expected):
    assert [answer["label"] for answer in found] == [answer["label"] for answer in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_answers_come_in_the_order_of_the_texts(classifier, model):
    answers = classifier(TEXTS)
    logits = model(model.tokenizer(TEXTS, max_length=24))["logits"]
    expected = tf.nn.softmax(logits).numpy()
    found = [[answer["probabilities"][name] for name in ("bad", "good")] for answer in answers]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    for answer in answers:
        assert set(answer) == {"label", "score", "probabilities"}
        assert answer["score"] == max(answer["probabilities"].values())
        assert answer["probabilities"][answer["label"]] == answer["score"]
    assert {answer["label"] for answer in answers} == {"bad", "good"}


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_the_batch_size_changes_nothing(classifier, batch_size):
    check_same(classifier(TEXTS, batch_size=batch_size), classifier(TEXTS))


def test_texts_of_like_length_go_together(classifier):
    seen = []

    def spy(text):
        seen.append([len(one) for one in text.numpy()])
        return classifier.functions["serving_default"](text=text)

    Pipeline({"serving_default": spy})(TEXTS, batch_size=5)
    assert [len(batch) for batch in seen] == [5, 5, 2]
    assert [length for batch in seen for length in batch] == sorted(len(text) for text in TEXTS)


def test_pairs(classifier, model):
    pairs = TEXTS[::-1]
    answers = classifier(TEXTS, pairs, batch_size=5)
    logits = model(model.tokenizer(TEXTS, pairs, max_length=24))["logits"]
    expected = tf.nn.softmax(logits).numpy()
    found = [[answer["probabilities"][name] for name in ("bad", "good")] for answer in answers]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_model_in_memory_answers_as_its_artefact(classifier, model):
    check_same(Pipeline(serving_functions(model))(TEXTS), classifier(TEXTS))


def test_no_texts_get_no_answers(classifier):
    assert classifier([]) == []
    assert classifier([], []) == []


def test_texts_and_pairs_must_be_as_many(classifier):
    with pytest.raises(ValueError, match=r"2.*1|shorter"):
        classifier(["good", "bad"], ["fine"])


def test_is_saved_model(artefact, trained_folder, tmp_path):
    assert is_saved_model(artefact)
    assert not any(is_saved_model(path) for path in (trained_folder, tmp_path, tmp_path / "absent"))


def test_a_folder_that_is_no_saved_model_is_refused(trained_folder):
    with pytest.raises(FileNotFoundError, match=r"must be a SavedModel, with saved_model\.pb"):
        Pipeline.load(trained_folder)


def test_a_saved_model_that_takes_no_text_is_refused(tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: {"y": 2 * x})
    specification = tf.TensorSpec([None], tf.float32, name="x")
    signature = module.double.get_concrete_function(specification)
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=signature)
    tf.saved_model.save(tf.Module(), str(tmp_path / "2"))
    for path, received in (("1", r"inputs=\['x'\]"), ("2", r"signatures=\[\]")):
        with pytest.raises(ValueError, match=rf"whose inputs are texts.*{received}"):
            Pipeline.load(tmp_path / path)


@pytest.mark.parametrize("content", [b"", b"no SavedModel"])
def test_a_damaged_saved_model_is_refused(tmp_path, content):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ValueError, match=str(tmp_path)):
        Pipeline.load(tmp_path)
