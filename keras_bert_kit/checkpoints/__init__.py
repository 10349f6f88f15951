"""Weights in and out: one table of names, one small module a format.

This package sees arrays and weight paths, never a model class.
"""

from keras_bert_kit.checkpoints.checkpoint import Checkpoint
from keras_bert_kit.checkpoints.sources import load_checkpoint, write_checkpoint

__all__ = ["Checkpoint", "load_checkpoint", "write_checkpoint"]
