"""An artefact to predictions, without the code that trained it.

The names below are loaded on first use: `serve_check` runs where TensorFlow is never imported.
"""

import importlib
from typing import Any

_NAMES = {
    "Report": "keras_bert_kit.serving.check",
    "Session": "keras_bert_kit.serving.c_api",
    "Pipeline": "keras_bert_kit.serving.pipeline",
    "is_lite_model": "keras_bert_kit.serving.lite",
    "is_saved_model": "keras_bert_kit.serving.pipeline",
    "serve_check": "keras_bert_kit.serving.check",
}

__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
