"""What a trained model looked at: attributions of words, and attention."""

from keras_bert_kit.explain.attention import AttentionMaps, attention_maps, attention_rollout
from keras_bert_kit.explain.attributions import Attributions, WordScore, attributions
from keras_bert_kit.explain.gradients import IntegratedGradients, integrated_gradients
from keras_bert_kit.explain.page import write_page
from keras_bert_kit.explain.pictures import plot_attention, plot_attributions

__all__ = [
    "AttentionMaps",
    "Attributions",
    "IntegratedGradients",
    "WordScore",
    "attention_maps",
    "attention_rollout",
    "attributions",
    "integrated_gradients",
    "plot_attention",
    "plot_attributions",
    "write_page",
]
