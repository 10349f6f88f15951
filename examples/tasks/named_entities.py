"""Finds names in texts: fine-tunes a tagger with a CRF, and marks what it finds.

    python examples/tasks/named_entities.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT [TEXT ...]

The files have a word and its tag a line, as CoNLL-2003's eng.train and eng.testa.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.training import FinetuningRecipe, finetune


def main(source, train_file, validation_file, output, *texts):
    recipe = FinetuningRecipe(
        task="token-classification",
        model=source,
        train=train_file,
        validation=validation_file,
        options={"crf": True},
        learning_rate=1e-4,
    )
    result = finetune(recipe, output)
    print(f"F1 {result.scores['f1']:.4f} of {result.scores['rows']} sentences")

    find = kbk.pipeline(output)
    texts = list(texts) or ["Marie Curie was born in Warsaw and worked in Paris."]
    for text, answer in zip(texts, find(texts), strict=True):
        print(marked(text, answer["entities"]))


def marked(text, entities):
    """Puts each entity in brackets, with its label behind it."""
    for entity in reversed(entities):
        start, end = entity["start"], entity["end"]
        text = f"{text[:start]}[{text[start:end]}]{entity['label']}{text[end:]}"
    return text


if __name__ == "__main__":
    main(*sys.argv[1:])
