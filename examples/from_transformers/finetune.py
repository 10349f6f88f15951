"""Fine-tune a classifier on two texts: the BertForSequenceClassification snippet of many articles.

    python examples/from_transformers/finetune.py [MODEL]

What changed besides the import and the weights' name:

- The snippet computed the outputs without labels, so its `outputs.loss` was None and
  `loss.backward()` failed. The labels go to `fit` here, which computes the loss.
- PyTorch's loop over gradients is Keras' `compile` and `fit`.
"""

import sys

import keras
import numpy as np

from keras_bert_kit import BertForSequenceClassification, BertTokenizer

MODEL = sys.argv[1] if len(sys.argv) > 1 else "hf://google-bert/bert-base-uncased"

tokenizer = BertTokenizer.from_pretrained(MODEL)
model = BertForSequenceClassification.from_pretrained(MODEL, num_labels=2)

texts = ["This is a positive example.", "This is a negative example."]
labels = np.array([1, 0])
inputs = tokenizer(texts, padding=True, truncation=True)

outputs = model(**inputs)
predictions = outputs.logits
print(f"Logits before: {predictions.numpy().tolist()}")

model.compile(
    optimizer=keras.optimizers.AdamW(learning_rate=2e-5),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
history = model.fit(inputs, labels, epochs=1, verbose=0)
print(f"Loss: {history.history['loss'][0]:.4f}")
