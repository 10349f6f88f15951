"""Search for the hyper-parameters that fine-tune best, with cross-validation, on KerasTuner."""

from keras_bert_kit.search.result import SearchResult, SearchTrial
from keras_bert_kit.search.run import search
from keras_bert_kit.search.space import PRESETS

__all__ = ["PRESETS", "SearchResult", "SearchTrial", "search"]
