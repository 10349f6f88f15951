"""Tells whether two sentences mean the same, and puts the model behind TensorFlow Serving.

    python examples/tasks/sentence_pairs.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT

The files are TSV, CSV or JSONL with the columns `text`, `text_pair` and `label`;
examples/public_datasets.py makes them from the Microsoft Research paraphrase corpus. With numbers
as labels, `--regression` behind the rest learns these instead, as of the STS benchmark.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.tasks import load_trained
from keras_bert_kit.tasks.scores import scores_line
from keras_bert_kit.training import FinetuningRecipe, finetune

PAIRS = (
    ("The shop opens at nine.", "At nine o'clock the shop opens."),
    ("The shop opens at nine.", "The shop was closed for nine days."),
)


def main(source, train_file, validation_file, output, kind=None):
    options = {"problem_type": "regression"} if kind == "--regression" else {}
    recipe = FinetuningRecipe(
        model=source, train=train_file, validation=validation_file, options=options
    )
    print(scores_line(finetune(recipe, output).scores))

    kbk.export.saved_model(load_trained(output), f"{output}-serving/1", overwrite=True)
    compare = kbk.pipeline(f"{output}-serving/1")
    for pair, answer in zip(PAIRS, compare(*map(list, zip(*PAIRS, strict=True))), strict=True):
        print(f"{answer.get('label', '')}  {answer['score']:.3f}  {' | '.join(pair)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
