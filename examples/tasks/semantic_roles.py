"""Tells who does what: fine-tunes a tagger for predicates and their arguments.

    python examples/tasks/semantic_roles.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT [TEXT ...]

The files are those of Universal Propositions, such as en_ewt-up-train.conllu.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.training import FinetuningRecipe, finetune


def main(source, train_file, validation_file, output, *texts):
    recipe = FinetuningRecipe(
        task="semantic-role-labeling",
        model=source,
        train=train_file,
        validation=validation_file,
        learning_rate=1e-4,
        epochs=4,
    )
    result = finetune(recipe, output)
    print(f"F1 {result.scores['f1']:.4f} of {result.scores['rows']} rows")

    label = kbk.pipeline(output)
    for answer in label(list(texts) or ["The committee gave the report to the press yesterday."]):
        for number, predicate in enumerate(answer["predicates"]):
            own = [one for one in answer["arguments"] if one["predicate"] == number]
            roles = ", ".join(f"{one['label']}: {one['text']}" for one in own)
            print(f"{predicate['text']}  ({roles})")


if __name__ == "__main__":
    main(*sys.argv[1:])
