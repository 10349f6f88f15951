"""Tell positive from negative texts: the sentiment snippet of many articles.

    python examples/from_transformers/sentiment.py [MODEL]

What changed besides the import and the weights' name, since the snippet was wrong there:

- It gave the tokenizer a list of dicts. A tokenizer takes texts.
- The texts differ in length, and it did not pad them. Padding is the default here.
- bert-base-uncased has no classifier: MODEL should be a folder that was fine-tuned, such as the one
  that `keras-bert-kit finetune text-classification` writes.
"""

import sys

import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification, BertTokenizer

MODEL = sys.argv[1] if len(sys.argv) > 1 else "hf://google-bert/bert-base-uncased"

tokenizer = BertTokenizer.from_pretrained(MODEL)
model = BertForSequenceClassification.from_pretrained(MODEL)

data = [
    {"text": "I love this product!", "label": 1},
    {"text": "This product is terrible.", "label": 0},
]

inputs = tokenizer([row["text"] for row in data])

outputs = model(**inputs)
predictions = tf.argmax(outputs.logits, axis=1).numpy()

for row, prediction in zip(data, predictions, strict=True):
    print(f"Text: {row['text']}, Prediction: {'Positive' if prediction == 1 else 'Negative'}")
