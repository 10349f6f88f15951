"""What is measured, with whom, and what the kit is to reach."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Peer:
    """One side of a measure.

    Attributes:
        module: Its module in `peers/`.
        given: What it is given beside the measure's own.
    """

    module: str
    given: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measure:
    """Work that several peers do in turn.

    Attributes:
        title: What is done, in words.
        work: The peers' function.
        given: What the function is given.
        unit: What is counted in a second; "" where the seconds themselves count.
        items: How many of them one run does, where it does not tell.
        peers: The sides by the names that the table shows.
        goals: By the other's name, what the kit's speed over its speed is to reach.
        rounds: How often each side runs.
        warm: Whether a side does the work once more before each run: where a run is short, what
            counts is not how it wakes after the others' turns.
        quick: Share of the items that `--quick` takes; 0 leaves the measure out.
    """

    title: str
    work: str
    given: dict[str, Any]
    unit: str
    items: int
    peers: dict[str, Peer]
    goals: dict[str, float]
    rounds: int = 15
    warm: bool = False
    quick: float = 1


KIT, MACHINE = "keras_bert_kit", "matrix products"
PYTORCH, COMPILED = "PyTorch", "PyTorch compiled"
ONNX, OPENVINO, LITE = "ONNX Runtime", "OpenVINO", "LiteRT (kit)"
KERASHUB, GARDEN = "KerasHub", "Model Garden"
#: Sentences of a round of fine-tuning, and texts of one of prediction.
SENTENCES, TEXTS = 640, 256


def encoder(model, dtype, goals, rows=32, length=128, **options):
    """Makes the measure of the encoder alone."""
    peers = {
        KIT: Peer("kit"),
        MACHINE: Peer("machine"),
        PYTORCH: Peer("pytorch"),
        COMPILED: Peer("pytorch", {"compiled": True}),
        OPENVINO: Peer("open_vino"),
        KERASHUB: Peer("keras_hub"),
        GARDEN: Peer("model_garden"),
    }
    if dtype == "float32":
        peers[ONNX] = Peer("onnx_runtime")
    return Measure(
        f"Encoder, {model}, {rows} x {length} tokens, {dtype}",
        "encoder",
        {"model": model, "dtype": dtype, "rows": rows, "length": length},
        "tokens",
        rows * length,
        peers,
        goals,
        **options,
    )


def finetuning(dtype):
    """Makes the measure of fine-tuning."""
    return Measure(
        f"Fine-tuning on SST-2, {dtype}",
        "finetune",
        {"model": "pretrained", "dtype": dtype, "batch_size": 32},
        "sentences",
        SENTENCES,
        {
            KIT: Peer("kit"),
            PYTORCH: Peer("pytorch"),
            f"{PYTORCH}, by length": Peer("pytorch", {"grouped": True}),
            KERASHUB: Peer("keras_hub", {"length": 64}),
        },
        {PYTORCH: 2.0, KERASHUB: 3.0},
        rounds=6,
        quick=0.5 if dtype == "float32" else 0,
    )


def small_batches(rows, length, goal, texts=128):
    """Makes the measure of LiteRT in int8."""
    return Measure(
        f"Classifier in int8, {rows} x {length} tokens",
        "classifier",
        {"model": "classifier", "dtype": "int8", "rows": rows, "length": length, "texts": texts},
        "texts",
        texts,
        {LITE: Peer("lite"), ONNX: Peer("onnx_runtime")},
        {ONNX: goal},
        warm=True,
    )


def lite_latency(dtype):
    """Makes the measure of LiteRT with its tokenizer, beside ONNX Runtime in float32."""
    return Measure(
        f"One short text, LiteRT with its tokenizer, {dtype}",
        "latency",
        {"model": "classifier", "dtype": dtype, "length": 64, "requests": 100},
        "texts",
        1,
        {LITE: Peer("lite"), ONNX: Peer("onnx_runtime")},
        {ONNX: 1.0},
        rounds=10,
        quick=1 if dtype == "int8" else 0,
    )


def memory(rows, goal):
    """A training step of BERT-base."""
    return Measure(
        f"Training step of BERT-base, {rows} x 128 tokens",
        "memory",
        {"model": "base", "rows": rows, "length": 128},
        "steps",
        1,
        {KIT: Peer("kit"), PYTORCH: Peer("pytorch")},
        {PYTORCH: goal},
        rounds=3,
        quick=0,
    )


_ENCODER_GOALS = {MACHINE: 0.95, ONNX: 1.1, OPENVINO: 1.1}
MEASURES = {
    "encoder": encoder("pretrained", "float32", _ENCODER_GOALS, warm=True),
    "encoder-bfloat16": encoder(
        "pretrained", "bfloat16", {MACHINE: 0.75, PYTORCH: 1.4}, warm=True, quick=0
    ),
    "encoder-base": encoder("base", "float32", _ENCODER_GOALS, rounds=5, quick=0),
    "finetune": finetuning("float32"),
    "finetune-bfloat16": finetuning("bfloat16"),
    "pretrain": Measure(
        "Pretraining, 32 x 128 tokens",
        "pretrain",
        {"model": "pretrained", "batch_size": 32, "length": 128},
        "tokens",
        0,
        {KIT: Peer("kit"), PYTORCH: Peer("pytorch")},
        {PYTORCH: 1.5},
        rounds=6,
        quick=0,
    ),
    "predict": Measure(
        "Labels for texts of mixed lengths",
        "predict",
        {"model": "classifier", "batch_size": 32},
        "texts",
        TEXTS,
        {
            KIT: Peer("kit"),
            PYTORCH: Peer("pytorch"),
            ONNX: Peer("onnx_runtime", {"in_order": True}),
            f"{ONNX}, by length": Peer("onnx_runtime"),
            KERASHUB: Peer("keras_hub", {"length": 256, "model": "pretrained"}),
        },
        {ONNX: 1.2, KERASHUB: 4.0},
        rounds=5,
        quick=0.5,
    ),
    "latency": Measure(
        "One short text, served",
        "latency",
        {"model": "classifier", "requests": 100},
        "texts",
        1,
        {KIT: Peer("kit"), PYTORCH: Peer("pytorch"), ONNX: Peer("onnx_runtime")},
        {ONNX: 1.0},
        rounds=10,
    ),
    "latency-litert": lite_latency("float32"),
    "latency-litert-int8": lite_latency("int8"),
    "int8-1": small_batches(1, 64, 1 / 0.75),
    "int8-32": small_batches(32, 64, 1.0),
    "memory": memory(32, 1.25),
    "memory-small-batch": memory(8, None),
}
