"""The models that commands load."""

from __future__ import annotations

from pathlib import Path


def load_classifier(path: Path):
    """Loads a trained classifier; one without a head is refused."""
    from keras_bert_kit.models import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(path, new_head=False)
