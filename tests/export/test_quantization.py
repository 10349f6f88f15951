"""Which parts of a LiteRT model are in whole numbers."""

import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from keras_bert_kit.data import read_examples
from keras_bert_kit.export import LiteModel, litert

pytest.importorskip("ai_edge_litert")
pytest.importorskip("ai_edge_quantizer")

from keras_bert_kit.export.lite.candidates import Candidates
from keras_bert_kit.export.lite.graphs import LiteClassifier

BITS = {"int8": schema.TensorType.INT8, "int16x8": schema.TensorType.INT16}
FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED


@pytest.fixture(scope="module", params=BITS)
def candidates(request, classifier, reviews):
    examples = read_examples(reviews["train"])
    found = Candidates(LiteClassifier(classifier, 12), request.param, examples, lambda step: None)
    return request.param, list(found.of_tokens())


def of_products(content):
    """Gives the input's and the kernel's type of every matrix product with weights."""
    root = schema.Model.GetRootAs(content)
    graph = root.Subgraphs(0)
    nodes = [graph.Operators(index) for index in range(graph.OperatorsLength())]
    products = [
        node
        for node in nodes
        if root.OperatorCodes(node.OpcodeIndex()).BuiltinCode() == FULLY_CONNECTED
    ]
    return [
        tuple(graph.Tensors(node.Inputs(place)).Type() for place in (0, 1)) for node in products
    ]


def largest_tensor_type(content):
    graph = schema.Model.GetRootAs(content).Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    return max(tensors, key=lambda tensor: np.prod(tensor.ShapeAsNumpy())).Type()


def test_the_formats_are_tried_in_order(candidates):
    asked_for, found = candidates
    assert [words for words, _ in found] == [
        asked_for,
        f"{asked_for} in matrix products",
        *(words for words, _ in found[2:-1]),
        "dynamic-int8",
    ]
    assert found[2][0] in (f"{asked_for} in matrix products but for blocks {n}" for n in (0, 1))
    assert len(found) == 4


def test_fewer_and_fewer_products_are_in_whole_numbers(candidates):
    asked_for, found = candidates
    whole = (BITS[asked_for], schema.TensorType.INT8)
    counts = [of_products(content).count(whole) for _, content in found]
    every = len(of_products(found[0][1]))
    assert every == 14  # 6 in each of 2 blocks, the pooler and the classifier
    assert counts == [every, every, every - 6, 0]
    for _, content in found:
        assert {kernel for _, kernel in of_products(content)} == {schema.TensorType.INT8}


def test_the_table_of_tokens_is_int8_in_every_one(candidates):
    for _, content in candidates[1]:
        assert largest_tensor_type(content) == schema.TensorType.INT8


def test_answers_stay_float32(candidates):
    inputs = {name: np.ones((1, 12), "int32") for name in ("ids", "mask", "segment_ids")}
    for _, content in candidates[1]:
        answer = LiteModel(content).run("serving_default", **inputs)["probabilities"]
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer.sum(), 1, atol=0.02)


@pytest.mark.slow
def test_int8_from_texts_to_a_folder(classifier, reviews, tmp_path):
    done = litert(
        classifier,
        tmp_path / "out",
        "int8",
        examples=read_examples(reviews["validation"]),
        calibration=read_examples(reviews["train"], labelled=False),
    )
    ids, text = done.models["model.ids.tflite"], done.models["model.text.tflite"]
    assert ids.format.startswith("int8")
    assert text.format == "dynamic-int8"
    assert ids.scores.drop <= 1.0
