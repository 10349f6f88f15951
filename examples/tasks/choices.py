"""Chooses which of several texts goes with a question.

    python examples/tasks/choices.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT

A line of the files is {"question": "...", "choices": ["...", "..."], "label": 0}, perhaps with
"context", as COPA, SWAG and RACE can be written.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.training import FinetuningRecipe, finetune

QUESTION = "The glass fell off the table. What happened next?"
CHOICES = ["It broke on the floor.", "The table was sold."]


def main(source, train_file, validation_file, output):
    recipe = FinetuningRecipe(
        task="multiple-choice", model=source, train=train_file, validation=validation_file
    )
    print(f"accuracy {finetune(recipe, output).scores['accuracy']:.4f}")

    choose = kbk.pipeline(output)
    (answer,) = choose([QUESTION], [CHOICES])
    for choice in answer["choices"]:
        print(f"{choice['score']:.3f}  {choice['text']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
