"""One ONNX file from tokens to answers, for the runtimes of other languages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert_kit._version import __version__
from keras_bert_kit.export.signatures import served_classifier
from keras_bert_kit.export.warm_up import TEXTS
from keras_bert_kit.messages import difference
from keras_bert_kit.models import BertForSequenceClassification
from keras_bert_kit.tasks.served import IDS, MASK, TOLERANCE, TYPES
from keras_bert_kit.tasks.text_classification import ServedClassifier

_INPUTS = (IDS, MASK, TYPES)


def onnx_model(
    model: BertForSequenceClassification,
    path: str | Path,
    max_length: int | None = None,
    overwrite: bool = False,
    opset: int = 17,
    on_step: Callable[[str], None] = lambda step: None,
) -> Path:
    """Writes an ONNX file from tokens to probabilities.

    The inputs are `input_ids`, `attention_mask` and `token_type_ids`, int32 (B, S) for any B and S.
    The output is `probabilities`, float32 (B, C); of a regression `score` (B,) or `scores` (B, C).
    The file's metadata are `labels`, as JSON, `problem_type`, `max_length` and `keras_bert_kit`,
    the version. The tokenizer is not inside: ONNX has no such operators.

    The file appears whole or not at all, once ONNX Runtime has given the model's answers with it.

    Args:
        model: A classifier with a tokenizer.
        path: The file, named `*.onnx`.
        max_length: Longest sequence in tokens, which the metadata tell; the file cuts nothing.
            `None` takes `model.max_length`.
        overwrite: Whether it may replace a file that is there.
        opset: Version of ONNX's operators, one that tf2onnx writes.
        on_step: Is called with a few words as each step begins.

    Returns:
        The file.

    Raises:
        FileExistsError: The file exists, and `overwrite` is false.
        ImportError: tf2onnx, onnx or onnxruntime is not installed.
        TypeError: It is no classifier of texts.
        ValueError: The file is not named `*.onnx`; or the model has no tokenizer, takes no sequence
            of `max_length`, or computes in half precision.
        RuntimeError: The file does not answer as the model does.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"The file's name must end in .onnx. Received: {path}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already. Choose another path, or set overwrite=True.")
    served = served_classifier(model, max_length)
    if model.compute_dtype != "float32":
        raise ValueError(
            'The model must compute in float32: load it with dtype="float32". '
            f"Received: compute_dtype={model.compute_dtype}"
        )
    on_step("Converting to ONNX")
    content = _converted(served, opset)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        beside.write_bytes(content)
        on_step("Comparing its answers")
        _check_answers(beside, served)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _converted(served: ServedClassifier, opset: int) -> bytes:
    try:
        import onnx
        import onnxruntime  # noqa: F401
        from tf2onnx import optimizer, tf_loader, tfonnx
    except ImportError as error:
        raise ImportError("ONNX files need: pip install 'keras-bert-kit[onnx]'") from error
    function = tf.function(lambda *tokens: _numbers(served, *tokens), _INPUTS, autograph=False)
    graph = function.get_concrete_function()
    inputs = {f"{spec.name}:0": spec.name for spec in _INPUTS}
    outputs = {tensor.name: name for name, tensor in graph.structured_outputs.items()}
    frozen = tf_loader.from_function(graph, list(inputs), list(outputs))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
        names = {"input_names": list(inputs), "output_names": list(outputs)}
        names["tensors_to_rename"] = inputs | outputs
        converted = tfonnx.process_tf_graph(graph, opset=opset, **names)
    # tf2onnx.convert would run BackToBackOptimizer as well. It drops the first of two Reshape where
    # the shape of the second, such as (0, 0, N, D), refers to the first.
    passes = [optimizer.ConstFoldOptimizer, optimizer.MergeDuplicatedNodesOptimizer]
    passes += [optimizer.ReshapeOptimizer, optimizer.IdentityOptimizer]
    passes = {one.__name__: one for one in passes}
    proto = optimizer.optimize_graph(converted, optimizers=passes).make_model("keras_bert_kit")
    metadata = {
        "labels": json.dumps(served.model.config.label_names, ensure_ascii=False),
        "problem_type": served.kind,
        "max_length": str(served.tokenizer.max_length),
        "keras_bert_kit": __version__,
    }
    onnx.helper.set_model_props(proto, metadata)
    return proto.SerializeToString()


def _numbers(served: ServedClassifier, *tokens: tf.Tensor) -> dict[str, tf.Tensor]:
    """Gives the one output by its name; the answer's others follow from it."""
    answer = served.classify_tokens(*tokens)
    name = next(name for name in ("probabilities", "scores", "score") if name in answer)
    return {name: answer[name]}


def _check_answers(path: Path, served: ServedClassifier):
    length = served.tokenizer.max_length
    batches = [
        served.model.tokenizer(list(texts), max_length=length)
        for texts in (TEXTS[:1], TEXTS[:4], TEXTS, [" ".join(TEXTS)])
    ]
    for tokens, found in zip(batches, _answers(path, batches), strict=True):
        expected = _numbers(served, *(tf.constant(tokens[spec.name]) for spec in _INPUTS))
        expected = {name: tensor.numpy() for name, tensor in expected.items()}
        _, problem = difference(found, expected, TOLERANCE)
        if problem:
            raise RuntimeError(
                f"The file must answer as the model does. Received: {problem}. Please report this."
            )


def _answers(path: Path, batches: Sequence[Mapping[str, np.ndarray]]) -> list[dict]:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        runs = [session.run(names, dict(tokens)) for tokens in batches]
    except Exception as error:  # its errors have nothing else in common
        raise RuntimeError(f"ONNX Runtime cannot run the file: {error}") from error
    return [dict(zip(names, arrays, strict=True)) for arrays in runs]
