"""PyTorch transformers, with its fused attention and padding to the longest of a batch."""

import torch
import transformers
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertForMaskedLM,
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
)

from peers import Work, load, one_by_one

transformers.logging.set_verbosity_error()


def encoder(folder, model, dtype, rows, length, compiled=False, **_):
    """Hidden states for tokens."""
    network = AutoModel.from_pretrained(f"{folder}/{model}", attn_implementation="sdpa").eval()
    ids = torch.tensor(load(folder, "ids"))[:rows, :length]
    mask = torch.ones_like(ids)
    if compiled:
        network = torch.compile(network)

    @torch.inference_mode()
    def forward(_=0):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            return network(input_ids=ids, attention_mask=mask).last_hidden_state

    forward()

    def run(_):
        forward()

    return Work(run, lambda: forward()[0, 0, :8].float().tolist())


def finetune(folder, model, dtype, rounds, batch_size, grouped=False, **_):
    """A round is one pass over its own part of the sentences."""
    tokenizer = AutoTokenizer.from_pretrained(f"{folder}/{model}")
    torch.manual_seed(0)
    network = BertForSequenceClassification.from_pretrained(f"{folder}/{model}", num_labels=2)
    parts, (texts, labels) = load(folder, "finetune")[:rounds], load(folder, "score")
    steps = sum(-(-len(part[0]) // batch_size) for part in parts)
    optimizer, schedule = _optimizer(network, 5e-5, steps)

    def run(number):
        network.train()
        sentences, classes = parts[number]
        encoded = tokenizer(sentences, truncation=True, max_length=128)["input_ids"]
        order = torch.randperm(len(sentences)).tolist()
        if grouped:
            order.sort(key=lambda row: len(encoded[row]))
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        for place in torch.randperm(len(batches)).tolist():
            rows = batches[place]
            batch = tokenizer.pad({"input_ids": [encoded[r] for r in rows]}, return_tensors="pt")
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                loss = network(**batch, labels=torch.tensor([classes[r] for r in rows])).loss
            _step(network, loss, optimizer, schedule)

    @torch.inference_mode()
    def check():
        network.eval()
        right = 0
        for begin in range(0, len(texts), 64):
            batch = tokenizer(texts[begin : begin + 64], padding=True, return_tensors="pt")
            found = network(**batch).logits.argmax(-1).tolist()
            right += sum(a == b for a, b in zip(found, labels[begin : begin + 64], strict=True))
        return {"accuracy": right / len(texts)}

    return Work(run, check)


def pretrain(folder, model, batch_size, length, **_):
    """Masked tokens alone, over running text cut into full rows, as its example scripts do."""
    tokenizer = AutoTokenizer.from_pretrained(f"{folder}/{model}")
    torch.manual_seed(0)
    network = BertForMaskedLM.from_pretrained(f"{folder}/{model}").train()
    optimizer, schedule = _optimizer(network, 1e-4, 1000)
    collate = DataCollatorForLanguageModeling(tokenizer)
    parts = load(folder, "pretrain")

    def run(number):
        lines = [" ".join(document) for document in parts[number]]
        ids = [i for row in tokenizer(lines, verbose=False)["input_ids"] for i in row]
        rows = [ids[i : i + length] for i in range(0, len(ids) - length + 1, length)]
        full = len(rows) // batch_size * batch_size
        for begin in range(0, full, batch_size):
            batch = collate([{"input_ids": row} for row in rows[begin : begin + batch_size]])
            _step(network, network(**batch).loss, optimizer, schedule)
        return {"items": full * length}

    return Work(run)


def predict(folder, model, batch_size, **_):
    """Labels for texts, by the library's pipeline."""
    classify = transformers.pipeline(
        "text-classification", f"{folder}/{model}", batch_size=batch_size
    )
    texts = load(folder, "predict")
    answers = []

    def run(_):
        answers[:] = classify(texts, truncation=True, max_length=256)

    return Work(run, lambda: [answer["label"] for answer in answers])


def latency(folder, model, requests, **_):
    """One short text at a time."""
    tokenizer = AutoTokenizer.from_pretrained(f"{folder}/{model}")
    network = BertForSequenceClassification.from_pretrained(f"{folder}/{model}").eval()
    texts = load(folder, "score")[0][:requests]

    @torch.inference_mode()
    def answer(text):
        return network(**tokenizer([text], return_tensors="pt")).logits.softmax(-1)[0].tolist()

    return one_by_one(answer, texts)


def memory(folder, model, rows, length, **_):
    """One training step."""
    network = BertForSequenceClassification.from_pretrained(f"{folder}/{model}").train()
    optimizer, schedule = _optimizer(network, 5e-5, 10)
    ids = torch.tensor(load(folder, "ids"))[:rows, :length]
    labels = torch.zeros(rows, dtype=torch.int64)

    def run(_):
        _step(network, network(input_ids=ids, labels=labels).loss, optimizer, schedule)

    return Work(run)


def _optimizer(network, rate, steps):
    plain = ("bias", "LayerNorm.weight")
    named = list(network.named_parameters())
    groups = [
        {
            "params": [p for n, p in named if n.endswith(plain) == exempt],
            "weight_decay": 0.0 if exempt else 0.01,
        }
        for exempt in (False, True)
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, eps=1e-6)
    return optimizer, transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)


def _step(network, loss, optimizer, schedule):
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
