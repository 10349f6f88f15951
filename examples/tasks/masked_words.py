"""Trains a masked-language model further on texts of one's own, and asks it for words.

    python examples/tasks/masked_words.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT [TEXT ...]

The files have a text a line. For Chinese, options={"segmenter": "jieba:lcut"} hides whole words.
"""

import sys

import keras_bert_kit as kbk
from keras_bert_kit.training import FinetuningRecipe, finetune


def main(source, train_file, validation_file, output, *texts):
    texts = list(texts) or ["The quick brown [MASK] jumps over the lazy dog."]
    recipe = FinetuningRecipe(
        task="fill-mask",
        model=source,
        train=train_file,
        validation=validation_file,
        options={"whole_word_mask": True},
    )
    scores = finetune(recipe, output).scores
    print(f"accuracy {scores['accuracy']:.4f}, among the first five {scores['accuracy_at_5']:.4f}")

    fill = kbk.pipeline(output)
    for text, answer in zip(texts, fill(texts), strict=True):
        print(text)
        for one in answer["predictions"]:
            print(f"  [MASK] {one['mask'] + 1}: {one['score']:.3f}  {one['token']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
