"""The steps of training against PyTorch's AdamW and transformers' schedule, where installed."""

import shutil

import numpy as np
import pytest

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.training import bert_optimizer, classification_loss

pytestmark = pytest.mark.reference
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STEPS, RATE = 24, 2e-3
# A large model's gradients, clipped to the norm 1, are as small in each weight as these.
CLIP = 1e-4


@pytest.fixture
def folder(tiny_folder, tmp_path):
    model = BertForSequenceClassification.from_pretrained(
        tiny_folder,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        hidden_act="gelu",
        classifier_dropout=0.0,
    )
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def batches():
    random = np.random.default_rng(4)
    for _ in range(STEPS):
        mask = (np.arange(9) < random.integers(2, 10, (6, 1))).astype("int64")
        ids = random.integers(5, 30, (6, 9)) * mask
        yield {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids}, ids[:, 0] % 3


def trained_here(folder):
    model = BertForSequenceClassification.from_pretrained(folder)
    optimizer = bert_optimizer(learning_rate=RATE, total_steps=STEPS, clip_norm=CLIP)
    model.compile(optimizer=optimizer, loss=classification_loss("single_label_classification"))
    losses = [float(model.train_on_batch(*batch)) for batch in batches()]
    return losses, model


def trained_there(folder):
    model = transformers.BertForSequenceClassification.from_pretrained(folder).train()
    decayed = {True: [], False: []}
    for name, weight in model.named_parameters():
        decayed[not name.endswith(("bias", "LayerNorm.weight"))].append(weight)
    groups = [{"params": decayed[key], "weight_decay": 0.01 * key} for key in decayed]
    optimizer = torch.optim.AdamW(groups, lr=RATE, eps=1e-6)
    warmup = round(0.1 * STEPS)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, warmup, STEPS)
    losses = []
    for inputs, labels in batches():
        tensors = {name: torch.tensor(value) for name, value in inputs.items()}
        loss = model(**tensors, labels=torch.tensor(labels)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, model


def test_the_same_steps_give_the_same_losses_and_weights(folder, tmp_path):
    (losses, ours), (expected, theirs) = trained_here(folder), trained_there(folder)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-4)
    shutil.copytree(folder, tmp_path / "theirs")  # the tokenizer
    theirs.save_pretrained(tmp_path / "theirs")
    other = BertForSequenceClassification.from_pretrained(tmp_path / "theirs")
    start = BertForSequenceClassification.from_pretrained(folder)
    models = (model.trainable_variables for model in (ours, other, start))
    changes = {}
    for variable, value, before in zip(*models, strict=True):
        np.testing.assert_allclose(variable, value, rtol=0, atol=2e-5, err_msg=variable.path)
        changes[variable.path] = np.abs(np.subtract(value, before)).max()
    moved = [path for path, change in changes.items() if change > 2e-4]
    assert len(moved) > 0.8 * len(changes), changes
