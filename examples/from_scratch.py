"""Trains a small BERT from nothing on labelled texts: for a language without pretrained weights.

python examples/from_scratch.py --train train.tsv --validation dev.tsv --output saved_models/scratch

Without --vocab a WordPiece vocabulary is learnt from the training texts.
"""

import argparse
import tempfile
from pathlib import Path

import keras

from keras_bert_kit import BertConfig, BertModel, BertTokenizer
from keras_bert_kit.data import read_examples
from keras_bert_kit.tasks.scores import scores_line
from keras_bert_kit.tokenization.vocabulary import learn_vocabulary
from keras_bert_kit.training import FinetuningRecipe, finetune


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", required=True)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--vocab", help="vocab.txt to use instead of learning one")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--max-length", type=int, default=160)
    parser.add_argument("--task", default="text-classification")
    given = parser.parse_args()

    vocab = given.vocab
    if vocab is None:
        vocab = learn_vocabulary(read_examples(given.train).texts, given.vocab_size)
    tokenizer = BertTokenizer(vocab)
    config = BertConfig(
        vocab_size=len(tokenizer.tokens),
        hidden_size=given.hidden_size,
        num_hidden_layers=given.layers,
        num_attention_heads=given.hidden_size // 64,
        intermediate_size=4 * given.hidden_size,
        max_position_embeddings=given.max_length,
    )
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start"
        BertModel(config, tokenizer).save_pretrained(start)
        recipe = FinetuningRecipe(
            task=given.task,
            model=str(start),
            train=given.train,
            validation=given.validation,
            epochs=given.epochs,
            learning_rate=given.learning_rate,
            max_length=given.max_length,
        )
        result = finetune(recipe, given.output, overwrite=True)
    print(f"{len(tokenizer.tokens)} tokens, {given.layers} layers: {scores_line(result.scores)}")


if __name__ == "__main__":
    main()
