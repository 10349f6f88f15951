import gzip

import pytest


@pytest.fixture(scope="session")
def classifier(trained_folder):
    from keras_bert_kit import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(trained_folder)


@pytest.fixture(scope="session")
def artefact(classifier, tmp_path_factory):
    """A SavedModel that tests read and do not change, with what lies beside it."""
    from keras_bert_kit.export import saved_model

    return saved_model(classifier, tmp_path_factory.mktemp("served") / "reviews" / "1")


@pytest.fixture(scope="session")
def loaded(artefact):
    import tensorflow as tf

    return tf.saved_model.load(str(artefact))


@pytest.fixture(scope="session")
def signatures(loaded):
    return loaded.signatures


def lines_of(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")


@pytest.fixture(scope="session")
def real_lines(data_dir):
    """Some thousand different lines of real texts, in batches."""
    kinds = ("*.tsv", "*.tsv.gz", "*.csv", "*.csv.gz", "*.txt.gz", "*.de.gz", "*.en.gz")
    paths = sorted(path for kind in kinds for path in data_dir.glob(f"*/**/{kind}"))
    lines = sorted({line for path in paths for line in lines_of(path)})
    assert len(lines) > 50_000
    lines = lines[:: max(20, len(lines) // 6000)]
    assert sum(max(line) >= "\u4e00" for line in lines if line) > 100  # and Chinese among them
    return [lines[start : start + 500] for start in range(0, len(lines), 500)]


@pytest.fixture(scope="session")
def uncased_classifier(data_dir):
    """A classifier with a real vocabulary, and little else."""
    from keras_bert_kit import BertConfig, BertForSequenceClassification, BertTokenizer

    vocab = lines_of(data_dir / "vocab" / "bert-base-uncased" / "vocab.txt")[:-1]
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        max_position_embeddings=128,
        id2label={0: "bad", 1: "good"},
    )
    return BertForSequenceClassification(config, tokenizer=BertTokenizer(vocab))
