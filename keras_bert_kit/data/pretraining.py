"""Raw text to batches that BERT is pretrained on: masked tokens and next sentences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert_kit.data.batching import epoch_numbers, length_buckets, padded_length, read_ahead
from keras_bert_kit.data.masking import TokenMasker
from keras_bert_kit.data.sentence_pairs import (
    Document,
    SentencePair,
    next_sentence_pairs,
    read_documents,
)
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer
from keras_bert_kit.tokenization.tokenizer import BertTokenizer

_CHUNK = 4096  # sentences tokenized in one call, so that the strings in flight stay few

# Batches whose pairs are mixed, then sorted by length among each other. More makes less padding,
# mixes more documents, and holds more pairs in memory.
_WINDOW = 50


def pretraining_batches(
    documents: str | Path | Sequence[str | Path] | Iterable[Sequence[str]],
    tokenizer: BertTokenizer,
    batch_size: int = 32,
    max_length: int = 128,
    max_predictions: int = 20,
    mlm_probability: float = 0.15,
    whole_word_mask: bool = False,
    short_seq_prob: float = 0.1,
    seed: int = 0,
    epochs: Sequence[int] | None = None,
    buffer_size: int = 1000,
    drop_remainder: bool = True,
    few_lengths: bool = True,
) -> tf.data.Dataset:
    """Turns documents into batches for `BertForPreTraining.fit`, streaming.

    Sentences are tokenized with the ops of a served model and paired, see `next_sentence_pairs`;
    pairs of like length make a batch, and tokens to predict are chosen and hidden, see
    `TokenMasker`. All of it is done anew in each epoch and follows from seed and epoch alone.

    Each batch is padded to the least of `length_buckets(max_length)` that holds its longest pair,
    so that XLA compiles at most one shape a bucket. The pairs that are left when an epoch's last
    batch is full, fewer than `batch_size`, make a batch of another shape where they are kept.

    The masked-LM weights of a batch are scaled so that their mean over all B x P places is 1. A
    mean over the places, such as Keras takes, is then the mean over the chosen tokens that the
    paper minimises, sum(weight x loss) / sum(weight), also where replicas share a global batch.

    In a multi-worker strategy each worker reads all documents and takes its part of the same
    global batches.

    Args:
        documents: Files of plain documents, or one, see `read_documents`; or the documents
            themselves, each a sequence of sentences, as an iterable that can be gone through once
            an epoch, such as a list.
        tokenizer: The model's tokenizer.
        batch_size: Rows of a batch (B), of all replicas together.
        max_length: Longest sequence in tokens, special tokens included.
        max_predictions: The most tokens to predict in a sequence (P).
        mlm_probability: Share of the tokens to predict.
        whole_word_mask: Whether to choose whole words.
        short_seq_prob: Share of the documents that are cut into shorter sequences.
        seed: Decides pairs, order and masks.
        epochs: The epochs to give one after the other: whoever stops after an epoch can go on
            with the next, and `[0]` gives the same batches each time, for held-out evaluation.
            `None` gives one epoch, another one each time the dataset is gone through.
        buffer_size: The most documents held in memory; the second text of a pair that does not
            belong together comes from one of them.
        drop_remainder: Whether to leave out the pairs that fill no batch, other ones in each epoch.
        few_lengths: Whether batches are padded to `length_buckets`; `False`, for a model that XLA
            does not compile, pads each to its longest pair.

    Returns:
        A dataset of triples (inputs, labels, weights), three dicts. Inputs: `input_ids`,
        `token_type_ids` and `attention_mask`, int32 (B, S), and `masked_positions`, int32 (B, P).
        Labels: `prediction_logits`, int32 (B, P), the hidden tokens, and
        `seq_relationship_logits`, int32 (B,), 0 the second text follows, 1 it does not. Weights
        under the same two names: float32 (B, P), 0 where no token was chosen, and ones (B,). The
        number of batches is not known, see `counted`.

    Raises:
        FileNotFoundError: A file is missing.
        TypeError: `documents` is an iterator, which only one epoch could go through.
        ValueError: A number is out of its range, or there are fewer than two documents. What is
            wrong further on in a file is a `tf.errors.InvalidArgumentError` that holds the message
            of `read_documents`; so is a corpus of fewer pairs than a batch has rows.

    Example:
        >>> train = pretraining_batches("train.txt.gz", tokenizer, epochs=range(100))
        >>> held_out = counted(pretraining_batches("held_out.txt", tokenizer, epochs=[0]))
        >>> model.compile("adam", pretraining_losses())
        >>> model.fit(train, steps_per_epoch=1000, epochs=50, validation_data=held_out)

    Reference:
        Devlin et al. 2018, section 3.1 and appendix A.2 (https://arxiv.org/abs/1810.04805).
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    layer = tokenizer.in_graph(max_length)
    masker = TokenMasker(tokenizer, mlm_probability, max_predictions, whole_word_mask)
    read = _reader(documents)
    options = {
        "max_length": max_length,
        "short_seq_prob": short_seq_prob,
        "buffer_size": buffer_size,
        "seed": seed,
    }
    # The errors that can be known are raised now, out of the first two documents.
    next(next_sentence_pairs(itertools.islice(_tokenize(read(), layer), 2), **options))

    def batches(epoch):
        pairs = next_sentence_pairs(_tokenize(read(), layer), epoch=int(epoch), **options)
        mixing = np.random.default_rng([seed, epoch, 1])  # another stream than the pairs' own
        cut = _cut_batches(pairs, batch_size, mixing, drop_remainder)
        first = next(cut, None)
        if first is None:
            raise ValueError(
                "The documents must give at least a batch of pairs. Received: fewer than "
                f"batch_size={batch_size}. Lower it, or set drop_remainder=False."
            )
        yield from map(_flatten, itertools.chain([first], cut))

    buckets = length_buckets(max_length) if few_lengths else None
    pack = _packer(layer, masker, buckets, seed, batch_size if drop_remainder else None)

    def one_epoch(epoch):
        rows = tf.data.Dataset.from_generator(batches, args=(epoch,), output_signature=_FLAT)
        return rows.enumerate().map(
            lambda position, row: pack(epoch, position, *row), num_parallel_calls=tf.data.AUTOTUNE
        )

    distribution = tf.data.Options()
    distribution.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    found = epoch_numbers(seed, epochs).flat_map(one_epoch)
    return read_ahead(found).with_options(distribution)


def counted(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Goes through a dataset once, so that its number of batches is known from then on.

    Keras warns where an epoch or an evaluation ends that it did not know the end of.

    Args:
        dataset: A dataset that gives as many batches each time, such as `pretraining_batches` with
            `epochs=[0]`.

    Returns:
        The same batches, with a cardinality and a `len`.
    """
    batches = dataset.reduce(np.int64(0), lambda count, *_: count + 1)
    return dataset.apply(tf.data.experimental.assert_cardinality(batches))


def _reader(documents) -> Callable[[], Iterable[Sequence[str]]]:
    """Gives a function that starts anew with the first document."""
    if isinstance(documents, Iterator):
        raise TypeError(
            "documents must be files, or an iterable that can be gone through once an epoch. "
            f"Received: {type(documents).__name__}. Give a list, or an object with __iter__."
        )
    documents = [documents] if isinstance(documents, (str, Path)) else documents
    if isinstance(documents, Sequence) and all(isinstance(item, (str, Path)) for item in documents):
        return lambda: read_documents(documents)
    return lambda: documents


def _tokenize(documents: Iterable[Sequence[str]], layer: InGraphTokenizer) -> Iterator[Document]:
    """Gives each document's sentences as ids, without those that hold no token."""
    for chunk in _chunks(documents):
        ids = layer.tokenize(tf.constant([text for texts in chunk for text in texts], tf.string))
        rows = iter(np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1]))
        for texts in chunk:
            document = [row for row in itertools.islice(rows, len(texts)) if len(row)]
            if document:
                yield document


def _chunks(documents: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    chunk, sentences = [], 0
    for document in documents:
        chunk.append(document)
        sentences += len(document)
        if sentences >= _CHUNK:
            yield chunk
            chunk, sentences = [], 0
    if sentences:
        yield chunk


def _cut_batches(
    pairs: Iterator[SentencePair],
    batch_size: int,
    random: np.random.Generator,
    drop_remainder: bool,
) -> Iterator[list[SentencePair]]:
    """Cuts windows of pairs into batches of like length, in random order."""
    while window := list(itertools.islice(pairs, batch_size * _WINDOW)):
        lengths = np.array([len(pair.first) + len(pair.second) for pair in window])
        order = random.permutation(len(window))
        whole, rest = np.split(order, [len(order) // batch_size * batch_size])
        by_length = whole[np.argsort(lengths[whole], kind="stable")].reshape(-1, batch_size)
        for rows in random.permutation(by_length):
            yield [window[row] for row in rows]
        if len(rest) and not drop_remainder:
            yield [window[row] for row in rest]


_IDS = tf.TensorSpec([None], tf.int32)
_FLAT = (_IDS, _IDS, _IDS, _IDS, _IDS)  # ids and row lengths of both texts, labels


def _flatten(batch: list[SentencePair]) -> tuple[np.ndarray, ...]:
    firsts, seconds, labels = zip(*batch, strict=True)
    return (
        np.concatenate(firsts),
        np.array([len(ids) for ids in firsts], "int32"),
        np.concatenate(seconds),
        np.array([len(ids) for ids in seconds], "int32"),
        np.array(labels, "int32"),
    )


def _packer(
    layer: InGraphTokenizer,
    masker: TokenMasker,
    buckets: Sequence[int] | None,
    seed: int,
    rows: int | None,
):
    padded = padded_length(buckets)

    def pack(epoch, position, ids, lengths, pair_ids, pair_lengths, labels):
        longest = tf.reduce_max(lengths + pair_lengths) + 3
        inputs = layer.pack(
            tf.RaggedTensor.from_row_lengths(ids, lengths),
            tf.RaggedTensor.from_row_lengths(pair_ids, pair_lengths),
            length=padded(longest),
        )
        key = tf.random.experimental.stateless_fold_in(tf.stack([seed, epoch]), position)
        inputs, tokens, weights = masker(inputs, key)
        weights = tf.ensure_shape(weights, tokens.shape)
        weights *= tf.math.divide_no_nan(
            tf.cast(tf.size(weights), tf.float32), tf.reduce_sum(weights)
        )
        # How many rows there are stands in the shapes, for whoever splits or compiles batches.
        return tf.nest.map_structure(
            lambda tensor: tf.ensure_shape(tensor, [rows, *tensor.shape[1:]]),
            (
                inputs,
                {"prediction_logits": tokens, "seq_relationship_logits": labels},
                {
                    "prediction_logits": weights,
                    "seq_relationship_logits": tf.ones_like(labels, tf.float32),
                },
            ),
        )

    return pack
