"""The metadata by which MediaPipe's Text Classifier runs a LiteRT model from text to labels.

Words used below:
    table: an object of a FlatBuffer, here a dict from slot to value. A value is a text, bytes, a
        NumPy number, a table, a list of tables, or `_Kept`.
    slot: the number of a field in its table. Fields that are not written have their defaults.
"""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers.table import Table
from tensorflow.lite.python import schema_py_generated as schema

# name=slot of the fields that are written: TFLite's metadata schema, and then TFLite's own.
_FIELDS = {
    "ModelMetadata": "name=0 description=1 version=2 subgraph_metadata=3 min_parser_version=7",
    "SubGraphMetadata": "input_tensor_metadata=2 output_tensor_metadata=3 input_process_units=5",
    "TensorMetadata": "name=0 content=3 associated_files=6",
    "Content": "content_properties_type=0 content_properties=1",
    "FeatureProperties": "",
    "ProcessUnit": "options_type=0 options=1",
    "BertTokenizerOptions": "vocab_file=0",
    "AssociatedFile": "name=0 type=2",
    "Model": "buffers=4 metadata=6",
    "Buffer": "data=0",
    "Metadata": "name=0 buffer=1",
}
_SLOTS = {
    kind: {name: int(slot) for name, slot in (field.split("=") for field in fields.split())}
    for kind, fields in _FIELDS.items()
}
_FEATURE_PROPERTIES, _BERT_TOKENIZER_OPTIONS = np.uint8(1), np.uint8(4)  # members of unions
_TENSOR_AXIS_LABELS, _VOCABULARY = np.int8(2), np.int8(5)
_FIRST_PARSER_WITH_BERT = "1.1.0"
_METADATA_IDENTIFIER, _MODEL_IDENTIFIER = b"M001", b"TFL3"
_ENTRY = "TFLITE_METADATA"

_INPUTS = ("ids", "mask", "segment_ids")
_VOCAB_FILE, _LABELS_FILE = "vocab.txt", "labels.txt"
_ALIGNMENT = 16


def with_text_classifier_metadata(
    model: bytes,
    labels: Sequence[str],
    vocab: Sequence[str],
    name: str,
    description: str,
    version: str,
) -> bytes:
    """Gives a model of tokens the metadata of a MediaPipe Text Classifier.

    MediaPipe then takes texts, and gives labels with scores. Its tokenizer is not the kit's: it
    always lower-cases and never strips accents, whatever the model was trained with, so a cased
    model, and accents for an uncased one, get other tokens. It wants "[CLS]", "[SEP]" and "[UNK]"
    in the vocabulary, and cuts texts at the model's length.

    All that the model holds, its signature and its weights among them, stays as it is.

    Args:
        model: The content of a .tflite file of builtin operations, with one signature. Its inputs
            are `ids`, `mask` and `segment_ids`, int32 (1, S), its output is float32 (1, C).
        labels: C names, in the order of the scores.
        vocab: The tokens, in the order of their ids.
        name: The model's name.
        description: What it does.
        version: Its version.

    Returns:
        The content of the .tflite file. It is a zip archive of `vocab.txt` and `labels.txt` too.

    Raises:
        ValueError: The model has other signatures, inputs or outputs, or this metadata already;
            there are not as many labels as scores; or a label or a token holds a line break.

    References:
        https://ai.google.dev/edge/litert/models/metadata
        https://github.com/google-ai-edge/mediapipe/tree/master/mediapipe/tasks/metadata
    """
    root = schema.Model.GetRootAs(model)
    inputs = _input_names(root)
    _check_output(root, labels)
    files = {_VOCAB_FILE: _lines("vocab", vocab), _LABELS_FILE: _lines("labels", labels)}
    metadata = _written(
        _table(
            "ModelMetadata",
            name=name,
            description=description,
            version=version,
            subgraph_metadata=[_subgraph_metadata(inputs)],
            min_parser_version=_FIRST_PARSER_WITH_BERT,
        ),
        _METADATA_IDENTIFIER,
    )
    return _with_files(_with_entry(model, root, metadata), files)


def _input_names(root: schema.Model) -> list[str]:
    """Gives the signature's names for the inputs, in the order in which the model has them."""
    found = []
    for signature in map(root.SignatureDefs, range(root.SignatureDefsLength())):
        inputs = map(signature.Inputs, range(signature.InputsLength()))
        found.append({one.TensorIndex(): one.Name().decode() for one in inputs})
    subgraph = root.Subgraphs(0)  # the one that MediaPipe reads
    if len(found) == 1:
        names = [found[0].get(subgraph.Inputs(i), "") for i in range(subgraph.InputsLength())]
        if sorted(names) == sorted(_INPUTS):
            return names
    raise ValueError(
        f"A model must have one signature, with the inputs {', '.join(_INPUTS)}. "
        f"Received: signatures with {[sorted(names.values()) for names in found]}"
    )


def _check_output(root: schema.Model, labels: Sequence[str]):
    subgraph = root.Subgraphs(0)
    outputs = [subgraph.Tensors(subgraph.Outputs(i)) for i in range(subgraph.OutputsLength())]
    shapes = [[one.Shape(i) for i in range(one.ShapeLength())] for one in outputs]
    if len(shapes) != 1 or shapes[0][-1:] != [len(labels)]:
        raise ValueError(
            "A model must have one output, with a score for each label. "
            f"Received: outputs of shape {shapes}, len(labels)={len(labels)}"
        )


def _lines(argument: str, lines: Sequence[str]) -> bytes:
    for index, line in enumerate(lines):
        if "\n" in line or "\r" in line:
            raise ValueError(
                f"{argument} must not hold line breaks. Received: {argument}[{index}]={line!r}"
            )
    return "".join(f"{line}\n" for line in lines).encode()


def _subgraph_metadata(inputs: Sequence[str]) -> dict[int, Any]:
    content = _table(
        "Content",
        content_properties_type=_FEATURE_PROPERTIES,
        content_properties=_table("FeatureProperties"),
    )
    labels = _table("AssociatedFile", name=_LABELS_FILE, type=_TENSOR_AXIS_LABELS)
    vocab = _table("AssociatedFile", name=_VOCAB_FILE, type=_VOCABULARY)
    tokenizer = _table(
        "ProcessUnit",
        options_type=_BERT_TOKENIZER_OPTIONS,
        options=_table("BertTokenizerOptions", vocab_file=[vocab]),
    )
    return _table(
        "SubGraphMetadata",
        input_tensor_metadata=[_table("TensorMetadata", name=n, content=content) for n in inputs],
        output_tensor_metadata=[
            _table("TensorMetadata", name="probability", content=content, associated_files=[labels])
        ],
        input_process_units=[tokenizer],
    )


@dataclasses.dataclass(frozen=True)
class _Kept:
    """Something that is written already, so far from the end of the FlatBuffer."""

    from_end: int


def _table(kind: str, **fields: Any) -> dict[int, Any]:
    return {_SLOTS[kind][name]: value for name, value in fields.items()}


def _written(table: dict[int, Any], identifier: bytes) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, table), identifier)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, value: Any) -> int:
    """Writes a value that is no number, and gives how far it is from the end."""
    if isinstance(value, _Kept):
        return value.from_end
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, bytes):
        return builder.CreateByteVector(value)
    if isinstance(value, list):
        places = [_write(builder, one) for one in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    numbers = {slot: one for slot, one in value.items() if isinstance(one, np.generic)}
    places = {slot: _write(builder, one) for slot, one in value.items() if slot not in numbers}
    builder.StartObject(max(value, default=-1) + 1)
    for slot, place in places.items():
        builder.PrependUOffsetTRelativeSlot(slot, place, 0)
    for slot, number in numbers.items():
        prepend = getattr(builder, f"Prepend{number.dtype.name.title()}Slot")  # of its own size
        prepend(slot, number.item(), 0)
    return builder.EndObject()


def _with_entry(model: bytes, root: schema.Model, metadata: bytes) -> bytes:
    """Adds an entry to a model's list of metadata.

    A new root goes before the model, which is kept whole: to write its tables anew would lose
    fields that are newer than TensorFlow's schema, and weights that lie behind the FlatBuffer,
    where ai-edge-quantizer has them.
    """
    entries = list(map(root.Metadata, range(root.MetadataLength())))
    buffers = list(map(root.Buffers, range(root.BuffersLength())))
    if any(entry.Name().decode() == _ENTRY for entry in entries):
        raise ValueError(f"A model must have no metadata of this kind. Received: {_ENTRY}")

    model += bytes(-len(model) % _ALIGNMENT)
    end = len(model)
    builder = flatbuffers.Builder(end + len(metadata) + (1 << 16))
    builder.Prep(_ALIGNMENT, 0)  # so the model begins at a multiple of it
    builder.CreateByteVector(model)

    def kept(tables) -> list[_Kept]:
        return [_Kept(end - one._tab.Pos) for one in tables]

    new_root = _slots(root._tab, end) | _table(
        "Model",
        buffers=[*kept(buffers), _table("Buffer", data=metadata)],
        metadata=[
            *kept(entries),
            _table("Metadata", name=_ENTRY, buffer=np.uint32(len(buffers))),
        ],
    )
    builder.Finish(_write(builder, new_root), _MODEL_IDENTIFIER)
    result = builder.Output()
    _move_weights(result, buffers, len(result) - end)
    return bytes(result)


def _slots(root: Table, end: int) -> dict[int, Any]:
    """Gives the fields of a model, all kept: the first is its version, others refer to lists."""
    slots: dict[int, Any] = {0: np.uint32(root.GetSlot(4, 0, flatbuffers.number_types.Uint32Flags))}
    vtable = root.Pos - root.Get(flatbuffers.number_types.SOffsetTFlags, root.Pos)
    count = root.Get(flatbuffers.number_types.VOffsetTFlags, vtable) // 2 - 2
    for slot in range(1, count):
        if field := root.Offset(4 + 2 * slot):
            slots[slot] = _Kept(end - root.Indirect(root.Pos + field))
    return slots


def _move_weights(result: bytearray, buffers: Sequence[schema.Buffer], distance: int):
    """Corrects where weights lie that are not in the FlatBuffer: that counts from its start."""
    for buffer in buffers:
        if buffer.Offset() > 1:  # smaller ones mean that there are none
            field = buffer._tab.Pos + buffer._tab.Offset(6)
            struct.pack_into("<Q", result, distance + field, buffer.Offset() + distance)


def _with_files(model: bytes, files: dict[str, bytes]) -> bytes:
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980: equal models give equal files
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return file.getvalue()
