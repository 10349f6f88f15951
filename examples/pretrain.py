"""Pretrains a BERT from raw text with `model.fit`: masked tokens and next sentences.

    python examples/pretrain.py OUTPUT TEXT_FILE... --minutes 10

The files hold one sentence a line and a blank line between documents, and may be gzipped; every
tenth document is held out. OUTPUT gets the model with its tokenizer, `history.csv` and
`pretraining_curves.png`. The defaults suit a small model, few texts and a CPU.
"""

import argparse
import csv
import time
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

import keras_bert_kit as kbk
from keras_bert_kit.tokenization.vocabulary import learn_vocabulary

HEADS = ("prediction_logits", "seq_relationship_logits")


def main(options):
    keras.utils.set_random_seed(options.seed)
    documents = list(kbk.data.read_documents(options.texts))
    held_out, training = documents[9::10], [d for i, d in enumerate(documents) if i % 10 != 9]
    if len(held_out) < 2:
        raise SystemExit(f"At least 20 documents are needed. Received: {len(documents)}")
    sentences = (sentence for document in training for sentence in document)
    tokens = options.vocab or learn_vocabulary(sentences, options.vocab_size)
    tokenizer = kbk.BertTokenizer(tokens, model_max_length=options.max_length)
    config = kbk.BertConfig(
        vocab_size=len(tokenizer.tokens),
        hidden_size=options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=max(1, options.hidden // 64),
        intermediate_size=4 * options.hidden,
        max_position_embeddings=options.max_length,
        hidden_act="gelu_new",  # as google-research/bert; on CPUs faster than "gelu"
        hidden_dropout_prob=options.dropout,
        attention_probs_dropout_prob=options.dropout,
    )
    model = kbk.BertForPreTraining(config, tokenizer)

    def batches(documents, **how):
        return kbk.data.pretraining_batches(
            documents,
            tokenizer,
            batch_size=options.batch_size,
            max_length=options.max_length,
            max_predictions=round(0.15 * options.max_length) + 1,
            seed=options.seed,
            few_lengths=options.xla,
            **how,
        )

    train = batches(training, epochs=range(10**6))  # as many as are asked for
    evaluation = kbk.data.counted(batches(held_out, epochs=[0], drop_remainder=False))

    if options.epochs:
        steps = options.epochs * len(kbk.data.counted(batches(training, epochs=[0])))
        optimizer = kbk.training.bert_optimizer(
            total_steps=steps, learning_rate=options.learning_rate
        )
        rounds, callbacks = max(1, round(steps / options.interval)), [Report()]
    else:
        rounds, steps = 10**6, 10**6 * options.interval
        optimizer = kbk.training.BertAdamW(weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0)
        callbacks = [Report(), Clock(options.minutes, options.learning_rate)]
    model.compile(
        optimizer=optimizer,
        loss=kbk.training.pretraining_losses(),
        weighted_metrics=dict.fromkeys(HEADS, "accuracy"),
        jit_compile=options.xla,
    )
    history = model.fit(
        train,
        validation_data=evaluation,
        steps_per_epoch=steps // rounds,
        epochs=rounds,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    ).history

    entropy = unigram_entropy(evaluation, len(tokenizer.tokens))
    print(f"masked-LM loss on held-out texts {history[f'val_{HEADS[0]}_loss'][-1]:.3f} nats")
    print(f"unigram entropy of the same tokens {entropy:.3f} nats")
    model.save_pretrained(options.output)
    write_history(history, entropy, Path(options.output))


class Report(keras.callbacks.Callback):
    """Prints the losses at intervals and notes the step."""

    def on_epoch_end(self, epoch, logs=None):
        logs["step"] = int(self.model.optimizer.iterations)
        losses = [f"{logs[f'{name}_loss']:.3f} ({logs[f'val_{name}_loss']:.3f})" for name in HEADS]
        print(f"step {logs['step']}: masked LM {losses[0]}, next sentence {losses[1]}", flush=True)


class Clock(keras.callbacks.Callback):
    """Raises the learning rate over the first steps, lets it fall to 0 with the time, and stops."""

    def __init__(self, minutes, peak, warmup_steps=200):
        super().__init__()
        self.seconds, self.peak, self.warmup_steps = 60 * minutes, peak, warmup_steps
        self.step, self.start = 0, time.monotonic()

    def on_train_batch_begin(self, batch, logs=None):
        left = max(0, 1 - (time.monotonic() - self.start) / self.seconds)
        self.step += 1
        self.model.optimizer.learning_rate = self.peak * min(self.step / self.warmup_steps, left)
        self.model.stop_training = left == 0


def unigram_entropy(batches, vocab_size):
    """The masked-LM loss of one who knows how frequent each hidden token is, and nothing else.

    It is the cross-entropy of the hidden tokens under their own frequencies, weighted as the loss.
    """
    counts = np.zeros(vocab_size)
    for _, labels, weights in batches:
        np.add.at(counts, labels["prediction_logits"], weights["prediction_logits"])
    shares = counts[counts > 0] / counts.sum()
    return -np.sum(shares * np.log(shares))


def write_history(history, entropy, folder):
    with open(folder / "history.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(history)
        writer.writerows(zip(*history.values(), strict=True))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(history["step"], history[f"{HEADS[0]}_loss"], "o-", label="training")
    axes.plot(history["step"], history[f"val_{HEADS[0]}_loss"], "s-", label="held-out")
    axes.axhline(entropy, color="grey", linestyle="--", label="unigram entropy, held-out")
    axes.set(xlabel="step", ylabel="masked-LM loss (nats)")
    axes.legend()
    figure.savefig(folder / "pretraining_curves.png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("output", help="folder to make")
    parser.add_argument("texts", nargs="+", metavar="TEXT_FILE")
    parser.add_argument("--vocab", help="an uncased vocab.txt; else a vocabulary is learned")
    parser.add_argument("--vocab-size", type=int, default=4000)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.0)
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--minutes", type=float, default=10)
    until.add_argument("--epochs", type=int, help="instead of minutes")
    parser.add_argument("--interval", type=int, default=500, help="steps between evaluations")
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="larger models: 1e-4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-xla", dest="xla", action="store_false")
    arguments = parser.parse_args()
    if Path(arguments.output).exists():
        parser.error(f"OUTPUT exists already: {arguments.output}")
    main(arguments)
