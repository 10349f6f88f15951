import io
import zipfile

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import number_types
from flatbuffers.table import Table
from tensorflow.lite.python import schema_py_generated as schema

from keras_bert_kit.export.lite.mediapipe_metadata import with_text_classifier_metadata

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "##s", "cafe", "café", "好"]
LABELS = ["好评", "so-so", "差评"]
ABOUT = {"name": "reviews", "description": "Says how good it is: 好.", "version": "2.1"}
LENGTH = 13
INPUTS = {
    "ids": np.array([[2, 4, 6, 7, 3] + [0] * 8], np.int32),
    "mask": np.array([[1] * 5 + [0] * 8], np.int32),
    "segment_ids": np.array([[0] * 3 + [1] * 2 + [0] * 8], np.int32),
}


@pytest.fixture(scope="module")
def model():
    random = np.random.default_rng(5)
    module = tf.Module()
    module.table = tf.Variable(random.normal(size=(len(VOCAB), 7)), dtype=tf.float32)
    module.kernel = tf.Variable(random.normal(size=(7, 3)), dtype=tf.float32)
    spec = {name: tf.TensorSpec([1, LENGTH], tf.int32, name) for name in INPUTS}

    @tf.function(autograph=False)
    def classify(mask, segment_ids, ids):
        weights = tf.cast(mask, tf.float32) * (1 + tf.cast(segment_ids, tf.float32))
        hidden = tf.linalg.matvec(tf.gather(module.table, ids), weights, transpose_a=True)
        return {"probabilities": tf.nn.softmax(tf.tanh(hidden) @ module.kernel)}

    function = classify.get_concrete_function(**spec)
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()


@pytest.fixture(scope="module")
def written(model):
    return with_text_classifier_metadata(model, LABELS, VOCAB, **ABOUT)


def answer(model, inputs=INPUTS):
    interpreter = Interpreter(model_content=model)
    signatures = interpreter.get_signature_list()
    return signatures, interpreter.get_signature_runner()(**inputs)["probabilities"]


def changed(model, change):
    unpacked = schema.ModelT.InitFromPackedBuf(model)
    change(unpacked)
    return packed(unpacked)


def packed(unpacked):
    builder = flatbuffers.Builder()
    builder.Finish(unpacked.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def entries(model):
    """The model's metadata by name."""
    root = schema.Model.GetRootAs(model)
    found = [root.Metadata(index) for index in range(root.MetadataLength())]
    return {
        entry.Name().decode(): bytes(root.Buffers(entry.Buffer()).DataAsNumpy()) for entry in found
    }


def texts(table, *slots):
    return [table.String(table.Pos + table.Offset(4 + 2 * slot)).decode() for slot in slots]


def tables(table, slot):
    field = table.Offset(4 + 2 * slot)
    start = table.Vector(field)
    places = (start + 4 * index for index in range(table.VectorLen(field)))
    return [Table(table.Bytes, table.Indirect(place)) for place in places]


def test_answers_are_the_same(model, written):
    signatures, expected = answer(model)
    assert sorted(signatures["serving_default"]["inputs"]) == ["ids", "mask", "segment_ids"]
    assert answer(written)[0] == signatures
    np.testing.assert_array_equal(answer(written)[1], expected)


def test_model_is_kept_whole(model, written, tmp_path):
    kept = entries(written)
    kept.pop("TFLITE_METADATA")
    assert kept == entries(model)
    assert "min_runtime_version" in kept
    assert written.index(model) % 16 == 0
    before, after = (schema.ModelT.InitFromPackedBuf(one) for one in (model, written))
    after.metadata.pop()
    after.buffers.pop()
    assert packed(after) == packed(before)
    assert (after.version, after.description) == (3, before.description)

    (tmp_path / "model.tflite").write_bytes(written)
    interpreter = Interpreter(model_path=str(tmp_path / "model.tflite"))
    output = interpreter.get_signature_runner()(**INPUTS)["probabilities"]
    np.testing.assert_array_equal(output, answer(model)[1])


def with_weights_behind(model):
    """The model with its two matrices after the FlatBuffer, as ai-edge-quantizer writes them."""
    start = 16
    for _ in range(2):  # where they lie is known after the first round
        unpacked, behind = schema.ModelT.InitFromPackedBuf(model), b""
        for buffer in unpacked.buffers:
            if buffer.data is not None and buffer.data.size in (4 * 7 * len(VOCAB), 4 * 7 * 3):
                data = buffer.data.tobytes()
                buffer.data, buffer.offset, buffer.size = None, start + len(behind), len(data)
                behind += data + bytes(-len(data) % 16)
        front = packed(unpacked)
        front += bytes(-len(front) % 16)
        start = len(front)
    assert len(behind) >= 4 * 7 * (len(VOCAB) + 3)
    return front + behind


def test_weights_behind_the_flatbuffer(model):
    outside = with_weights_behind(model)
    np.testing.assert_array_equal(answer(outside)[1], answer(model)[1])
    written = with_text_classifier_metadata(outside, LABELS, VOCAB, **ABOUT)
    np.testing.assert_array_equal(answer(written)[1], answer(model)[1])


def test_metadata(model, written):
    content = entries(written)["TFLITE_METADATA"]
    assert flatbuffers.util.BufferHasIdentifier(content, 0, b"M001")
    root = Table(
        content, flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, content, 0)
    )
    assert texts(root, 0, 1, 2, 7) == [*ABOUT.values(), "1.1.0"]
    [subgraph] = tables(root, 3)

    signature = schema.Model.GetRootAs(model).SignatureDefs(0)
    names = {
        one.TensorIndex(): one.Name().decode() for one in map(signature.Inputs, range(len(INPUTS)))
    }
    order = schema.Model.GetRootAs(model).Subgraphs(0).InputsAsNumpy()
    inputs = [texts(one, 0)[0] for one in tables(subgraph, 2)]
    assert inputs == [names[tensor] for tensor in order]

    [output] = tables(subgraph, 3)
    [labels] = tables(output, 6)
    assert texts(output, 0) == ["probability"]
    assert texts(labels, 0) == ["labels.txt"]
    assert labels.GetSlot(8, 0, number_types.Int8Flags) == 2  # TENSOR_AXIS_LABELS

    [unit] = tables(subgraph, 5)
    assert unit.GetSlot(4, 0, number_types.Uint8Flags) == 4  # BertTokenizerOptions
    options = Table(content, unit.Indirect(unit.Pos + unit.Offset(6)))
    [vocab] = tables(options, 0)
    assert texts(vocab, 0) == ["vocab.txt"]
    assert vocab.GetSlot(8, 0, number_types.Int8Flags) == 5  # VOCABULARY


def test_files(model, written):
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        files = {info.filename: archive.read(info) for info in archive.infolist()}
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    assert files == {
        "vocab.txt": "".join(f"{token}\n" for token in VOCAB).encode(),
        "labels.txt": "好评\nso-so\n差评\n".encode(),
    }
    assert with_text_classifier_metadata(model, LABELS, VOCAB, **ABOUT) == written


def test_other_signatures(model):
    def another_name(unpacked):
        unpacked.signatureDefs[0].inputs[0].name = "input_ids"

    def two_signatures(unpacked):
        unpacked.signatureDefs *= 2

    def no_signature(unpacked):
        unpacked.signatureDefs = None

    expected = "must have one signature, with the inputs ids, mask, segment_ids. Received: .*"
    for change, received in (
        (another_name, "'input_ids'"),
        (two_signatures, r"\['ids', 'mask', 'segment_ids'\], \['ids', 'mask', 'segment_ids'\]"),
        (no_signature, r"signatures with \[\]"),
    ):
        with pytest.raises(ValueError, match=expected + received):
            with_text_classifier_metadata(changed(model, change), LABELS, VOCAB, **ABOUT)


def test_errors(model, written):
    expected = r"score for each label. Received: outputs of shape \[\[1, 3\]\], len\(labels\)=2"
    with pytest.raises(ValueError, match=expected):
        with_text_classifier_metadata(model, LABELS[:2], VOCAB, **ABOUT)
    with pytest.raises(ValueError, match=r"labels must not hold line breaks.*labels\[1\]='b\\nc'"):
        with_text_classifier_metadata(model, ["a", "b\nc", "d"], VOCAB, **ABOUT)
    with pytest.raises(ValueError, match=r"vocab must not hold line breaks.*vocab\[11\]='x\\r'"):
        with_text_classifier_metadata(model, LABELS, [*VOCAB, "x\r"], **ABOUT)
    with pytest.raises(ValueError, match=r"no metadata of this kind. Received: TFLITE_METADATA"):
        with_text_classifier_metadata(written, LABELS, VOCAB, **ABOUT)


@pytest.mark.reference
def test_mediapipe(written):
    pytest.importorskip("mediapipe")
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.text import TextClassifier, TextClassifierOptions

    options = TextClassifierOptions(base_options=BaseOptions(model_asset_buffer=written))
    with TextClassifier.create_from_options(options) as classifier:

        def scores(text):
            [found] = classifier.classify(text).classifications
            by_label = {one.category_name: one.score for one in found.categories}
            return [by_label[label] for label in LABELS]

        def expected(*tokens):
            ids = [VOCAB.index(token) for token in ("[CLS]", *tokens, "[SEP]")]
            rows = {"ids": ids, "mask": [1] * len(ids), "segment_ids": []}
            inputs = {
                name: np.int32([row + [0] * (LENGTH - len(row))]) for name, row in rows.items()
            }
            return answer(written, inputs)[1][0]

        lower = scores("good films bad what")
        np.testing.assert_allclose(lower, expected("good", "film", "##s", "bad", "[UNK]"), 0, 1e-6)
        assert scores("GOOD Films bad what") == lower
        np.testing.assert_allclose(scores("café"), expected("café"), 0, 1e-6)  # accents stay
        np.testing.assert_allclose(scores("bad " * 20), expected(*["bad"] * (LENGTH - 2)), 0, 1e-6)
