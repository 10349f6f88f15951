"""The way from a trained model to a folder of LiteRT models."""

from __future__ import annotations

import functools
import importlib.util
import json
import statistics
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.data import Examples
from keras_bert_kit.export.lite.card import write_card
from keras_bert_kit.export.lite.gate import Gate
from keras_bert_kit.export.lite.of_classifier import OfClassifier
from keras_bert_kit.export.lite.of_task import OfTask
from keras_bert_kit.export.lite.quantization import FORMATS
from keras_bert_kit.export.lite.result import LiteRTExport, LiteRTModel, Made
from keras_bert_kit.export.signatures import served_model
from keras_bert_kit.interpreter import LiteModel
from keras_bert_kit.models import BertForSequenceClassification, PretrainedModel

_ROUNDS = 15


def litert(
    model: PretrainedModel,
    path: str | Path,
    quantize: str = "none",
    max_length: int | None = None,
    examples: Examples | Sequence[str] | None = None,
    calibration: Examples | Sequence[str] | None = None,
    max_drop: float | None = None,
    allow_drop: bool = False,
    overwrite: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> LiteRTExport:
    """Writes a model as LiteRT models, and compares them with it.

    The folder holds `model.text.tflite`, with the tokenizer inside, several signatures, any batch
    and any length, for runtimes that have the operations of tensorflow-text. Its answers are those
    of a SavedModel (see `serving_functions`), but that a classifier of texts gives its numbers
    alone. For a classifier of texts there is also `model.ids.tflite`, of builtin operations alone,
    with one signature for one text of `max_length` tokens and the metadata of a MediaPipe Text
    Classifier, for stock Android, iOS and browsers. Beside them lie the tokenizer's files, the
    config, the labels and a card.

    The activations of "int8" and "int16x8" are whole numbers, so their ranges are measured on
    texts. Where the accuracy then falls too far, ever less of the model is in whole numbers, down
    to "dynamic-int8". The text model is "dynamic-int8" in any case, for the quantizer cannot run
    the tokenizer.

    Args:
        model: A model of one of the tasks, with a tokenizer; but not one with a CRF or an LSTM,
            which LiteRT cannot run.
        path: The folder to make.
        quantize: "none" (float32); "float16", weights in half the size; "dynamic-int8", weights
            in a quarter, activations quantized as they come; and, of classifiers of texts, "int8"
            and "int16x8", weights in a quarter and activations of 8 or 16 bits.
        max_length: Longest sequence in tokens; `None` takes the model's, of a classifier of texts
            at most 128.
        examples: Texts on which the models are compared with the Keras model. The labels of a
            classifier's texts give the accuracy; elsewhere the Keras model's answers are taken for
            right. `None` takes those of `calibration`, or else some of the kit's own, and then
            none is refused.
        calibration: At least 32 texts that activations are measured on, of which the first 128
            count; `None` takes `examples`.
        max_drop: By how many points (hundredths) the accuracy may be lower than the Keras
            model's; `None` takes 0.3 for none and float16, 0.5 for dynamic-int8, 1.0 for the
            others, and where it is no classifier of texts, any.
        allow_drop: Whether a model that falls further is written all the same.
        overwrite: Whether the folder may replace one that is there.
        on_step: Is called with a few words as each step begins.

    Returns:
        What was written.

    Raises:
        FileExistsError: The folder exists, and `overwrite` is false.
        ImportError: ai-edge-litert or ai-edge-quantizer is not installed.
        OSError: The files cannot be written, for example for want of space.
        RuntimeError: The float32 model does not answer as the model does.
        TypeError: The model belongs to no task.
        ValueError: `quantize` is unknown, the model cannot be exported, there are too few texts,
            or the accuracy falls too far.
    """
    if quantize not in FORMATS:
        raise ValueError(f"quantize must be one of {', '.join(FORMATS)}. Received: {quantize!r}")
    _check_installed()
    served = served_model(model, max_length)  # refuses what cannot be exported
    examples, calibration = _as_examples(examples), _as_examples(calibration)
    if isinstance(model, BertForSequenceClassification):
        made = OfClassifier(model, quantize, max_length, examples, calibration)
    else:
        texts = calibration or examples
        made = OfTask(served, quantize, texts and texts.texts)
    gate = Gate(made.max_drop(max_drop), allow_drop, served.tolerance, on_step)
    with replaced_folder(path, overwrite) as folder:
        models = made.models(gate, Path(path), on_step)
        done = LiteRTExport(
            path=Path(path),
            quantize=quantize,
            max_length=made.served.tokenizer.max_length,
            labelled=made.labelled,
            models={name: _measured(one) for name, one in models.items()},
            notes=gate.notes,
        )
        for name, one in models.items():
            (folder / name).write_bytes(one.content)
        config = json.dumps(model.config.to_dict(), indent=2) + "\n"
        (folder / "config.json").write_text(config, encoding="utf-8")
        made.write(folder)
        write_card(folder, done, made.served, *made.card())
    return done


def _measured(made: Made) -> LiteRTModel:
    run = functools.partial(LiteModel(made.content, threads=1).run, made.signature, **made.inputs)
    seconds = timeit.repeat(run, number=1, repeat=_ROUNDS)
    milliseconds = round(1e3 * statistics.median(seconds), 2)
    return LiteRTModel(made.format, len(made.content), milliseconds, made.scores)


def _as_examples(texts: Examples | Sequence[str] | None) -> Examples | None:
    if texts is None:
        return None
    examples = texts if isinstance(texts, Examples) else Examples("texts", list(texts))
    if not len(examples):
        raise ValueError("examples and calibration must hold a text, or be None. Received: none")
    return examples


def _check_installed():
    for package in ("ai_edge_litert", "ai_edge_quantizer"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"LiteRT models need {package.replace('_', '-')}: "
                "pip install 'keras-bert-kit[litert]'"
            )
