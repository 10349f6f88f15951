"""Logits and loss of one sentence: the shortest snippet of many articles.

    python examples/from_transformers/example_sentence.py [MODEL]

What changed besides the import and the weights' name, since the snippet was wrong there:

- It called `outputs[0]` the loss. Without labels the first output is the logits; a loss function
  takes them, with a label.
"""

import sys

import keras
import numpy as np

from keras_bert_kit import BertForSequenceClassification, BertTokenizer

MODEL = sys.argv[1] if len(sys.argv) > 1 else "hf://google-bert/bert-base-uncased"

tokenizer = BertTokenizer.from_pretrained(MODEL)
model = BertForSequenceClassification.from_pretrained(MODEL)

inputs = tokenizer("This is an example sentence", return_tensors="tf")
attention_mask = inputs["attention_mask"]
print(f"Attention mask: {attention_mask.numpy().tolist()}")

outputs = model(**inputs)
logits = outputs[0]
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(np.array([1]), logits)
print(f"Logits: {logits.shape}, loss of label 1: {float(loss):.4f}")
