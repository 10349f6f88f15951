"""The snippets that articles show for transformers, run on the kit."""

import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_bert_kit import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizer,
)

EXAMPLES = Path(__file__).parents[1] / "examples" / "from_transformers"
WORDS = """
the quick brown fox jumps over lazy dog . ! , i this is a an example sentence positive negative love
hate programming product terrible
""".split()  # noqa: SIM905
TOKENIZER = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])


@pytest.fixture
def run(monkeypatch, capsys):
    def run(name, model):
        monkeypatch.setattr("sys.argv", [name, str(model)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def fitted(model_class, inputs, labels, **changes):
    """A tiny model that learned to give each row of inputs its labels."""
    keras.utils.set_random_seed(3)
    config = BertConfig(
        vocab_size=len(TOKENIZER.tokens),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=24,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,
        **changes,
    )
    model = model_class(config, tokenizer=TOKENIZER)
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(inputs, labels, batch_size=16, epochs=50, verbose=0)
    return model


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory):
    """Knows each word of one sentence by the others, so that the answer depends on the place."""
    words = "the quick brown fox jumps over the lazy dog .".split()  # noqa: SIM905
    masked = [" ".join([*words[:i], "[MASK]", *words[i + 1 :]]) for i in range(len(words))]
    inputs = TOKENIZER(masked)
    labels = np.repeat(TOKENIZER([" ".join(words)])["input_ids"], len(words), axis=0)
    folder = tmp_path_factory.mktemp("models") / "masked-lm"
    fitted(BertForMaskedLM, inputs, labels).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    good = ["i love this product !", "i love programming", "this is a positive example ."]
    bad = ["this product is terrible .", "i hate programming", "this is a negative example ."]
    labels = np.array([1] * len(good) + [0] * len(bad))
    folder = tmp_path_factory.mktemp("models") / "classifier"
    model = fitted(BertForSequenceClassification, TOKENIZER([*good, *bad]), labels)
    model.save_pretrained(folder)
    return folder


def test_the_masked_word_is_the_one_that_the_model_learned(run, masked_lm):
    assert run("masked_word.py", masked_lm) == "The predicted word is: fox\n"


def test_sentiment_is_told(run, classifier):
    assert run("sentiment.py", classifier).splitlines() == [
        "Text: I love this product!, Prediction: Positive",
        "Text: This product is terrible., Prediction: Negative",
    ]


def test_two_sentences_are_classified(run, classifier):
    assert "[1 0]" in run("classify.py", classifier)


def test_a_step_of_fine_tuning_prints_logits_and_loss(run, classifier):
    before, loss = run("finetune.py", classifier).splitlines()
    assert before.startswith("Logits before: [[")
    assert before.count(",") == 3  # two rows of two
    assert 0 < float(loss.removeprefix("Loss: ")) < 0.3


def test_a_sentence_gives_mask_logits_and_loss(run, classifier):
    mask, logits = run("example_sentence.py", classifier).splitlines()
    assert mask == "Attention mask: [[1, 1, 1, 1, 1, 1, 1]]"
    assert re.fullmatch(r"Logits: \(1, 2\), loss of label 1: \d+\.\d{4}", logits)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_each_example_says_what_was_mended(path):
    text = path.read_text(encoding="utf-8")
    assert "What changed besides the import" in text
    assert "hf://google-bert/bert-base-uncased" in text
