"""What each signature takes and gives, beside the Keras model behind the Python tokenizer."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.export import saved_model, serving_functions
from keras_bert_kit.messages import MetaGraphDef, SavedModel, text_example

TEXTS = ["the food was good", "bad", "", "the room was very very very awful " * 9, "Nice, cheap!"]
PAIRS = TEXTS[::-1]
LENGTH = 24
TOKENS = ("input_ids", "attention_mask", "token_type_ids")
ANSWER = {
    "label": ("string", [None]),
    "score": ("float32", [None]),
    "labels": ("string", [None, 2]),
    "probabilities": ("float32", [None, 2]),
}
CLASSES = {"classes": ("string", [None, 2]), "scores": ("float32", [None, 2])}

SIGNATURES = {
    "serving_default": (["text"], ANSWER),
    "pair": (["text", "text_pair"], ANSWER),
    "tokens": (list(TOKENS), ANSWER),
    "embed": (
        ["text"],
        {"embedding": ("float32", [None, 20]), "pooler_output": ("float32", [None, 20])},
    ),
    "tokenize": (["text"], {name: ("int32", [None, None]) for name in TOKENS}),
    "classify": (["inputs"], CLASSES),
    "classify_pair": (["inputs"], CLASSES),
}

# Of each kind of problem: the config, what makes numbers of logits, and the output they come under.
PROBLEMS = {
    "single label": (
        {"num_labels": 3},
        lambda logits: tf.nn.softmax(logits).numpy(),
        ("probabilities", "label labels probabilities score"),
    ),
    "several labels": (
        {"num_labels": 3, "problem_type": "multi_label_classification"},
        lambda logits: 1 / (1 + np.exp(-logits)),
        ("probabilities", "labels probabilities"),
    ),
    "one number": (
        {"num_labels": 1, "problem_type": "regression"},
        lambda logits: logits,
        ("score", "score"),
    ),
    "several numbers": (
        {"num_labels": 3, "problem_type": "regression"},
        lambda logits: logits,
        ("scores", "labels scores"),
    ),
}


def examples(texts, pairs=None):
    rows = zip(texts, pairs or texts, strict=True)
    names = ("text", "text_pair") if pairs else ("text",)
    return tf.constant([text_example(dict(zip(names, row, strict=False))) for row in rows])


def requests(tokenizer, length=LENGTH):
    """For each signature the inputs for TEXTS, and for PAIRS where it takes such."""
    tokens = tokenizer(TEXTS, max_length=length)
    return {
        "serving_default": {"text": tf.constant(TEXTS)},
        "pair": {"text": tf.constant(TEXTS), "text_pair": tf.constant(PAIRS)},
        "tokens": {name: tf.constant(tokens[name]) for name in TOKENS},
        "embed": {"text": tf.constant(TEXTS)},
        "tokenize": {"text": tf.constant(TEXTS)},
        "classify": {"inputs": examples(TEXTS)},
        "classify_pair": {"inputs": examples(TEXTS, PAIRS)},
        "regress": {"inputs": examples(TEXTS)},
        "regress_pair": {"inputs": examples(TEXTS, PAIRS)},
    }


def logits_of(model, length=LENGTH):
    single, pair = (
        model(model.tokenizer(TEXTS, second, max_length=length))["logits"].numpy()
        for second in (None, PAIRS)
    )
    return {
        **dict.fromkeys(("serving_default", "tokens", "classify", "regress"), single),
        **dict.fromkeys(("pair", "classify_pair", "regress_pair"), pair),
    }


def check_close(found, expected, atol=1e-5):
    assert found.dtype == tf.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def graph_nodes(path):
    content = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = MetaGraphDef.FromString(content.meta_graphs[0].SerializeToString()).graph_def
    functions = graph.library.function
    return [*graph.node, *(node for one in functions for node in one.node_def)], functions


def test_names_types_and_shapes(signatures):
    assert sorted(signatures) == sorted(SIGNATURES)
    for name, (inputs, outputs) in SIGNATURES.items():
        specs = signatures[name].structured_input_signature[1]
        assert sorted(specs) == sorted(inputs)
        for spec in specs.values():
            tokens = name == "tokens"
            assert spec.dtype == (tf.int32 if tokens else tf.string)
            assert spec.shape.as_list() == [None] * (2 if tokens else 1)
        found = signatures[name].structured_outputs
        assert {
            key: (spec.dtype.name, spec.shape.as_list()) for key, spec in found.items()
        } == outputs


def test_what_a_server_calls_each_signature(artefact):
    content = SavedModel.FromString((artefact / "saved_model.pb").read_bytes())
    methods = {
        name: signature.method_name
        for name, signature in content.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }
    assert methods == {
        name: "tensorflow/serving/" + ("classify" if name.startswith("classify") else "predict")
        for name in SIGNATURES
    }


def test_outputs_belong_together(signatures, classifier):
    for name, inputs in requests(classifier.tokenizer).items():
        if name not in ("serving_default", "pair", "tokens"):
            continue
        outputs = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        assert outputs["labels"].tolist() == [[b"bad", b"good"]] * len(TEXTS)
        best = outputs["probabilities"].argmax(axis=-1)
        assert outputs["label"].tolist() == [[b"bad", b"good"][index] for index in best]
        np.testing.assert_array_equal(outputs["score"], outputs["probabilities"].max(axis=-1))
        np.testing.assert_allclose(outputs["probabilities"].sum(axis=-1), 1, rtol=1e-6)
        if name != "pair":
            assert outputs["label"].tolist()[:2] == [b"good", b"bad"]


def test_probabilities_are_those_of_the_model(signatures, classifier):
    logits = logits_of(classifier)
    for name, inputs in requests(classifier.tokenizer).items():
        if name in signatures and name in logits:
            output = "scores" if name.startswith("classify") else "probabilities"
            found = signatures[name](**inputs)
            check_close(found[output], tf.nn.softmax(logits[name]).numpy())
            if output == "scores":
                assert found["classes"].numpy().tolist() == [[b"bad", b"good"]] * len(TEXTS)


@pytest.fixture(scope="module", params=PROBLEMS)
def problem(request, tiny_folder):
    tf.keras.utils.set_random_seed(3)
    config, numbers, outputs = PROBLEMS[request.param]
    model = BertForSequenceClassification.from_pretrained(tiny_folder, **config)
    model.classifier.dense.kernel.assign(40 * model.classifier.dense.kernel)
    return model, numbers, *outputs


def check_problem(functions, problem):
    """The answers of every signature of a model of TEXTS, and of PAIRS."""
    model, numbers, output, outputs = problem
    one_number = output == "score"
    names = {"serving_default", "pair", "tokens", "embed", "tokenize"}
    if output == "probabilities":
        names |= {"classify", "classify_pair"}
    elif one_number:
        names |= {"regress", "regress_pair"}
    assert set(functions) == names
    labels = [[label.encode() for label in model.config.label_names]] * len(TEXTS)
    logits = logits_of(model)
    assert np.ptp(logits["serving_default"], axis=0).min() > 0.1
    for name, inputs in requests(model.tokenizer).items():
        if name not in functions or name not in logits:
            continue
        found = functions[name](**inputs)
        expected = numbers(logits[name])
        if name.startswith("regress"):
            assert list(found) == ["outputs"]
            check_close(found["outputs"], expected)
        elif name.startswith("classify"):
            assert sorted(found) == ["classes", "scores"]
            check_close(found["scores"], expected)
            assert found["classes"].numpy().tolist() == labels
        else:
            assert " ".join(sorted(found)) == outputs
            check_close(found[output], expected[:, 0] if one_number else expected)
            assert one_number or found["labels"].numpy().tolist() == labels


def test_the_numbers_of_every_kind_of_problem(problem):
    check_problem(serving_functions(problem[0], LENGTH), problem)


@pytest.mark.slow
def test_the_numbers_of_every_kind_of_artefact(problem, tmp_path):
    path = saved_model(problem[0], tmp_path / "model" / "1", LENGTH)
    loaded = tf.saved_model.load(str(path))
    check_problem(loaded.signatures, problem)


def test_functions_take_their_inputs_by_name_or_in_order(classifier):
    functions = serving_functions(classifier)
    for name in ("serving_default", "pair", "tokens", "classify_pair"):
        inputs = requests(classifier.tokenizer)[name]
        in_order = functions[name](*(inputs[one] for one in SIGNATURES[name][0]))
        for output, found in functions[name](**inputs).items():
            np.testing.assert_array_equal(found, in_order[output])
    with pytest.raises(TypeError, match="text_pair"):
        functions["pair"](tf.constant(["good"]))


def padded_as_by_the_server(tokens, length):
    """Adds columns that hold each tensor's own first element, as TensorFlow Serving does."""
    return {
        name: tf.constant(
            np.pad(one, [(0, 0), (0, length - one.shape[1])], constant_values=one.flat[0])
        )
        for name, one in tokens.items()
    }


def test_tokens_may_be_padded_by_the_server(signatures, classifier):
    single, pair = (classifier.tokenizer(TEXTS, pairs, max_length=20) for pairs in (None, PAIRS))
    for tokens in (dict(single), dict(pair)):
        given = {name: tf.constant(one) for name, one in tokens.items()}
        plain = signatures["tokens"](**given)["probabilities"]
        padded = padded_as_by_the_server(tokens, 31)
        assert padded["attention_mask"][0, -1] == 1
        assert padded["input_ids"][0, -1] == classifier.tokenizer.cls_token_id
        check_close(signatures["tokens"](**padded)["probabilities"], plain, atol=1e-6)
        for row in range(len(TEXTS)):
            one = {name: array[[row]] for name, array in tokens.items()}
            padded = padded_as_by_the_server(one, 40)
            check_close(signatures["tokens"](**padded)["probabilities"][0], plain[row], atol=1e-6)
        trusting = classifier(padded_as_by_the_server(tokens, 31))["logits"]
        assert np.abs(tf.nn.softmax(trusting) - plain).max() > 1e-4  # so it is put to the test


def test_a_token_that_the_mask_hides_stays_hidden(signatures, classifier):
    tokens = dict(classifier.tokenizer(["good", "good bad"]))
    tokens["attention_mask"][1, 2] = 0
    given = {name: tf.constant(one) for name, one in tokens.items()}
    expected = tf.nn.softmax(classifier(given)["logits"])
    check_close(signatures["tokens"](**given)["probabilities"], expected.numpy())


def test_an_embedding_is_the_mean_of_the_last_hidden_states(signatures, classifier):
    tokens = classifier.tokenizer(TEXTS, max_length=LENGTH)
    outputs = classifier.bert(tokens)
    mask = tokens["attention_mask"][..., None]
    states = outputs["last_hidden_state"].numpy() * mask
    found = signatures["embed"](text=tf.constant(TEXTS))
    check_close(found["embedding"], states.sum(1) / mask.sum(1))
    check_close(found["pooler_output"], outputs["pooler_output"].numpy())


def test_it_tokenizes_as_python(signatures, classifier):
    texts = [*TEXTS, "Ça, c'était BON!", "good [SEP] bad [MASK]", "x\ny", "good " * 40]
    found = signatures["tokenize"](text=tf.constant(texts))
    expected = classifier.tokenizer(texts, max_length=LENGTH)
    assert sorted(found) == sorted(TOKENS)
    for name in TOKENS:
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_text_has_the_same_probabilities_in_every_batch(signatures):
    classify = signatures["serving_default"]
    together = classify(text=tf.constant(TEXTS))["probabilities"]
    for text, probabilities in zip(TEXTS, together, strict=True):
        alone = classify(text=tf.constant([text]))["probabilities"][0]
        np.testing.assert_allclose(alone, probabilities, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [b"", b" \t\n", b"\xff\xfe good \x80", b"good\x00bad", b"very " * 5000, b"a" * 100_000],
    ids=["empty", "spaces", "invalid UTF-8", "NUL", "5000 words", "one long word"],
)
def test_any_bytes_get_an_answer(signatures, text):
    texts = tf.constant([text])
    for name, inputs in (
        ("serving_default", {"text": texts}),
        ("pair", {"text": texts, "text_pair": texts}),
        ("embed", {"text": texts}),
        ("tokenize", {"text": texts}),
        ("classify", {"inputs": examples([text])}),
        ("classify_pair", {"inputs": examples([text], [text])}),
    ):
        outputs = signatures[name](**inputs)
        for output, found in outputs.items():
            assert found.shape[0] == 1
            assert found.dtype == tf.string or np.isfinite(found).all(), output
        if "label" in outputs:
            assert outputs["label"].numpy()[0] in (b"bad", b"good")


def test_an_empty_batch_gets_an_empty_answer(signatures):
    for name, (inputs, outputs) in SIGNATURES.items():
        if name == "tokens":
            given = {one: tf.zeros([0, 5], tf.int32) for one in inputs}
        else:
            given = {one: tf.constant([], tf.string) for one in inputs}
        found = signatures[name](**given)
        for output, (dtype, shape) in outputs.items():
            assert (found[output].dtype.name, found[output].shape[0]) == (dtype, 0)
            assert len(found[output].shape) == len(shape)


@pytest.mark.parametrize("shape", [(), (1, 1), (2, 1), (0, 3)], ids=str)
def test_texts_of_another_shape_are_refused(signatures, shape):
    texts = tf.fill(shape, "good")
    for name, (inputs, _) in SIGNATURES.items():
        given = dict.fromkeys(inputs, texts)
        if name == "tokens":
            given = dict.fromkeys(inputs, tf.ones((*shape, 2)[: 3 if shape else 1], tf.int32))
        with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with"):
            signatures[name](**given)


def test_an_example_without_its_text_is_refused(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="text_pair"):
        signatures["classify_pair"](inputs=examples(["good"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="parse"):
        signatures["classify"](inputs=tf.constant([b"no example"]))


def test_the_graph_holds_two_ops_of_tensorflow_text(artefact):
    nodes, functions = graph_nodes(artefact)
    ops = {node.op for node in nodes}
    text_ops = {op for op in ops if "Fast" in op}
    assert text_ops == {"FastBertNormalize", "FastWordpieceTokenizeWithOffsets"}
    foreign = (
        "TFText>",
        "CaseFold",
        "Normalize",
        "RegexSplit",
        "Ragged",
        "PyFunc",
        "XlaLaunch",
    )
    assert not {op for op in ops - text_ops if any(part in op for part in foreign)}
    attributes = {name for function in functions for name in function.attr}
    attributes |= {name for node in nodes for name in node.attr}
    assert not {name for name in attributes if "xla" in name.lower() and "XlaHas" not in name}


@pytest.mark.parametrize("max_length", [51, 2, 0, -1])
def test_a_length_that_the_model_cannot_take_is_refused(classifier, max_length):
    with pytest.raises(ValueError, match=f"max_length={max_length}"):
        serving_functions(classifier, max_length)


@pytest.mark.data
def test_an_artefact_tokenizes_real_text_exactly(real_lines, uncased_classifier, tmp_path):
    path = saved_model(uncased_classifier, tmp_path / "uncased" / "1")
    loaded = tf.saved_model.load(str(path))

    differing = []
    for some in real_lines:
        found = loaded.signatures["tokenize"](text=tf.constant(some))
        expected = uncased_classifier.tokenizer(some, max_length=128)
        for name in TOKENS:
            assert found[name].shape == expected[name].shape
            rows = (found[name].numpy() != expected[name]).any(axis=1)
            differing += [line for line, differs in zip(some, rows, strict=True) if differs]
    assert differing == []
