import json

import pytest

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data.squad import read_squad
from keras_bert_kit.data.squad_scores import exact_match, squad_scores, word_f1
from keras_bert_kit.data.windows import encode_questions

CONTEXT = "the food was good and the room was good"


def article(*asked, context=CONTEXT):
    return {"paragraphs": [{"context": context, "qas": list(asked)}]}


def asked(id_, *answers, **more):
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id_, "question": f"{id_}?", "answers": found, **more}


def write(tmp_path, content):
    path = tmp_path / "train.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(tmp_path, *articles, **options):
    return read_squad(write(tmp_path, {"data": list(articles)}), **options)


def test_answers_where_they_stand(tmp_path):
    found = read(tmp_path, article(asked("a", ("food", 4), ("good", 13))), article(asked("b")))
    assert found.questions == ["a?", "b?"]
    assert found.answers == [[("food", 4), ("good", 13)], []]
    assert (found.moved, found.dropped, found.impossible) == (0, 0, [False, False])


def test_misplaced_answers_are_moved_to_the_nearest_place_or_dropped(tmp_path):
    found = read(
        tmp_path,
        article(asked("a", ("good", 30)), asked("b", ("good", 9)), asked("c", ("bad", 3)),
                asked("d", ("", 0)), asked("e", ("the", -9))),
    )  # fmt: skip
    assert found.answers == [[("good", 35)], [("good", 13)], [], [], [("the", 0)]]
    assert (found.moved, found.dropped) == (3, 2)


def test_articles_can_be_chosen(tmp_path):
    every = [article(asked(name)) for name in "abcd"]
    assert read(tmp_path, *every, articles=slice(1, 3)).ids == ["b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be JSON in UTF-8"),
        ({"version": "1"}, "the file must have 'data', a list, got None"),
        ({"data": [{}]}, "article 1 must have 'paragraphs'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, "article 1, paragraph 1 must have 'context'"),
        ({"data": [article({"id": "a"})]}, "question 1 must have 'question', a str, got None"),
        ({"data": [article({**asked("a"), "answers": [{"text": "x"}]})]}, "'answer_start', a int"),
        ({"data": []}, "must have at least one question"),
        ([], "the file must have 'data'"),
    ],
)
def test_a_bad_file_says_where(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=message) as caught:
        read_squad(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab).as_text()


def test_windows_hold_the_answer_or_nothing(tmp_path, tokenizer):
    questions = read(
        tmp_path,
        article(asked("a", ("room", 26)), asked("b"), asked("what was it", ("good and the", 13))),
        article(asked("c"), context=""),
    )
    features = encode_questions(questions, tokenizer, max_length=12, stride=2, max_query_length=2)
    found = {}
    for row, number in enumerate(features.question_of_window):
        tokens = tokenizer.convert_ids_to_tokens(features.ids[row])
        start, end = features.starts[row], features.ends[row]
        assert (start == 0) == (end == 0)
        if start:
            found.setdefault(number, set()).add(" ".join(tokens[start : end + 1]))
    assert found == {0: {"room"}, 2: {"good and the"}}
    assert set(features.question_of_window) == {0, 1, 2, 3}
    assert (features.lengths <= 12).all()


def test_a_batch_of_windows(tmp_path, tokenizer):
    questions = read(tmp_path, article(asked("a", ("room", 26))))
    features = encode_questions(questions, tokenizer, max_length=20, stride=2)
    inputs, targets = features.pack([0], 24)
    assert {tuple(v.shape) for v in inputs.values()} == {(1, 24)}
    assert inputs["attention_mask"].numpy().sum() == features.lengths[0]
    assert {name: v.numpy().tolist() for name, v in targets.items()} == {
        "start_logits": features.starts[:1].tolist(),
        "end_logits": features.ends[:1].tolist(),
    }


@pytest.mark.parametrize(
    ("given", "golden", "exact", "f1"),
    [
        ("The  Food!", "food", 1, 1),
        ("the", "a", 1, 1),
        ("", "", 1, 1),
        ("", "food", 0, 0),
        ("good food", "good cheap food", 0, 0.8),
        ("good good", "good", 0, 2 / 3),
        ("film", "food", 0, 0),
    ],
)
def test_scores_of_an_answer(given, golden, exact, f1):
    assert exact_match(given, golden) == exact
    assert word_f1(given, golden) == pytest.approx(f1)


def test_the_best_of_several_answers_counts(tmp_path):
    questions = read(tmp_path, article(asked("a", ("food", 4), ("the food", 0)),
                                       asked("b", ("good", 13)), asked("none")))  # fmt: skip
    scores = squad_scores({"a": "The Food", "b": "good and"}, questions)
    assert scores == {"exact_match": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2)}
    assert squad_scores({"a": "food"}, questions)["exact_match"] == 0.5  # b is missing


def test_questions_without_an_answer(tmp_path):
    questions = read(tmp_path, article(asked("a", is_impossible=True), asked("b", ("good", 13))))
    scores = squad_scores({"a": "", "b": "room"}, questions)
    assert scores == {
        "exact_match": 0.5, "f1": 0.5, "has_answer_f1": 0.0, "no_answer_accuracy": 1.0
    }  # fmt: skip


def test_chinese_answers_are_compared_by_characters(tmp_path):
    context = "他于1998年出生在北京市。"
    questions = read(tmp_path, article(asked("a", ("北京市", 10)), context=context))
    assert squad_scores({"a": "“北京市”。"}, questions)["exact_match"] == 1
    scores = squad_scores({"a": "北京"}, questions)
    assert scores == {"exact_match": 0, "f1": pytest.approx(0.8)}
    assert squad_scores({"a": "京北市"}, questions)["f1"] == pytest.approx(1 / 3)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("squad_v1.1/first38-articles.json.gz", (8582, 27471, 0, 0)),
        ("cmrc2018/cmrc2018_dev.json.gz", (3219, 9464, 7, 193)),
        ("drcd/dev.json.gz", (3524, 7048, 0, 0)),
    ],
)
def test_real_files(data_dir, name, counts):
    found = read_squad(data_dir / name)
    assert (len(found), sum(map(len, found.answers)), found.moved, found.dropped) == counts
    for context, answers in zip(found.contexts, found.answers, strict=True):
        for text, start in answers:
            assert context[start : start + len(text)] == text
    given = {id_: answers[0][0] for id_, answers in zip(found.ids, found.answers, strict=True)
             if answers}  # fmt: skip
    assert squad_scores(given, found) == {"exact_match": 1, "f1": 1}
