"""The other side of tasks.py: the same fine-tuning with PyTorch and transformers.

It reads one JSON object from standard input (the kind of task, the model's folder, examples and the
recipe) and writes one to standard output (predictions for the examples to score on, and seconds).
"""

import json
import math
import random
import sys
import time

import numpy as np
import torch
import transformers
from transformers import (
    AutoTokenizer,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)

MODELS = {
    "tokens": BertForTokenClassification,
    "texts": BertForSequenceClassification,
    "questions": BertForQuestionAnswering,
}


def main():
    """Trains and predicts."""
    asked = json.load(sys.stdin)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(asked["threads"])
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(asked["recipe"]["seed"])
    kind, recipe = asked["kind"], asked["recipe"]
    tokenizer = AutoTokenizer.from_pretrained(asked["model"])
    changes = {"num_labels": asked["num_labels"]} if kind != "questions" else {}
    if asked.get("regression"):
        changes["problem_type"] = "regression"
    model = MODELS[kind].from_pretrained(asked["model"], **changes)
    features = {part: FEATURES[kind](tokenizer, asked[part], recipe) for part in ("train", "dev")}
    start = time.perf_counter()
    train(model, features["train"], recipe, tokenizer)
    seconds = time.perf_counter() - start
    outputs = predict(model, features["dev"], recipe, tokenizer)
    found = PREDICTIONS[kind](features["dev"], outputs, asked)
    json.dump({"seconds": seconds, "predictions": found}, sys.stdout)


def train(model, rows, recipe, tokenizer):
    """Trains with AdamW, a linear schedule and clipping."""
    plain = ("bias", "LayerNorm.weight")
    named = list(model.named_parameters())
    groups = [
        {
            "params": [p for n, p in named if n.endswith(plain) == exempt],
            "weight_decay": 0.0 if exempt else recipe["weight_decay"],
        }
        for exempt in (False, True)
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe["learning_rate"], eps=1e-6)
    steps = math.ceil(len(rows) / recipe["batch_size"]) * recipe["epochs"]
    warmup = round(steps * recipe["warmup_ratio"])
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    model.train()
    done = 0
    for _ in range(recipe["epochs"]):
        for chosen in shuffled_batches(rows, recipe["batch_size"]):
            batch = [rows[row] for row in chosen]
            loss = model(**padded(batch, tokenizer, labelled=True)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            if done % 50 == 0:
                print(f"pytorch: step {done}/{steps}, loss {loss.item():.4f}", file=sys.stderr)


def shuffled_batches(rows, batch_size, pool=50):
    """Gives the rows of each batch: of like length within each pool of batches, in random order."""
    order = random.sample(range(len(rows)), len(rows))
    batches = []
    for begin in range(0, len(order), pool * batch_size):
        chosen = order[begin : begin + pool * batch_size]
        chosen.sort(key=lambda row: len(rows[row]["input_ids"]))
        batches += [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    return random.sample(batches, len(batches))


@torch.no_grad()
def predict(model, rows, recipe, tokenizer):
    """Gives the outputs of each row, in order."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]["input_ids"]))
    outputs = [None] * len(rows)
    for begin in range(0, len(order), recipe["batch_size"]):
        chosen = order[begin : begin + recipe["batch_size"]]
        found = model(**padded([rows[row] for row in chosen], tokenizer, labelled=False))
        arrays = {name: value.numpy() for name, value in found.items()}
        for place, row in enumerate(chosen):
            outputs[row] = {name: array[place] for name, array in arrays.items()}
    return outputs


def padded(rows, tokenizer, labelled):
    """Gives rows as tensors, padded to the longest."""
    longest = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": tokenizer.pad_token_id, "labels": -100}
    tensors = {}
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        values = [row[name] + [fill.get(name, 0)] * (longest - len(row[name])) for row in rows]
        tensors[name] = torch.tensor(values)
    if labelled:
        for name in ("labels", "start_positions", "end_positions"):
            if name not in rows[0]:
                continue
            values = [row[name] for row in rows]
            if isinstance(values[0], list):
                values = [v + [-100] * (longest - len(v)) for v in values]
            tensors[name] = torch.tensor(values)
    return tensors


def text_features(tokenizer, examples, recipe):
    """Encodes texts or pairs of texts."""
    pairs = [one["text_pair"] for one in examples] if "text_pair" in examples[0] else None
    texts = [one["text"] for one in examples]
    encoded = tokenizer(texts, pairs, truncation=True, max_length=recipe["max_length"])
    return [
        {**{name: encoded[name][row] for name in encoded}, "labels": one["label"]}
        for row, one in enumerate(examples)
    ]


def token_features(tokenizer, examples, recipe):
    """Encodes words; the first piece of each has its tag."""
    rows = []
    for one in examples:
        row = dict(
            tokenizer(
                one["words"],
                is_split_into_words=True,
                truncation=True,
                max_length=recipe["max_length"],
            )
        )
        words = tokenizer(
            one["words"],
            is_split_into_words=True,
            truncation=True,
            max_length=recipe["max_length"],
        ).word_ids()
        first = [
            word is not None and word != (words[place - 1] if place else None)
            for place, word in enumerate(words)
        ]
        row["labels"] = [
            one["tags"][word] if is_first else -100
            for word, is_first in zip(words, first, strict=True)
        ]
        row["places"] = {word: p for p, word in enumerate(words) if first[p]}
        row["count"] = len(one["words"])
        rows.append(row)
    return rows


def question_features(tokenizer, examples, recipe):
    """Encodes questions with each window of their contexts."""
    rows = []
    for one in examples:
        encoded = tokenizer(
            one["question"],
            one["context"],
            truncation="only_second",
            max_length=recipe["max_length"],
            stride=128,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        text, start = one["answers"][0]
        end = start + len(text)
        for window in range(len(encoded["input_ids"])):
            names = ("input_ids", "token_type_ids", "attention_mask")
            row = {name: encoded[name][window] for name in names}
            offsets = encoded["offset_mapping"][window]
            inside = [kind == 1 and b > a for kind, (a, b) in
                      zip(row["token_type_ids"], offsets, strict=True)]  # fmt: skip
            first = [p for p, (a, b) in enumerate(offsets) if inside[p] and a <= start < b]
            last = [p for p, (a, b) in enumerate(offsets) if inside[p] and a < end <= b]
            both = bool(first and last)
            row["start_positions"] = first[0] if both else 0
            row["end_positions"] = last[0] if both else 0
            row["offsets"] = [pair if ok else None for pair, ok in
                              zip(offsets, inside, strict=True)]  # fmt: skip
            row["id"], row["context"] = one["id"], one["context"]
            rows.append(row)
    return rows


def logits_of(rows, outputs, asked):
    """Gives the logits of each text."""
    return [output["logits"].tolist() for output in outputs]


def tags_of(rows, outputs, asked):
    """Gives the tag of each word; "O" for those that were cut off."""
    names = asked["names"]
    found = []
    for row, output in zip(rows, outputs, strict=True):
        best = output["logits"].argmax(-1)
        tags = ["O"] * row["count"]
        for word, place in row["places"].items():
            tags[word] = names[best[place]]
        found.append(tags)
    return found


def answers_of(rows, outputs, asked):
    """Gives the best span of each question: 20 best starts and ends, at most 30 tokens."""
    best = {}
    for row, output in zip(rows, outputs, strict=True):
        starts, ends = output["start_logits"], output["end_logits"]
        inside = [place for place, pair in enumerate(row["offsets"]) if pair is not None]
        firsts, lasts = (
            sorted(inside, key=lambda p, logits=logits: -logits[p])[:20]
            for logits in (starts, ends)
        )
        for first in firsts:
            for last in lasts:
                if first <= last < first + 30:
                    score = float(starts[first] + ends[last])
                    text = row["context"][row["offsets"][first][0] : row["offsets"][last][1]]
                    if score > best.get(row["id"], (-math.inf, ""))[0]:
                        best[row["id"]] = score, text
    return {id_: text for id_, (_, text) in best.items()}


FEATURES = {"texts": text_features, "tokens": token_features, "questions": question_features}
PREDICTIONS = {"texts": logits_of, "tokens": tags_of, "questions": answers_of}


if __name__ == "__main__":
    main()
