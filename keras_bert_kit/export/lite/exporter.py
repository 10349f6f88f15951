"""The way from a classifier to a folder of LiteRT models."""

from __future__ import annotations

import functools
import importlib.util
import json
import statistics
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_bert_kit._version import __version__
from keras_bert_kit.checkpoints.folders import replaced_folder
from keras_bert_kit.data import Examples
from keras_bert_kit.export.lite.candidates import FEWEST_TEXTS, Candidates
from keras_bert_kit.export.lite.card import write_card
from keras_bert_kit.export.lite.comparison import Comparison, Scores, ids_inputs, text_inputs
from keras_bert_kit.export.lite.gate import MAX_DROP, Gate
from keras_bert_kit.export.lite.graphs import LiteClassifier
from keras_bert_kit.export.lite.mediapipe_metadata import with_text_classifier_metadata
from keras_bert_kit.export.lite.quantization import CALIBRATED, FORMATS
from keras_bert_kit.export.lite.result import LiteRTExport, LiteRTModel
from keras_bert_kit.export.signatures import served_classifier
from keras_bert_kit.export.warm_up import TEXTS
from keras_bert_kit.interpreter import LiteModel
from keras_bert_kit.models import BertForSequenceClassification

#: Tokens, unless it is said: a model of a fixed length takes as long for a short text.
LONGEST = 128
TEXT_FILE, IDS_FILE = "model.text.tflite", "model.ids.tflite"
_ROUNDS = 15


def litert(
    model: BertForSequenceClassification,
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
    """Writes a classifier as LiteRT models, and compares them with it.

    The folder holds `model.text.tflite`, with the tokenizer inside, several signatures, any batch
    and any length, for runtimes that have the two operations of tensorflow-text; and
    `model.ids.tflite`, of builtin operations alone, with one signature for one text of
    `max_length` tokens and the metadata of a MediaPipe Text Classifier, for stock Android, iOS
    and browsers. Beside them lie the tokenizer's files, the config, the labels and a card.

    The activations of "int8" and "int16x8" are whole numbers, so their ranges are measured on
    texts. Where the accuracy then falls too far, ever less of the model is in whole numbers, down
    to "dynamic-int8". The text model is "dynamic-int8" in any case, for the quantizer cannot run
    the tokenizer.

    Args:
        model: A classifier with a tokenizer.
        path: The folder to make.
        quantize: "none" (float32); "float16", weights in half the size; "dynamic-int8", weights
            in a quarter, activations quantized as they come; "int8" and "int16x8", weights in a
            quarter and activations of 8 or 16 bits.
        max_length: Longest sequence in tokens; `None` takes the model's, but at most 128.
        examples: Texts on which the models are compared with the Keras model. Their labels give
            the accuracy; without labels, the Keras model's labels are taken for right. `None`
            takes those of `calibration`, or else some of the kit's own, and then none is refused.
        calibration: At least 32 texts that activations are measured on, of which the first 128
            count; `None` takes `examples`.
        max_drop: By how many points (hundredths) the accuracy may be lower than the Keras
            model's; `None` takes 0.3 for none and float16, 0.5 for dynamic-int8, 1.0 for the
            others.
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
        TypeError: It is no classifier of texts.
        ValueError: `quantize` is unknown, the model cannot be exported, there are too few texts,
            or the accuracy falls too far.
    """
    if quantize not in FORMATS:
        raise ValueError(f"quantize must be one of {', '.join(FORMATS)}. Received: {quantize!r}")
    _check_installed()
    served_classifier(model, max_length)  # refuses what cannot be exported
    if max_length is None:
        max_length = min(model.max_length, LONGEST)
    served = LiteClassifier(model, max_length)
    kits_own = examples is None and calibration is None
    examples, calibration = (
        _as_examples(next(texts for texts in choice if texts is not None))
        for choice in ((examples, calibration, TEXTS), (calibration, examples, TEXTS))
    )
    if quantize in CALIBRATED and len(calibration) < FEWEST_TEXTS:
        raise ValueError(
            f"{quantize} needs at least {FEWEST_TEXTS} texts to measure activations on "
            "(examples or calibration; --data or --texts on the command line). "
            f"Received: {len(calibration)}{' of the kit' if kits_own else ''}"
        )
    max_drop = MAX_DROP[quantize] if max_drop is None else max_drop
    gate = Gate(100.0 if kits_own else max_drop, allow_drop, served.tolerance, on_step)
    with replaced_folder(path, overwrite) as folder:
        on_step("Answering the texts with Keras")
        compared = Comparison(served, examples)
        candidates = Candidates(served, quantize, calibration, on_step)
        models = {
            TEXT_FILE: gate.first_to_pass(candidates.of_texts(), compared.text_model),
            IDS_FILE: gate.first_to_pass(candidates.of_tokens(), compared.ids_model),
        }
        words, content, scores = models[IDS_FILE]
        models[IDS_FILE] = words, _with_metadata(served, content, Path(path)), scores
        inputs = {TEXT_FILE: text_inputs(examples, [0]), IDS_FILE: ids_inputs(served, examples, 0)}
        done = LiteRTExport(
            path=Path(path),
            quantize=quantize,
            max_length=max_length,
            labelled=compared.labelled,
            models={name: _measured(*models[name], inputs[name]) for name in models},
            notes=gate.notes,
        )
        for name, (_, content, _) in models.items():
            (folder / name).write_bytes(content)
        labels = "".join(f"{name}\n" for name in model.config.label_names)
        (folder / "labels.txt").write_text(labels, encoding="utf-8")
        config = json.dumps(model.config.to_dict(), indent=2) + "\n"
        (folder / "config.json").write_text(config, encoding="utf-8")
        served.python_tokenizer.save_pretrained(folder)
        write_card(folder, done, served)
    return done


def _measured(words: str, content: bytes, scores: Scores, inputs) -> LiteRTModel:
    running = LiteModel(content, threads=1)
    signature = "pair" if "text_pair" in inputs else "serving_default"
    run = functools.partial(running.run, signature, **inputs)
    seconds = timeit.repeat(run, number=1, repeat=_ROUNDS)
    return LiteRTModel(words, len(content), round(1e3 * statistics.median(seconds), 2), scores)


def _with_metadata(served: LiteClassifier, content: bytes, path: Path) -> bytes:
    config, vocabulary = served.model.config, served.model.tokenizer.get_vocab()
    return with_text_classifier_metadata(
        content,
        labels=config.label_names,
        vocab=sorted(vocabulary, key=vocabulary.__getitem__),
        name=path.name,
        description=f"A BERT classifier of texts, written by keras-bert-kit {__version__}.",
        version=__version__,
    )


def _as_examples(texts: Examples | Sequence[str]) -> Examples:
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
