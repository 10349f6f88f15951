import keras
import numpy as np
import pytest

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data import label_names, text_classification

ROWS = [("good food", "yes"), ("", "no"), ("very very bad staff", "no"), ("fine", "yes")]


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "train.tsv"
    lines = ["text\tlabel", *("\t".join(row) for row in ROWS)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_batches_of_a_file_in_its_order(path, tokenizer):
    dataset = text_classification(path, tokenizer, batch_size=3)
    assert len(dataset) == 2
    batches = list(dataset.as_numpy_iterator())
    assert np.concatenate([labels for _, labels in batches]).tolist() == [1, 0, 0, 1]
    expected = tokenizer([text for text, _ in ROWS[:3]])
    for name, array in expected.items():
        np.testing.assert_array_equal(batches[0][0][name][:, : array.shape[1]], array)


def test_label_names_decide_the_indices(path, tokenizer):
    ((_, labels),) = text_classification(path, tokenizer, label_names=["yes", "maybe", "no"])
    assert labels.numpy().tolist() == [0, 2, 2, 0]


def test_training_batches_are_shuffled_by_the_seed(path, tokenizer):
    path.write_text("".join(f"{row}\t{row}\n" for row in range(40)), encoding="utf-8")
    orders = [
        [
            int(label)
            for _, labels in text_classification(path, tokenizer, training=True, seed=seed)
            for label in labels
        ]
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(40)) != orders[0]


def test_long_texts_are_cut(path, tokenizer):
    path.write_text("very very very very very good\tyes\nbad\tno\n", encoding="utf-8")
    ((inputs, _),) = text_classification(path, tokenizer, max_length=5)
    assert inputs["attention_mask"].numpy().sum(axis=1).tolist() == [5, 3]
    assert inputs["input_ids"].shape == (2, 5)


def test_pairs(tmp_path, tokenizer):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"text": "good", "text_pair": "bad food", "label": 1}\n', encoding="utf-8")
    ((inputs, labels),) = text_classification(path, tokenizer)
    assert inputs["token_type_ids"].numpy().tolist() == [[0, 0, 0, 1, 1, 1, 0, 0]]
    assert labels.numpy().tolist() == [0]


def test_an_unknown_label_is_an_error(path, tokenizer):
    with pytest.raises(ValueError, match=r"train\.tsv: each label .* Received: 'no', in 2 of 4"):
        text_classification(path, tokenizer, label_names=["yes"])


def test_a_missing_file_is_an_error(tmp_path, tokenizer):
    with pytest.raises(FileNotFoundError, match="absent"):
        text_classification(tmp_path / "absent.tsv", tokenizer)


def test_a_model_trains_on_the_batches(reviews, tiny_folder):
    from keras_bert_kit import BertForSequenceClassification
    from keras_bert_kit.training import bert_optimizer

    names = label_names(reviews["train"])
    model = BertForSequenceClassification.from_pretrained(tiny_folder, id2label=names)
    train = text_classification(
        reviews["train"], model.tokenizer, names, batch_size=8, max_length=24, training=True
    )
    model.compile(
        optimizer=bert_optimizer(learning_rate=5e-3, dataset=train, epochs=3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    history = model.fit(train, epochs=3, shuffle=False, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
