import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertConfig, BertForPreTraining, BertTokenizer
from keras_bert_kit.data import counted, length_buckets, pretraining_batches

HEADS = ("prediction_logits", "seq_relationship_logits")
LENGTH, BATCH, PLACES = 40, 8, 6
OPTIONS = {"batch_size": BATCH, "max_length": LENGTH, "max_predictions": PLACES}
WORDS = "the food room staff phone was is not very good bad great awful fine poor".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def tokenizer(tiny_vocab):
    return BertTokenizer(tiny_vocab)


@pytest.fixture(scope="module")
def documents():
    """Documents of 1 to 12 sentences of 1 to 12 words; each word tells its document."""
    random = np.random.default_rng(2)
    return [
        [
            " ".join(f"{WORDS[word]}{number % 10}" for word in random.integers(0, len(WORDS), size))
            for size in random.integers(1, 6, random.integers(1, 13))
        ]
        for number in range(70)
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory, documents):
    path = tmp_path_factory.mktemp("texts") / "corpus.txt"
    path.write_text("\n\n".join("\n".join(texts) for texts in documents), encoding="utf-8")
    return path


def arrays(dataset):
    return list(dataset.as_numpy_iterator())


def same(first, second):
    first, second = (tf.nest.flatten(arrays(dataset)) for dataset in (first, second))
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def unmask(inputs, labels):
    """The ids as they were before some were hidden."""
    ids = inputs["input_ids"].copy()
    rows, places = np.nonzero(labels["prediction_logits"])
    ids[rows, inputs["masked_positions"][rows, places]] = labels["prediction_logits"][rows, places]
    return ids


def test_shapes_and_types(tokenizer, documents):
    dataset = pretraining_batches(documents, tokenizer, epochs=[0], **OPTIONS)
    inputs, labels, weights = next(dataset.as_numpy_iterator())
    length = inputs["input_ids"].shape[1]
    assert {name: (a.shape, a.dtype.name) for name, a in inputs.items()} == {
        "input_ids": ((BATCH, length), "int32"),
        "token_type_ids": ((BATCH, length), "int32"),
        "attention_mask": ((BATCH, length), "int32"),
        "masked_positions": ((BATCH, PLACES), "int32"),
    }
    for found, kind in ((labels, "int32"), (weights, "float32")):
        assert {name: (a.shape, a.dtype.name) for name, a in found.items()} == {
            HEADS[0]: ((BATCH, PLACES), kind),
            HEADS[1]: ((BATCH,), kind),
        }
    static = tf.nest.flatten(tf.nest.map_structure(lambda s: s.shape, dataset.element_spec))
    assert {shape[0] for shape in static} == {BATCH}
    assert dataset.element_spec[2][HEADS[0]].shape == (BATCH, PLACES)


def test_one_shape_a_bucket_in_all_epochs(tokenizer, documents):
    dataset = pretraining_batches(documents, tokenizer, epochs=range(4), **OPTIONS)
    shapes = [inputs["input_ids"].shape for inputs, *_ in arrays(dataset)]
    assert {rows for rows, _ in shapes} == {BATCH}
    assert {length for _, length in shapes} <= set(length_buckets(LENGTH))
    assert len(set(shapes)) > 1


def test_batches_are_padded_to_the_least_bucket_and_hold_like_lengths(tokenizer, documents):
    real = padded = 0
    for inputs, *_ in arrays(pretraining_batches(documents, tokenizer, epochs=[0], **OPTIONS)):
        lengths = inputs["attention_mask"].sum(1)
        least = min(bucket for bucket in length_buckets(LENGTH) if bucket >= lengths.max())
        assert inputs["input_ids"].shape[1] == least
        real, padded = real + lengths.sum(), padded + inputs["input_ids"].size
    assert real > 0.85 * padded


def test_without_few_lengths_batches_are_as_long_as_their_longest_pair(tokenizer, documents):
    options = {**OPTIONS, "epochs": [0]}
    exact = arrays(pretraining_batches(documents, tokenizer, few_lengths=False, **options))
    padded = arrays(pretraining_batches(documents, tokenizer, **options))
    for (inputs, *_), (others, *_) in zip(exact, padded, strict=True):
        mask = inputs["attention_mask"]
        assert mask.shape[1] == mask.sum(1).max()
        np.testing.assert_array_equal(mask.sum(1), others["attention_mask"].sum(1))


def test_kept_remainders_are_one_batch_an_epoch(tokenizer, documents):
    options = {**OPTIONS, "epochs": range(3)}
    kept = arrays(pretraining_batches(documents, tokenizer, drop_remainder=False, **options))
    full = [batch for batch in kept if len(batch[1][HEADS[1]]) == BATCH]
    assert 1 <= len(kept) - len(full) <= 3
    dropped = arrays(pretraining_batches(documents, tokenizer, **options))
    assert len(dropped) == len(full)
    tf.nest.map_structure(np.testing.assert_array_equal, dropped, full)


def test_rows_are_pairs_of_two_documents_or_of_one(tokenizer, documents):
    seen = set()
    for inputs, labels, _ in arrays(
        pretraining_batches(documents, tokenizer, epochs=[0], **OPTIONS)
    ):
        columns = unmask(inputs, labels), inputs["token_type_ids"], inputs["attention_mask"]
        for ids, types, mask, label in zip(*columns, labels[HEADS[1]], strict=True):
            ids, types = ids[mask == 1], types[mask == 1]
            separators = np.flatnonzero(ids == tokenizer.vocab["[SEP]"])
            assert ids[0] == tokenizer.vocab["[CLS]"]
            assert len(separators) == 2
            assert separators[1] == len(ids) - 1
            np.testing.assert_array_equal(types, np.arange(len(ids)) > separators[0])
            digits = [
                {t for t in map(tokenizer.tokens.__getitem__, part) if t[-1].isdigit()}
                for part in (ids[: separators[0]], ids[separators[0] :])
            ]
            assert max(map(len, digits)) <= 1  # each text is of one document
            if not label and all(digits):
                assert digits[0] == digits[1]
            seen.add((int(label), digits[0] == digits[1]))
    assert {(0, True), (1, False)} <= seen


@pytest.mark.parametrize("whole_word_mask", [False, True])
def test_weights_stand_where_a_token_was_hidden_and_have_the_mean_1(
    tokenizer, documents, whole_word_mask
):
    dataset = pretraining_batches(
        documents, tokenizer, epochs=[0], whole_word_mask=whole_word_mask, **OPTIONS
    )
    hidden = 0
    for inputs, labels, weights in arrays(dataset):
        scaled = weights[HEADS[0]]
        assert scaled.mean() == pytest.approx(1, abs=1e-6)
        assert len(set(scaled[scaled > 0])) == 1
        np.testing.assert_array_equal(weights[HEADS[1]], 1)
        np.testing.assert_array_equal(scaled > 0, labels[HEADS[0]] > 4)  # no special token
        ids, before = inputs["input_ids"], unmask(inputs, labels)
        is_mask = ids == tokenizer.vocab["[MASK]"]
        assert not (before == tokenizer.vocab["[MASK]"]).any()
        assert (ids != before).sum() >= is_mask.sum()
        assert (ids != before).sum() <= (scaled > 0).sum()
        hidden += is_mask.sum()
    assert hidden > 100


def test_the_loss_of_keras_is_that_of_the_paper(tokenizer, documents):
    dataset = pretraining_batches(documents, tokenizer, epochs=[0], **OPTIONS)
    _, labels, weights = next(iter(dataset))
    logits = np.random.default_rng(1).normal(size=(BATCH, PLACES, len(tokenizer.tokens)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = loss(labels[HEADS[0]], logits, weights[HEADS[0]])
    each = keras.ops.sparse_categorical_crossentropy(labels[HEADS[0]], logits, from_logits=True)
    chosen = weights[HEADS[0]].numpy() > 0
    assert float(found) == pytest.approx(np.asarray(each)[chosen].mean(), rel=1e-5)
    halves = [
        loss(labels[HEADS[0]][part], logits[part], weights[HEADS[0]][part])
        for part in (slice(0, BATCH // 2), slice(BATCH // 2, BATCH))
    ]
    assert float(sum(halves) / 2) == pytest.approx(float(found), rel=1e-5)


def test_seed_and_epoch_decide_pairs_order_and_masks(tokenizer, documents):
    def made(**options):
        return pretraining_batches(documents, tokenizer, **OPTIONS, **options)

    first = made(seed=1, epochs=[2])
    assert same(first, first)
    assert same(first, made(seed=1, epochs=[2]))
    assert not same(first, made(seed=1, epochs=[3]))
    assert not same(first, made(seed=2, epochs=[2]))


def test_masks_differ_between_equal_batches(tokenizer):
    texts = [["the food was very very very good and fast"]] * 40
    batches = arrays(pretraining_batches(texts, tokenizer, epochs=range(2), **OPTIONS))
    positions = [inputs["masked_positions"].tolist() for inputs, *_ in batches]
    assert len(positions) == 10
    assert all(a != b for a, b in itertools.combinations(positions, 2))


def test_an_epoch_alone_equals_that_epoch_of_a_longer_run(tokenizer, documents):
    whole = pretraining_batches(documents, tokenizer, epochs=range(3), **OPTIONS)
    parts = [
        pretraining_batches(documents, tokenizer, epochs=[epoch], **OPTIONS) for epoch in range(3)
    ]
    assert same(whole, parts[0].concatenate(parts[1]).concatenate(parts[2]))


def test_without_epochs_each_pass_is_another_epoch(tokenizer, documents):
    first, second = (pretraining_batches(documents, tokenizer, **OPTIONS) for _ in range(2))
    one, two = arrays(first), arrays(first)
    assert not np.array_equal(one[0][0]["input_ids"], two[0][0]["input_ids"])
    tf.nest.map_structure(np.testing.assert_array_equal, one, arrays(second))


def test_files_and_documents_give_the_same(tokenizer, documents, path):
    options = {"epochs": [0], **OPTIONS}
    expected = pretraining_batches(documents, tokenizer, **options)
    for source in (path, [str(path)]):
        assert same(pretraining_batches(source, tokenizer, **options), expected)


def test_sentences_without_tokens_are_left_out(tokenizer, documents):
    options = {"epochs": [0], **OPTIONS}
    empty = [[], ["\u200b"], *([*texts, " ", ""] for texts in documents), [""]]
    assert same(
        pretraining_batches(empty, tokenizer, **options),
        pretraining_batches(documents, tokenizer, **options),
    )


def test_documents_may_be_any_iterable_that_starts_anew(tokenizer, documents):
    class Documents:
        def __iter__(self):
            return iter(documents)

    options = {"epochs": range(2), **OPTIONS}
    assert same(
        pretraining_batches(Documents(), tokenizer, **options),
        pretraining_batches(documents, tokenizer, **options),
    )
    with pytest.raises(TypeError, match=r"gone through once an epoch\. Received: list_iterator"):
        pretraining_batches(iter(documents), tokenizer)


def test_no_more_is_read_than_buffer_and_window_need(tokenizer, monkeypatch):
    monkeypatch.setattr("keras_bert_kit.data.pretraining._CHUNK", 50)
    monkeypatch.setattr("keras_bert_kit.data.pretraining._WINDOW", 2)
    read = 0

    class Endless:
        def __iter__(self):
            nonlocal read
            for number in itertools.count():
                read += 1
                yield [f"the food was {number}"] * 10

    dataset = pretraining_batches(Endless(), tokenizer, buffer_size=20, epochs=[0], **OPTIONS)
    assert len(list(dataset.take(30))) == 30
    assert read < 1500


def test_counted_datasets_know_their_length(tokenizer, documents):
    dataset = pretraining_batches(documents, tokenizer, epochs=range(2), **OPTIONS)
    assert dataset.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert len(counted(dataset)) == len(arrays(dataset))
    assert same(counted(dataset), dataset)


def test_workers_share_batches_and_not_files(tokenizer, documents):
    options = pretraining_batches(documents, tokenizer).options()
    policy = options.experimental_distribute.auto_shard_policy
    assert options.autotune.enabled is False
    assert policy == tf.data.experimental.AutoShardPolicy.DATA


def test_a_strategy_splits_the_rows(tokenizer, documents):
    dataset = pretraining_batches(documents, tokenizer, epochs=[0], **OPTIONS)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    split = strategy.experimental_distribute_dataset(dataset)
    assert len(list(split)) == len(arrays(dataset))


def test_a_model_learns_with_fit(tokenizer, documents):
    keras.utils.set_random_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer.tokens),
        hidden_size=20,
        num_hidden_layers=1,
        num_attention_heads=5,
        intermediate_size=37,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
    )
    model = BertForPreTraining(config)
    model.compile(
        keras.optimizers.Adam(0.01),
        dict.fromkeys(HEADS, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        weighted_metrics=dict.fromkeys(HEADS, "accuracy"),
        jit_compile=False,
    )
    train = pretraining_batches(documents, tokenizer, epochs=range(100), **OPTIONS)
    held_out = counted(pretraining_batches(documents[:20], tokenizer, epochs=[0], **OPTIONS))
    history = model.fit(
        train, steps_per_epoch=20, epochs=3, validation_data=held_out, shuffle=False, verbose=0
    ).history
    assert history[f"val_{HEADS[0]}_loss"][-1] < 0.9 * history[f"{HEADS[0]}_loss"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1. Received: batch_size=0"),
        ({"max_length": 4}, "max_length must be at least 5 for pairs"),
        ({"max_predictions": 0}, "max_predictions must be at least 1"),
        ({"mlm_probability": 1.0}, "mlm_probability must lie"),
        ({"short_seq_prob": -0.1}, "short_seq_prob must lie"),
        ({"buffer_size": 1}, "buffer_size must be at least 2"),
        ({"seed": -1}, "seed and epoch must not be negative"),
    ],
)
def test_numbers_out_of_range(tokenizer, documents, options, message):
    with pytest.raises(ValueError, match=message):
        pretraining_batches(documents, tokenizer, **options)


@pytest.mark.parametrize("texts", [[["one document"]], [["one"], [""], ["\u200b"]]])
def test_two_documents_are_needed(tokenizer, texts):
    with pytest.raises(ValueError, match=r"two documents or more.* Received: 1 with text"):
        pretraining_batches(texts, tokenizer)


def test_fewer_pairs_than_a_batch(tokenizer):
    texts = [["the food"], ["the room"]]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"fewer than batch_size=8\. Lower it"):
        arrays(pretraining_batches(texts, tokenizer, **OPTIONS))
    ((inputs, *_),) = arrays(pretraining_batches(texts, tokenizer, drop_remainder=False, **OPTIONS))
    assert inputs["input_ids"].shape == (2, 8)


def test_files_that_cannot_be_read(tokenizer, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.txt: must be a file"):
        pretraining_batches(tmp_path / "absent.txt", tokenizer)
    with pytest.raises(ValueError, match="must hold documents"):
        pretraining_batches([], tokenizer)
    path = tmp_path / "a.txt"
    path.write_bytes(b"the food\nis good\n\n" * 3000 + b"caf\xe9\n")
    dataset = pretraining_batches(path, tokenizer, **OPTIONS)  # the damage is far from the start
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"a\.txt: line 9001 must be UTF-8"):
        arrays(dataset)


@pytest.mark.data
def test_real_prose(tokenizer, data_dir):
    path = data_dir / "pretraining_prose" / "speeches.txt.gz"
    dataset = pretraining_batches(path, tokenizer, batch_size=16, max_length=512, epochs=[0])
    found = arrays(dataset.take(100))
    assert {inputs["input_ids"].shape[0] for inputs, *_ in found} == {16}
    assert max(inputs["input_ids"].shape[1] for inputs, *_ in found) == 512
    labels = np.concatenate([labels[HEADS[1]] for _, labels, _ in found])
    assert 0.5 < labels.mean() < 0.65
