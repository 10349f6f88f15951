"""The models that commands load."""

from __future__ import annotations

from pathlib import Path


def load_model(path: Path):
    """Loads a trained model of any task; one without its head is refused."""
    from keras_bert_kit.tasks import load_trained

    return load_trained(path)
