"""Turns public data sets, as they are downloaded, into files that `keras-bert-kit` reads.

    python examples/public_datasets.py NAME FILE [FILE ...] --output OUTPUT.tsv

| NAME | FILE |
|---|---|
| cola | in_domain_train.tsv and its like, of CoLA |
| liar | train.tsv, valid.tsv or test.tsv of LIAR: statements, and Democrats or Republicans |
| movies | lines of review, tab, 0 or 1, as the movie review polarity set is passed on |
| mrpc | msr_paraphrase_train.txt and its like, of the Microsoft Research paraphrase corpus |
| stsb | stsb-en-train.csv and its like, of the multilingual STS benchmark |
| xlmt | arabic/train_text.txt, english/train_text.txt, ...: train_labels.txt lies beside each |

A file may end in .gz. The rest needs no change: CoNLL-2003 and Weibo NER (token-classification),
Universal Propositions (semantic-role-labeling), SQuAD, CMRC 2018 and DRCD (question-answering).
"""

import argparse
import csv
import gzip
from pathlib import Path


def cola(path):
    """Source, label, the author's mark, sentence."""
    for row in table(path):
        yield {"text": row[3], "label": row[1]}


def liar(path):
    """The statement is the third column, the speaker's party the eighth."""
    for row in table(path):
        if row[7] in ("democrat", "republican"):
            yield {"text": row[2], "label": row[7]}


def movies(path):
    """A review and whether it is positive."""
    for row in table(path):
        yield {"text": row[0], "label": ("negative", "positive")[int(row[1])]}


def mrpc(path):
    """Whether they mean the same, two ids, two sentences."""
    for row in table(path)[1:]:
        yield {"text": row[3], "text_pair": row[4], "label": row[0]}


def stsb(path):
    """Two sentences and a number up to 5."""
    for text, text_pair, label in csv.reader(lines(path)):
        yield {"text": text, "text_pair": text_pair, "label": label}


def xlmt(path):
    """A text a line, and in another file its label; the folder is the language."""
    names = ("negative", "neutral", "positive")
    labels = lines(path.with_name(path.name.replace("_text", "_labels")))
    for text, label in zip(lines(path), labels, strict=True):
        yield {"text": text, "label": names[int(label)], "language": path.parent.name}


def table(path):
    """Gives the cells of each line; quotation marks are text."""
    return [line.split("\t") for line in lines(path) if line]


def lines(path):
    """Gives the lines of a file."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="\n") as file:
        return file.read().removesuffix("\n").replace("\r\n", "\n").split("\n")


READERS = {
    "cola": cola,
    "liar": liar,
    "movies": movies,
    "mrpc": mrpc,
    "stsb": stsb,
    "xlmt": xlmt,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=READERS)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="most rows of a file")
    given = parser.parse_args()
    rows = [row for path in given.files for row in list(READERS[given.name](path))[: given.limit]]
    with open(given.output, "w", encoding="utf-8", newline="") as file:
        file.write("\t".join(rows[0]) + "\n")
        for row in rows:
            file.write("\t".join(cell.replace("\t", " ").strip() for cell in row.values()) + "\n")
    print(f"{len(rows)} rows in {given.output}")


if __name__ == "__main__":
    main()
