"""Model and batches to a trained model: optimizers, losses and the fine-tuning run."""

from keras_bert_kit.models.losses import classification_loss, pretraining_losses
from keras_bert_kit.training.callbacks import BackupAndRestore
from keras_bert_kit.training.evaluation import evaluate
from keras_bert_kit.training.finetuning import finetune
from keras_bert_kit.training.optimizers import BertAdamW, BertLamb, bert_optimizer
from keras_bert_kit.training.recipe import FinetuningRecipe, FinetuningResult
from keras_bert_kit.training.schedules import LinearWarmupDecay
from keras_bert_kit.training.strategies import distribution_strategy

__all__ = [
    "BackupAndRestore",
    "BertAdamW",
    "BertLamb",
    "FinetuningRecipe",
    "FinetuningResult",
    "LinearWarmupDecay",
    "bert_optimizer",
    "classification_loss",
    "distribution_strategy",
    "evaluate",
    "finetune",
    "pretraining_losses",
]
