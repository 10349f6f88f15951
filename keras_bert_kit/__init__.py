"""BERT for TensorFlow, from raw text to production.

The names below are loaded on first use, so that importing the package loads no TensorFlow. Where
Keras is loaded already, the kit's layers and models are registered with it at once, so that
`keras.models.load_model` finds them.
"""

import importlib
import sys
from typing import Any

from keras_bert_kit._version import __version__

_NAMES = {
    "BertConfig": "keras_bert_kit.config",
    "PoolingConfig": "keras_bert_kit.config",
    "BertTokenizer": "keras_bert_kit.tokenization.tokenizer",
    "BertEmbeddings": "keras_bert_kit.layers",
    "MultiHeadSelfAttention": "keras_bert_kit.layers",
    "TransformerEncoderBlock": "keras_bert_kit.layers",
    "TransformerEncoder": "keras_bert_kit.layers",
    "Pooler": "keras_bert_kit.layers",
    "ClassificationHead": "keras_bert_kit.layers",
    "ConditionalRandomField": "keras_bert_kit.layers",
    "MaskedLMHead": "keras_bert_kit.layers",
    "NextSentenceHead": "keras_bert_kit.layers",
    "SentencePooling": "keras_bert_kit.layers",
    "WindowPooling": "keras_bert_kit.layers",
    "load_checkpoint": "keras_bert_kit.checkpoints",
    "BertModel": "keras_bert_kit.models",
    "BertForMaskedLM": "keras_bert_kit.models",
    "BertForNextSentencePrediction": "keras_bert_kit.models",
    "BertForPreTraining": "keras_bert_kit.models",
    "BertForSequenceClassification": "keras_bert_kit.models",
    "BertForTokenClassification": "keras_bert_kit.models",
    "BertForQuestionAnswering": "keras_bert_kit.models",
    "BertForMultipleChoice": "keras_bert_kit.models",
    "BertForDocumentClassification": "keras_bert_kit.models",
    "BertSentenceEncoder": "keras_bert_kit.models",
    "DistributedModel": "keras_bert_kit.models",
    "convert_checkpoint": "keras_bert_kit.models.conversion",
    "pipeline": "keras_bert_kit.pipelines",
}

_MODULES = (
    "config",
    "handles",
    "interpreter",
    "messages",
    "tokenization",
    "data",
    "layers",
    "checkpoints",
    "models",
    "tasks",
    "training",
    "search",
    "export",
    "serving",
    "explain",
    "pipelines",
)

# Modules whose classes stand in `.keras` files.
_REGISTERED = (
    "keras_bert_kit.tokenization.in_graph",
    "keras_bert_kit.models",
    "keras_bert_kit.training.optimizers",
)

__all__ = ["__version__", "load_model", *_NAMES, *_MODULES]


def load_model(path, **kwargs: Any):
    """Reads a `.keras` file that holds layers, models or optimizers of the kit.

    The same as `keras.models.load_model` once the kit's classes are registered.

    Args:
        path: The file.
        **kwargs: Further arguments of `keras.models.load_model`.
    """
    import keras

    _register()
    return keras.models.load_model(path, **kwargs)


def _register():
    for module in _REGISTERED:
        importlib.import_module(module)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


if "keras" in sys.modules:
    _register()
