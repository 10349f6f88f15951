"""Classifies texts of any length, and shows the part that counted most.

    python examples/tasks/long_documents.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT

The files are TSV, CSV or JSONL with the columns `text` and `label`.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.data import read_examples
from keras_bert_kit.training import FinetuningRecipe, finetune


def main(source, train_file, validation_file, output):
    recipe = FinetuningRecipe(
        task="document-classification",
        model=source,
        train=train_file,
        validation=validation_file,
        options={"pooling": "attention", "max_windows": 8},
    )
    print(f"accuracy {finetune(recipe, output).scores['accuracy']:.4f}")

    classify = kbk.pipeline(output)
    texts = read_examples(validation_file).texts[:3]
    for text, answer in zip(texts, classify(texts), strict=True):
        print(f"{answer['label']} ({answer['score']:.3f}), {len(answer['windows'])} windows")
        if answer["windows"]:
            window = max(answer["windows"], key=lambda one: one["weight"])
            part = " ".join(text[window["start"] : window["end"]].split())
            print(f"  {window['weight']:.3f}  {part[:200]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
