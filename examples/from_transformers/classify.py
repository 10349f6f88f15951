"""Classify two sentences: the BertForSequenceClassification snippet with masks of its own.

    python examples/from_transformers/classify.py [MODEL]

What changed besides the import and the weights' name, since the snippet was wrong there:

- It took every token that is not [MASK] as seen, padding too, and needed sentences of one length.
  The tokenizer pads, and gives the mask.
- Its segment ids were 1 everywhere but at [CLS]. A single text is segment 0.
- It put the labels beside the inputs and never used them; a head that was not trained predicts at
  random, so fine-tune first, as finetune.py does.
"""

import sys

import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification, BertTokenizer

MODEL = sys.argv[1] if len(sys.argv) > 1 else "hf://google-bert/bert-base-uncased"

tokenizer = BertTokenizer.from_pretrained(MODEL)
model = BertForSequenceClassification.from_pretrained(MODEL, num_labels=2)

sentences = ["I love programming", "I hate programming"]
inputs = tokenizer(sentences)

outputs = model(
    inputs["input_ids"],
    token_type_ids=inputs["token_type_ids"],
    attention_mask=inputs["attention_mask"],
)
logits = outputs.logits

predictions = tf.argmax(logits, axis=1)
print(predictions)
