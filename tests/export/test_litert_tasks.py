"""LiteRT models of other tasks than the classification of texts; tests/tasks compares each."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import (
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    BertModel,
    BertTokenizer,
    pipeline,
)
from keras_bert_kit.export import litert

pytest.importorskip("ai_edge_litert")
pytest.importorskip("ai_edge_quantizer")

from keras_bert_kit.export.lite import of_task
from keras_bert_kit.export.lite.tokenizer import LiteTokenizer
from keras_bert_kit.messages import Request

TEXTS = ["où 🙂 là", "", "the foodstaff, 北京 good", "a\u0301b c\u0308", "[SEP] un-good"]


@pytest.fixture(scope="module")
def config(tiny_vocab):
    return BertConfig(
        vocab_size=len(tiny_vocab),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )


def tagger_of(config, tiny_vocab, **options):
    labels = {0: "O", 1: "B-LOC", 2: "I-LOC", 3: "B-PER"}
    config = dataclasses.replace(config, id2label=labels, **options)
    keras.utils.set_random_seed(1)
    model = BertForTokenClassification(config, BertTokenizer(tiny_vocab))
    kernel = model.classifier.weights[0]
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))  # tags of several kinds
    return model


@pytest.fixture(scope="module")
def tagger(config, tiny_vocab):
    return tagger_of(config, tiny_vocab)


@pytest.fixture(scope="module")
def exported(tagger, tmp_path_factory):
    return litert(tagger, tmp_path_factory.mktemp("litert") / "names")


def test_bytes_and_parts_are_those_of_tensorflow(tiny_vocab):
    core = BertTokenizer(tiny_vocab, split_special_tokens=True).in_graph(16)
    lite = LiteTokenizer.like(core)
    for texts in (TEXTS, [""], [b"\xff\xfe good \x80", b"caf\xc3"]):
        texts = tf.constant(texts)
        (have, count), (want, expected) = lite.bytes_of(texts), core.bytes_of(texts)
        assert count.numpy().tolist() == expected.numpy().tolist()
        for row, length in enumerate(expected):
            assert have[row, :length].numpy().tolist() == want[row, :length].numpy().tolist()
        for one, other in zip(
            lite.tokenize_with_offsets(texts), core.tokenize_with_offsets(texts), strict=True
        ):
            assert one.to_list() == other.to_list()
        ends = tf.stack([expected // 2, expected], axis=1)
        starts = tf.stack([tf.zeros_like(expected), expected // 2], axis=1)
        found = lite.parts_of(texts, starts, ends).numpy().tolist()
        assert found == core.parts_of(texts, starts, ends).numpy().tolist()


@pytest.mark.parametrize("do_lower_case", [True, False])
def test_special_tokens_are_found_where_the_usual_tokenizer_finds_them(tiny_vocab, do_lower_case):
    python = BertTokenizer(tiny_vocab, do_lower_case)
    core, lite = python.in_graph(16), LiteTokenizer.like(python.in_graph(16))
    parts = ["[MASK]", "[MASK", "[", "]", "[mask]", "[SEP]", "[[PAD]]", " ", "où", "\u0301", "food"]
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(parts, count)) for count in random.integers(0, 9, 300)]
    ids, starts, ends = lite.tokenize_with_offsets(texts)
    assert lite.tokenize(texts).to_list() == core.tokenize(texts).to_list() == ids.to_list()
    mask_id = python.mask_token_id
    for text, *row in zip(texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True):
        whole = [text.encode()[s:e] for number, s, e in zip(*row, strict=True) if number == mask_id]
        assert whole == [b"[MASK]"] * text.count("[MASK]")
    with pytest.raises(ValueError, match=r"in brackets alone.*special tokens \['food'\]"):
        LiteTokenizer.like(
            BertTokenizer(tiny_vocab, additional_special_tokens=["food"]).in_graph(16)
        )


def test_masks_are_filled(config, tiny_vocab, tmp_path):
    keras.utils.set_random_seed(0)
    model = BertForMaskedLM(config, BertTokenizer(tiny_vocab))
    found = pipeline(litert(model, tmp_path / "words").path)(["[MASK] good[MASK]!", "food"])
    expected = pipeline(model)(["[MASK] good[MASK]!", "food"])
    assert [len(answer["predictions"]) for answer in found] == [10, 0]
    for one, other in zip(found, expected, strict=True):
        for name in ("mask", "token"):
            assert [p[name] for p in one["predictions"]] == [p[name] for p in other["predictions"]]


def test_entities_stand_in_the_text(exported, tagger):
    found, expected = pipeline(exported.path)(TEXTS), pipeline(tagger)(TEXTS)
    assert sum(len(answer["entities"]) for answer in found) > 3
    for text, answer, other in zip(TEXTS, found, expected, strict=True):
        for entity in answer["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["text"]
        spans = [(e["start"], e["end"], e["label"]) for e in answer["entities"]]
        assert spans == [(e["start"], e["end"], e["label"]) for e in other["entities"]]


def test_the_folder_and_its_card(exported):
    assert sorted(path.name for path in exported.path.iterdir()) == [
        "README.md",
        "config.json",
        "model.text.tflite",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    card = (exported.path / "README.md").read_text()
    for part in (
        "A BERT for token-classification on LiteRT",
        "`serving_default(text)`, `tokens(input_ids, attention_mask, token_type_ids)`",
        "`entities.text`, `entities.label`",
        'answer(text=np.array([b"A text."], object))',
    ):
        assert part in card
    assert "$" not in card
    assert exported.models["model.text.tflite"].scores.accuracy == 1
    assert not exported.labelled
    assert BertTokenizer.from_pretrained(exported.path).split_special_tokens


@pytest.mark.parametrize("quantize", ["float16", "dynamic-int8"])
def test_fewer_bits(tagger, tmp_path, quantize):
    done = litert(tagger, tmp_path / "names", quantize, examples=TEXTS)
    made = done.models["model.text.tflite"]
    assert made.format == quantize
    assert 1e-5 < made.scores.largest_difference < 0.1


BAD = of_task.Scores(9, 0.0, 0.0, 0.5, 1.0)


def test_a_quantized_model_may_have_to_give_the_same_answers(tagger, tmp_path, monkeypatch):
    monkeypatch.setattr(of_task, "scores_of", lambda *_: BAD)
    with pytest.raises(ValueError, match="accuracy must not fall by more than 0"):
        litert(tagger, tmp_path / "names", "dynamic-int8", max_drop=0)
    assert not (tmp_path / "names").exists()


def test_other_answers_in_float32_are_an_error(tagger, tmp_path, monkeypatch):
    monkeypatch.setattr(of_task, "scores_of", lambda *_: BAD)
    with pytest.raises(RuntimeError, match=r"other answers for 50.00 % of 9 rows"):
        litert(tagger, tmp_path / "names")


def test_what_litert_lacks(config, tiny_vocab, tagger, tmp_path):
    with pytest.raises(ValueError, match=r"int8 is for classifiers of texts.*Take dynamic-int8"):
        litert(tagger, tmp_path / "lite", "int8", examples=TEXTS)
    for options in ({"use_crf": True}, {"lstm_hidden_size": 4}):
        with pytest.raises(ValueError, match=r"a CRF and an LSTM are.*Export a SavedModel"):
            litert(tagger_of(config, tiny_vocab, **options), tmp_path / "lite")
    with pytest.raises(TypeError, match="must be one of"):
        litert(BertModel(config, BertTokenizer(tiny_vocab)), tmp_path / "lite")
    model = tagger_of(config, tiny_vocab)
    model.tokenizer = BertTokenizer(tiny_vocab, never_split=["food"])
    with pytest.raises(ValueError, match="never split"):
        litert(model, tmp_path / "lite")


def test_rows_with_other_words_are_not_the_same():
    class Fixed:
        def run(self, signature, **inputs):
            return {
                "entities.text": np.array([[b"a", b""], [b"b", b"x"]], object),
                "entities.score": np.array([[0.5, 9], [0.25, 0.75]], "float32"),
                "entities.count": np.array([1, 2], "int32"),
            }

    expected = {
        "entities.text": np.array([[b"a"], [b"c"]], object),
        "entities.score": np.array([[0.75], [0.25]], "float32"),
        "entities.count": np.array([1, 1], "int32"),
    }
    request = Request("serving_default", {"text": np.array([b"1", b"2"], object)}, expected)
    scores = of_task.scores_of(Fixed(), [request])
    assert (scores.texts, scores.accuracy, scores.largest_difference) == (2, 0.5, 0.25)
    assert scores.drop == 50
