"""Answers questions on a text of any length, and says how sure it is.

    python examples/tasks/questions.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT [CONTEXT QUESTION]

The files are JSON, as SQuAD 1.1 and 2.0.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.training import FinetuningRecipe, finetune

CONTEXT = (
    "The bridge was drawn by Ada Holm in 1911. It took four years to build, since the river froze "
    "in two winters, and it was opened by the mayor of Lund."
)
QUESTIONS = ("Who drew the bridge?", "Why did it take so long?", "What did it cost?")


def main(source, train_file, validation_file, output, context=CONTEXT, *questions):
    recipe = FinetuningRecipe(
        task="question-answering", model=source, train=train_file, validation=validation_file
    )
    scores = finetune(recipe, output).scores
    print(f"exact match {scores['exact_match']:.4f}, F1 {scores['f1']:.4f}")

    answer = kbk.pipeline(output)
    questions = list(questions) or list(QUESTIONS)
    for question, found in zip(
        questions, answer(questions, [context] * len(questions)), strict=True
    ):
        print(question)
        for one in found["n_best"][:3]:
            place = f"{one['start']}-{one['end']}"
            print(f"  {one['score']:.3f}  {one['text']}  ({place})")
        print(f"  {found['no_answer']:.3f}  no answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
