import gzip
import itertools

import numpy as np
import pytest

from keras_bert_kit.data import next_sentence_pairs, read_documents

SENTENCE, DOCUMENT = 1000, 1_000_000  # an id is document * 1,000,000 + sentence * 1,000 + place


def documents(count=60, seed=4, longest=30):
    """Documents of 1 to 24 sentences of 1 to `longest` tokens, each id different."""
    random = np.random.default_rng(seed)
    return [
        [
            np.arange(random.integers(1, longest + 1), dtype="int32")
            + (document * DOCUMENT + sentence * SENTENCE)
            for sentence in range(random.integers(1, 25))
        ]
        for document in range(count)
    ]


def as_lists(pairs):
    return [(first.tolist(), second.tolist(), label) for first, second, label in pairs]


def is_one_run(ids):
    """Whether ids are consecutive in their document, whatever was cut off at the ends."""
    steps = np.diff(ids)
    new_sentence = ids[1:] % SENTENCE == 0
    within = steps[~new_sentence]
    sentences = np.diff(ids // SENTENCE)[new_sentence]
    return (within == 1).all() and (sentences == 1).all()


def test_label_0_follows_and_label_1_comes_from_another_document():
    texts = documents()
    lengths = {row[0] // SENTENCE: len(row) for document in texts for row in document}
    pairs = list(next_sentence_pairs(texts, max_length=200, short_seq_prob=0.5))
    whole = 0
    for first, second, label in pairs:
        assert min(len(first), len(second)) > 0
        assert is_one_run(first)
        assert is_one_run(second)
        if label:
            assert first[0] // DOCUMENT != second[0] // DOCUMENT
        elif len(first) + len(second) < 197:  # nothing was cut
            whole += 1
            end = first[-1] // SENTENCE
            assert first[-1] % SENTENCE == lengths[end] - 1  # the first text ends its sentence
            assert second[0] == (end + 1) * SENTENCE  # the second begins the next
        else:
            assert first[0] // DOCUMENT == second[0] // DOCUMENT
            assert first[-1] < second[0]
    assert whole > 30
    assert {label for *_, label in pairs} == {0, 1}


def test_every_sentence_is_used_and_in_the_order_of_its_document():
    texts = documents(longest=4)  # so short that no chunk is cut
    seen = {}
    for first, second, label in next_sentence_pairs(texts, max_length=128):
        own = first if label else np.concatenate([first, second])
        seen.setdefault(own[0] // DOCUMENT, []).append(own)
    for number, document in enumerate(texts):
        np.testing.assert_array_equal(np.concatenate(seen[number]), np.concatenate(document))


def test_half_of_the_second_texts_follow():
    pairs = list(next_sentence_pairs(documents(400, longest=8), max_length=64, short_seq_prob=0.0))
    several = [label for first, _, label in pairs if len(first) < 53]
    assert abs(np.mean(several) - 0.5) < 0.1  # a little more: the last sentences have no next
    alone = [[np.arange(5) + DOCUMENT * number] for number in range(20)]
    assert {label for *_, label in next_sentence_pairs(alone)} == {1}


@pytest.mark.parametrize("max_length", [5, 6, 16, 37, 128])
def test_no_pair_is_too_long_and_long_documents_fill_the_length(max_length):
    pairs = list(next_sentence_pairs(documents(), max_length, short_seq_prob=0.0))
    lengths = np.array([len(first) + len(second) + 3 for first, second, _ in pairs])
    assert lengths.max() == max_length
    assert min(len(ids) for first, second, _ in pairs for ids in (first, second)) >= 1
    assert (lengths == max_length).mean() > 0.5


def test_short_sequences_have_all_lengths():
    pairs = next_sentence_pairs(documents(300, longest=10), max_length=64, short_seq_prob=1.0)
    lengths = np.array([len(first) + len(second) + 3 for first, second, _ in pairs])
    assert np.histogram(lengths, bins=4, range=(4, 64))[0].min() > 30


def test_the_longer_text_is_cut_at_both_ends():
    texts = [[np.arange(90) + DOCUMENT * number] for number in range(2)] * 300
    cut = [(first, second) for first, second, _ in next_sentence_pairs(texts, max_length=64)]
    full = [pair for pair in cut if len(pair[0]) + len(pair[1]) == 61]
    assert len(full) == 600
    assert {(len(first), len(second)) for first, second in full} == {(31, 30)}
    fronts = np.array([first[0] % SENTENCE for first, _ in full])
    assert abs(fronts.mean() - 59 / 2) < 1  # 59 tokens go, each by a coin
    assert 2 < fronts.std() < 6  # sqrt(59) / 2 = 3.8
    uneven = [[np.arange(90)], [np.arange(10) + DOCUMENT]]
    sizes = {(len(a), len(b)) for a, b, _ in next_sentence_pairs(uneven, 64, short_seq_prob=0.0)}
    assert sizes == {(51, 10), (10, 51)}


def test_seed_and_epoch_decide_the_pairs():
    def made(**options):
        return as_lists(next_sentence_pairs(documents(), max_length=64, **options))

    assert made(seed=1, epoch=2) == made(seed=1, epoch=2)
    assert made(seed=1, epoch=2) != made(seed=1, epoch=3)
    assert made(seed=1, epoch=2) != made(seed=2, epoch=2)
    assert made(seed=1, epoch=2) != made(seed=2, epoch=1)


def test_documents_come_in_random_order_each_once():
    order = [
        first[0] // DOCUMENT for first, *_ in next_sentence_pairs(documents(200), buffer_size=50)
    ]
    groups = [number for number, _ in itertools.groupby(order)]
    assert sorted(groups) == list(range(200))
    assert groups != sorted(groups)


def test_no_more_documents_are_read_than_the_buffer_and_those_that_were_walked():
    read, walked = 0, set()

    def stream():
        nonlocal read
        for document in documents(200):
            read += 1
            yield document
        raise AssertionError("all documents were read")

    for first, *_ in next_sentence_pairs(stream(), buffer_size=10):
        walked.add(first[0] // DOCUMENT)
        assert read <= 10 + len(walked)
        if len(walked) == 180:
            break
    assert read == 190


def test_second_texts_come_from_the_buffer():
    texts = documents(300)
    places = {}
    for first, second, label in next_sentence_pairs(texts, buffer_size=5):
        if label:
            places.setdefault(first[0] // DOCUMENT, set()).add(second[0] // DOCUMENT)
    assert max(len(others) for others in places.values()) <= 4
    assert all(own not in others for own, others in places.items())


@pytest.mark.parametrize("texts", [[], [[np.arange(3)]]])
def test_one_document_is_not_enough(texts):
    with pytest.raises(ValueError, match=rf"two documents or more.* Received: {len(texts)} with"):
        next(next_sentence_pairs(texts))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 4}, "max_length must be at least 5 for pairs"),
        ({"short_seq_prob": 1.5}, "Received: short_seq_prob=1.5"),
        ({"buffer_size": 1}, "buffer_size must be at least 2. Received: buffer_size=1"),
        ({"seed": -1}, "must not be negative. Received: seed=-1, epoch=0"),
        ({"epoch": -3}, "must not be negative. Received: seed=0, epoch=-3"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        next_sentence_pairs([], **options)


def write(folder, name, content):
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_documents_of_a_file(tmp_path, name, line_end):
    content = "\ufeff\n\nOne .\n Two\u2028 .\n  \t\n\nThree .\n\nFour .\n\n"
    path = write(tmp_path, name, content.replace("\n", line_end))
    expected = [["One .", " Two\u2028 ."], ["Three ."], ["Four ."]]
    assert list(read_documents(path)) == list(read_documents(str(path))) == expected


def test_a_file_ends_its_last_document(tmp_path):
    paths = [write(tmp_path, "a.txt", "one\ntwo"), write(tmp_path, "b.txt", "three\n\nfour")]
    assert list(read_documents(paths)) == [["one", "two"], ["three"], ["four"]]


def test_documents_are_read_one_by_one(tmp_path):
    path = write(tmp_path, "a.txt", b"one\n\ntwo\n\n" + b"x" * 100_000 + b"\n\ncaf\xe9\n")
    found = read_documents(path)
    assert next(found) == ["one"]
    assert next(found) == ["two"]
    next(found)
    with pytest.raises(ValueError, match="line 7 must be UTF-8, got byte 0xe9 at byte offset 1000"):
        next(found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\n\ncaf\xe9\n", "line 3 must be UTF-8, got byte 0xe9 at byte offset 8; convert"),
        (b"one\na\0b\n", "line 2 must be text, got a NUL byte at byte offset 5; remove"),
        (b"", "must hold documents, one sentence a line and a blank line between documents, got"),
        (b"\n \n", "must hold documents"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_what_is_no_text(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(ValueError, match=message) as caught:
        list(read_documents(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda _: b"plain text"])
def test_damaged_gzip(tmp_path, damage):
    path = write(tmp_path, "a.txt.gz", "one\n\ntwo\n")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"a\.txt\.gz: must be a whole gzip file"):
        list(read_documents(path))


def test_a_missing_file_is_known_at_once(tmp_path):
    path = write(tmp_path, "a.txt", "one\n")
    for absent in (tmp_path / "absent.txt", tmp_path):
        with pytest.raises(FileNotFoundError, match="must be a file, but none is there"):
            read_documents([path, absent])


def test_no_paths():
    with pytest.raises(ValueError, match="must hold documents"):
        list(read_documents([]))


@pytest.mark.data
def test_real_prose(data_dir):
    paths = [data_dir / "pretraining_prose" / f"{name}.txt.gz" for name in ("brown", "speeches")]
    assert [len(list(read_documents(path))) for path in paths] == [500, 124]
    texts = [
        [np.arange(len(sentence.split())) for sentence in document]
        for document in read_documents(paths)
    ]
    labels = [label for *_, label in next_sentence_pairs(texts)]
    assert len(labels) > 15_000
    assert 0.5 < np.mean(labels) < 0.58
