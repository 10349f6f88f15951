"""Predict a masked word: the TFBertForMaskedLM snippet of many articles.

    python examples/from_transformers/masked_word.py [MODEL]

What changed besides the import and the weights' name, since the snippet was wrong there:

- It took the prediction at the *index* that equals the id of token 5. The masked token is where
  `input_ids` equals `mask_token_id`.
- It looked the word up in `tokenizer.vocab["id2word"]`, which no tokenizer has.
  `convert_ids_to_tokens` gives it.
"""

import sys

import numpy as np
import tensorflow as tf

from keras_bert_kit import BertForMaskedLM, BertTokenizer

MODEL = sys.argv[1] if len(sys.argv) > 1 else "hf://google-bert/bert-base-uncased"

tokenizer = BertTokenizer.from_pretrained(MODEL)
model = BertForMaskedLM.from_pretrained(MODEL)

text = "The quick brown [MASK] jumps over the lazy dog."
inputs = tokenizer(text, return_tensors="tf")

outputs = model(
    inputs["input_ids"],
    token_type_ids=inputs["token_type_ids"],
    attention_mask=inputs["attention_mask"],
)
predictions = outputs[0]

masked_index = np.nonzero(inputs["input_ids"].numpy()[0] == tokenizer.mask_token_id)[0][0]
predicted_index = tf.argmax(predictions, axis=-1).numpy()[0][masked_index]
predicted_word = tokenizer.convert_ids_to_tokens(predicted_index)

print(f"The predicted word is: {predicted_word}")
