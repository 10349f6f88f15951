"""Model and batches to a trained model: the optimizer's recipe and the fine-tuning run."""

from keras_bert_kit.training.evaluation import evaluate_classifier
from keras_bert_kit.training.finetuning import finetune_text_classification, load_labelled_texts
from keras_bert_kit.training.optimizers import BertAdamW, LinearWarmupDecay, bert_optimizer
from keras_bert_kit.training.recipe import FinetuningRecipe, FinetuningResult

__all__ = [
    "BertAdamW",
    "FinetuningRecipe",
    "FinetuningResult",
    "LinearWarmupDecay",
    "bert_optimizer",
    "evaluate_classifier",
    "finetune_text_classification",
    "load_labelled_texts",
]
