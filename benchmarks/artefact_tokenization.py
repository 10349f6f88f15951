"""Exactness of the tokenizers inside exported artefacts, against the `tokenizers` library.

    python benchmarks/artefact_tokenization.py DATA

DATA is the folder of data sets. For each vocabulary a small model is exported, as a SavedModel and
as a LiteRT model of texts, and the signature `tokenize` of each reads every line of all data sets.
The lines whose ids, mask or segment ids differ from the library's are counted. The library reads
special tokens in a text as LiteRT and the SavedModel do: as text, and as those tokens.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenization import LOWER_CASED, all_texts, library_tokenizer, lines_of

LENGTH, BATCH = 512, 4096


def export_small_model(vocab: Path, do_lower_case: bool, folder: Path) -> dict[str, Callable]:
    """Exports a model that has the vocabulary and little else; gives the ways to tokenize."""
    import tensorflow as tf

    from keras_bert_kit import BertConfig, BertForSequenceClassification, BertTokenizer
    from keras_bert_kit.export import LiteModel, litert, saved_model

    config = BertConfig(
        vocab_size=len(lines_of(vocab)) - 1,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        max_position_embeddings=LENGTH,
    )
    tokenizer = BertTokenizer(vocab, do_lower_case)
    model = BertForSequenceClassification(config, tokenizer=tokenizer)
    served = tf.saved_model.load(str(saved_model(model, folder / "served" / "1")))
    lite = LiteModel(litert(model, folder / "lite", max_length=LENGTH).path / "model.text.tflite")

    def in_saved_model(texts: list[str]) -> dict[str, np.ndarray]:
        outputs = served.signatures["tokenize"](text=tf.constant(texts))
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def in_litert(texts: list[str]) -> dict[str, np.ndarray]:
        return lite.run("tokenize", text=np.array([text.encode() for text in texts], object))

    return {"SavedModel": in_saved_model, "LiteRT": in_litert}


def count_differences(texts: list[str], library, tokenize: Callable) -> int:
    """Counts the lines that an artefact reads otherwise than the library."""
    differing = 0
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        rows = library.encode_batch(part)
        expected = {
            "input_ids": np.array([row.ids for row in rows]),
            "attention_mask": np.array([row.attention_mask for row in rows]),
            "token_type_ids": np.array([row.type_ids for row in rows]),
        }
        found = tokenize(part)
        wrong = [(found[name] != array).any(axis=1) for name, array in expected.items()]
        differing += int(np.any(wrong, axis=0).sum())
    return differing


def main():
    """Counts for each vocabulary and artefact, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="the folder of data sets")
    data = parser.parse_args().data
    texts = all_texts(data)
    print(f"{len(texts)} lines\n\n| vocabulary | artefact | differing lines |\n|---|---|---|")
    for name, do_lower_case in LOWER_CASED.items():
        vocab = data / "vocab" / name / "vocab.txt"
        library = library_tokenizer(vocab, do_lower_case)
        library.enable_truncation(LENGTH)
        library.enable_padding()
        with tempfile.TemporaryDirectory() as folder:
            ways = export_small_model(vocab, do_lower_case, Path(folder))
            for artefact, tokenize in ways.items():
                library._tokenizer.encode_special_tokens = artefact == "LiteRT"
                count = count_differences(texts, library, tokenize)
                print(f"| {name} | {artefact} | {count} |", flush=True)


if __name__ == "__main__":
    main()
