import dataclasses
import json
import logging
import sys

import keras
import numpy as np
import pytest
from checks import check_same, check_same_weights, randomise

from keras_bert_kit import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    BertSentenceEncoder,
    BertTokenizer,
    load_checkpoint,
)
from keras_bert_kit.checkpoints import keras_hub
from keras_bert_kit.config import PoolingConfig

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b", "e", "é", "中", "文"]
CONFIG = BertConfig(
    vocab_size=len(VOCABULARY) + 2,
    hidden_size=20,
    num_hidden_layers=2,
    num_attention_heads=5,
    intermediate_size=37,
    hidden_act="gelu_new",
    hidden_dropout_prob=0.2,
    attention_probs_dropout_prob=0.2,
    max_position_embeddings=11,
    type_vocab_size=3,
    classifier_dropout=0.3,
    id2label={0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"},
)
MLM = {"mlm_hidden_act": "gelu", "mlm_layer_norm_eps": 1e-5}
TASKS = {
    "BertBackbone": BertModel,
    "BertMaskedLM": BertForMaskedLM,
    "BertTextClassifier": BertForSequenceClassification,
    "BertTextEmbedder": BertSentenceEncoder,
}
POSITIONS = np.array([[1, 0], [3, 3], [0, 2]])


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(3)
    mask = (np.arange(7) < np.array([[7], [4], [3]])).astype("int32")
    return {
        "input_ids": random.integers(1, CONFIG.vocab_size, (3, 7)).astype("int32"),
        "token_type_ids": random.integers(0, 3, (3, 7)).astype("int32"),
        "attention_mask": mask,
    }


def outputs_of(model, inputs):
    """What a model of keras-nlp or of ours computes, under our names."""
    if isinstance(model, tuple(TASKS.values())):
        more = {"masked_positions": POSITIONS} if isinstance(model, BertForMaskedLM) else {}
        outputs = dict(model({**inputs, **more}))
    else:
        names = ("token_ids", "segment_ids", "padding_mask")
        given = dict(zip(names, inputs.values(), strict=True))
        name = type(model).__name__
        if name == "BertMaskedLM":
            given["mask_positions"] = POSITIONS
        outputs = model(given)
        if name == "BertBackbone":
            keys = {"last_hidden_state": "sequence_output", "pooler_output": "pooled_output"}
            outputs = {ours: outputs[theirs] for ours, theirs in keys.items()}
        else:
            outputs = {"sentence_embedding" if name == "BertTextEmbedder" else "logits": outputs}
    seen = inputs["attention_mask"] == 1
    return {k: v[seen] if k == "last_hidden_state" else v for k, v in outputs.items()}


def make(name, tokenizer=True, **kwargs):
    """A model of keras-nlp with random weights."""
    import keras_nlp

    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=CONFIG.vocab_size,
        num_layers=2,
        num_heads=5,
        hidden_dim=20,
        intermediate_dim=37,
        dropout=0.2,
        max_sequence_length=11,
        num_segments=3,
    )
    if name == "BertBackbone":
        return randomise(backbone)
    layer = keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True)
    preprocessor = getattr(keras_nlp.models, f"{name}Preprocessor")(layer, sequence_length=9)
    if name == "BertTextClassifier":
        kwargs = {"num_classes": 3, "dropout": 0.3, **kwargs}
    task = getattr(keras_nlp.models, name)
    return randomise(task(backbone, preprocessor=preprocessor if tokenizer else None, **kwargs))


@pytest.fixture(scope="module")
def live():
    return {name: make(name) for name in TASKS}


@pytest.fixture(scope="module")
def presets(live, tmp_path_factory):
    import keras_nlp

    folders = {}
    for name, model in live.items():
        folders[name] = tmp_path_factory.mktemp("presets") / name
        model.save_to_preset(str(folders[name]))
    layer = keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True)
    layer.save_to_preset(str(folders["BertBackbone"]))
    return folders


def checkpoint_of(model_class, tokenizer=True, **changes):
    """A checkpoint that KerasHub can express, of a model of ours with random weights."""
    config = dataclasses.replace(CONFIG, **changes)
    tokenizer = BertTokenizer(VOCABULARY, model_max_length=9) if tokenizer else None
    model = randomise(model_class(config, tokenizer=tokenizer))
    checkpoint = model.to_checkpoint()
    if "pooler/dense/kernel" not in checkpoint.weights:
        random = np.random.default_rng(1)
        pooler = {"kernel": random.normal(size=(20, 20)), "bias": random.normal(size=20)}
        pooler = {f"pooler/dense/{leaf}": a.astype("float32") for leaf, a in pooler.items()}
        checkpoint = dataclasses.replace(checkpoint, weights={**checkpoint.weights, **pooler})
    return checkpoint


def written(checkpoint, folder):
    folder.mkdir()
    keras_hub.write(folder, checkpoint)
    return folder


def same_arrays(one, other):
    assert one.keys() == other.keys()
    for path in one:
        np.testing.assert_array_equal(one[path], other[path], err_msg=path)


# Reading


@pytest.mark.parametrize("name", TASKS)
def test_a_model_gives_the_outputs_of_keras_nlp(live, presets, inputs, name):
    expected = outputs_of(live[name], inputs)
    for source in (live[name], presets[name]):
        model = TASKS[name].from_pretrained(source)
        assert model.loading_report.new == ()
        actual = outputs_of(model, inputs)
        assert actual.keys() == expected.keys()
        check_same(actual, expected, atol=1e-5)


def test_a_masked_lm_predicts_all_positions_when_none_are_given(live, inputs):
    ours = BertForMaskedLM.from_pretrained(live["BertMaskedLM"])
    rows = np.arange(3)[:, None]
    expected = outputs_of(live["BertMaskedLM"], inputs)["logits"]
    check_same(ours(inputs)["logits"].numpy()[rows, POSITIONS], expected, atol=1e-5)


def test_the_masked_lm_head_has_an_activation_and_an_epsilon_of_its_own(live, inputs):
    expected = np.asarray(outputs_of(live["BertMaskedLM"], inputs)["logits"])
    for change in ({"mlm_hidden_act": "gelu_new"}, {"mlm_layer_norm_eps": 1e-3}):
        other = BertForMaskedLM.from_pretrained(live["BertMaskedLM"], **change)
        assert np.abs(outputs_of(other, inputs)["logits"] - expected).max() > 1e-4


@pytest.mark.parametrize("mode", ["mean", "cls", "max"])
def test_an_embedder_keeps_its_pooling(inputs, mode):
    theirs = make("BertTextEmbedder", pooling_mode=mode, normalize=False)
    checkpoint = load_checkpoint(theirs)
    assert checkpoint.pooling == PoolingConfig(mode, normalize=False)
    ours = BertSentenceEncoder.from_pretrained(theirs)
    check_same(outputs_of(ours, inputs), outputs_of(theirs, inputs), atol=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_config_tokenizer_and_architecture_are_read(live, presets, name):
    for source in (live[name], presets[name]):
        checkpoint = load_checkpoint(source)
        more = {"BertMaskedLM": MLM, "BertTextClassifier": {}}.get(name, {})
        if name != "BertTextClassifier":
            more = {**more, "classifier_dropout": None, "id2label": {0: "LABEL_0", 1: "LABEL_1"}}
        assert checkpoint.config == dataclasses.replace(CONFIG, **more)
        assert checkpoint.architecture == TASKS[name].__name__
        assert (checkpoint.pooling is not None) == (name == "BertTextEmbedder")
        if source is live["BertBackbone"]:
            assert checkpoint.tokenizer is None
            continue
        tokenizer = checkpoint.tokenizer
        assert tokenizer.tokens == VOCABULARY
        assert (tokenizer.do_lower_case, tokenizer.strip_accents) == (True, False)
        assert tokenizer.model_max_length == (11 if name == "BertBackbone" else 9)
        ids = tokenizer(["A abb é 中文 !"])["input_ids"][0]
        np.testing.assert_array_equal(ids, [2, 5, 5, 7, 7, 9, 10, 11, 1, 3])


@pytest.mark.parametrize("lowercase", [True, False])
def test_accents_are_taken_off_for_an_uncased_vocabulary_without_them(lowercase):
    import keras_nlp

    theirs = make("BertMaskedLM")
    tokens = [token.replace("é", "zz") for token in VOCABULARY]
    theirs.preprocessor.tokenizer = keras_nlp.models.BertTokenizer(tokens, lowercase=lowercase)
    tokenizer = load_checkpoint(theirs).tokenizer
    assert tokenizer.strip_accents is None
    assert (tokenizer.tokenize("é") == ["e"]) == lowercase


def test_a_task_without_a_preprocessor_has_no_tokenizer():
    checkpoint = load_checkpoint(make("BertMaskedLM", tokenizer=False))
    assert checkpoint.tokenizer is None
    assert checkpoint.source == "BertMaskedLM"


def test_weights_are_read_when_asked_for_and_none_is_left_over(live, presets):
    checkpoint = load_checkpoint(presets["BertMaskedLM"])
    same_arrays(checkpoint.weights, keras_hub.read_model(live["BertMaskedLM"]).weights)
    assert checkpoint.weights["encoder/block_1/attention/query/kernel"].shape == (20, 20)
    assert {"masked_lm/bias", "pooler/dense/bias"} <= checkpoint.weights.keys()
    assert len(checkpoint.weights) == 5 + 2 * 16 + 2 + 5


def test_a_name_scope_is_left_away(inputs):
    with keras.name_scope("outer"):
        theirs = make("BertTextClassifier")
    assert theirs.variables[0].path.startswith("outer/")
    ours = BertForSequenceClassification.from_pretrained(theirs)
    check_same(outputs_of(ours, inputs), outputs_of(theirs, inputs), atol=1e-5)


def test_what_training_added_to_a_model_is_refused_by_name():
    theirs = make("BertBackbone")
    theirs.enable_lora(2)
    with pytest.raises(ValueError, match=r"unexpected: transformer_layer_0.*/lora_kernel_a"):
        BertModel.from_pretrained(theirs)


def test_a_classifier_must_give_logits():
    theirs = make("BertTextClassifier", activation="softmax")
    with pytest.raises(ValueError, match=r"classifier .* must give logits.*activation='softmax'"):
        load_checkpoint(theirs)


@pytest.mark.parametrize(
    "change", [{"split": False}, {"suffix_indicator": "@@"}, {"oov_token": "[PAD]"}]
)
def test_another_kind_of_tokenizer_is_refused(change):
    import keras_nlp

    theirs = make("BertMaskedLM")
    theirs.preprocessor.tokenizer = keras_nlp.models.BertTokenizer(VOCABULARY, **change)
    [(name, value)] = change.items()
    with pytest.raises(
        ValueError, match=f"must have {name}=.*Received: {value!r}"[:-1].replace("[", ".")
    ):
        load_checkpoint(theirs)


def test_another_model_of_keras_nlp_is_refused_by_name():
    import keras_nlp

    sizes = {"vocabulary_size": 9, "num_layers": 1, "num_heads": 1, "hidden_dim": 4}
    roberta = keras_nlp.models.RobertaBackbone(**sizes, intermediate_dim=4)
    with pytest.raises(ValueError, match=r"one of BertBackbone, .*Received: RobertaBackbone"):
        load_checkpoint(roberta)
    assert not keras_hub.is_live(keras.Sequential())
    assert not keras_hub.is_live("kaggle://keras/bert/keras/tiny")


def changed_json(folder, target, name, **values):
    import shutil

    shutil.copytree(folder, target)
    path = target / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return target


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", {"class_name": "RobertaBackbone"}, "BertBackbone.*'RobertaBackbone'"),
        ("task.json", {"class_name": "BertTagger"}, r"task that is known: .*'BertTagger'"),
        ("config.json", {"registered_name": "a>B"}, "must be a preset that keras-nlp loads as"),
        ("task.json", {"config": {}}, "must be a preset that keras-nlp loads as BertMaskedLM"),
    ],
)
def test_another_preset_is_refused_by_name(presets, tmp_path, name, change, message):
    folder = changed_json(presets["BertMaskedLM"], tmp_path / "changed", name, **change)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5"])
@pytest.mark.parametrize("kept", [0, 100, 0.5, -1])
def test_a_cut_weight_file_is_named(presets, tmp_path, name, kept):
    folder = changed_json(presets["BertMaskedLM"], tmp_path / "cut", "config.json")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * kept) if kept == 0.5 else kept])
    with pytest.raises(ValueError, match="must be a whole HDF5 file") as caught:
        load_checkpoint(folder)
    assert str(folder / name) in str(caught.value)


def test_a_damaged_config_is_named(presets, tmp_path):
    folder = changed_json(presets["BertMaskedLM"], tmp_path / "damaged", "config.json")
    for content in ("{", "[]", "\udcff"):
        (folder / "config.json").write_text(content, errors="surrogateescape")
        with pytest.raises(
            ValueError, match=r"config\.json must be a JSON file with the class_name"
        ):
            load_checkpoint(folder)


def test_kaggle_handles_are_fetched_whole(presets, live, inputs, monkeypatch):
    asked = []

    def download(handle):
        asked.append(handle)
        return str(presets["BertTextClassifier"])

    monkeypatch.setattr("kagglehub.model_download", download)
    handle = "kaggle://keras/bert/keras/tiny"
    assert load_checkpoint(handle).source == handle
    model = BertForSequenceClassification.from_pretrained(handle)
    assert asked == ["keras/bert/keras/tiny"] * 2
    expected = outputs_of(live["BertTextClassifier"], inputs)
    check_same(outputs_of(model, inputs), expected, atol=1e-5)


def test_a_failed_download_is_one_clear_error(monkeypatch):
    def download(handle):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr("kagglehub.model_download", download)
    message = "kaggle://a/b/c/d could not be fetched from Kaggle: ConnectionError: no route to host"
    with pytest.raises(FileNotFoundError, match=message) as caught:
        load_checkpoint("kaggle://a/b/c/d")
    assert "\n" not in str(caught.value)


def test_keras_nlp_is_loaded_for_presets_alone(encoder_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_nlp", None)  # an import of it would now fail
    assert load_checkpoint(encoder_folder).weights


def test_a_preset_is_saved_in_the_layout_of_hugging_face(live, presets, inputs, tmp_path):
    for name, model_class in TASKS.items():
        model_class.from_pretrained(presets[name]).save_pretrained(tmp_path / name)
        back = model_class.from_pretrained(tmp_path / name)
        check_same(outputs_of(back, inputs), outputs_of(live[name], inputs), atol=1e-5)


# Writing


@pytest.mark.parametrize("name", TASKS)
def test_a_preset_there_and_back_is_the_same_to_the_bit(presets, tmp_path, name):
    checkpoint = load_checkpoint(presets[name])
    back = load_checkpoint(written(checkpoint, tmp_path / "back"))
    same_arrays(back.weights, checkpoint.weights)
    for field in ("config", "architecture", "pooling"):
        assert getattr(back, field) == getattr(checkpoint, field)
    assert back.tokenizer.get_config() == checkpoint.tokenizer.get_config()


@pytest.mark.parametrize("name", TASKS)
def test_a_written_preset_gives_our_outputs(inputs, tmp_path, name):
    import keras_nlp

    checkpoint = checkpoint_of(TASKS[name], **(MLM if name == "BertMaskedLM" else {}))
    ours = TASKS[name].from_pretrained(checkpoint)
    folder = str(written(checkpoint, tmp_path / "preset"))
    theirs = getattr(keras_nlp.models, name).from_preset(folder)
    check_same(outputs_of(theirs, inputs), outputs_of(ours, inputs), atol=1e-5)
    backbone = keras_nlp.models.BertBackbone.from_preset(folder)
    live = keras_hub.to_backbone(checkpoint)
    expected = outputs_of(BertModel.from_pretrained(checkpoint), inputs)
    for model in (backbone, live):
        check_same(outputs_of(model, inputs), expected, atol=1e-5)
    tokenizer = keras_nlp.models.BertTokenizer.from_preset(folder)
    text = "A abb é 中文 !"
    ids = checkpoint.tokenizer([text])["input_ids"][0, 1:-1]
    np.testing.assert_array_equal(tokenizer(text), ids)
    if name != "BertBackbone":
        assert theirs.preprocessor.sequence_length == 9


def test_a_written_classifier_takes_texts(tmp_path):
    import keras_nlp

    checkpoint = checkpoint_of(BertForSequenceClassification)
    ours = BertForSequenceClassification.from_pretrained(checkpoint)
    folder = str(written(checkpoint, tmp_path / "preset"))
    theirs = keras_nlp.models.BertTextClassifier.from_preset(folder)
    texts = ["A abb é", "中文 ! b"]
    expected = ours(checkpoint.tokenizer(texts))["logits"]
    check_same(theirs.predict(texts, verbose=0), expected, atol=1e-5)


def test_a_checkpoint_without_a_tokenizer_is_written_alone(tmp_path, inputs):
    import keras_nlp

    checkpoint = checkpoint_of(BertModel, tokenizer=False)
    folder = written(checkpoint, tmp_path / "preset")
    assert not (folder / "tokenizer.json").exists()
    assert load_checkpoint(folder).tokenizer is None
    classifier = written(
        checkpoint_of(BertForSequenceClassification, tokenizer=False), tmp_path / "task"
    )
    model = keras_nlp.models.BertTextClassifier.from_preset(str(classifier))
    assert model.preprocessor is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "computes the tanh form of GELU .*Received: hidden_act='gelu'"),
        ({"hidden_act": "relu"}, "Received: hidden_act='relu'"),
        ({"layer_norm_eps": 1e-5}, "Received: layer_norm_eps=1e-05"),
        ({"norm_first": True}, "Received: norm_first=True"),
        ({"position_embedding_type": "sinusoidal"}, "position_embedding_type='sinusoidal'"),
        (
            {"hidden_act": "gelu", "layer_norm_eps": 1e-6},
            r"hidden_act='gelu', layer_norm_eps=1e-06. Change the config on purpose",
        ),
    ],
)
def test_what_a_backbone_does_not_compute_is_refused(change, message, tmp_path):
    checkpoint = checkpoint_of(BertModel)
    config = dataclasses.replace(CONFIG, **change)
    checkpoint = dataclasses.replace(checkpoint, config=config)
    with pytest.raises(ValueError, match=message):
        written(checkpoint, tmp_path / "preset")
    assert not any((tmp_path / "preset").iterdir())
    with pytest.raises(ValueError, match=message):
        keras_hub.to_backbone(checkpoint)


def test_the_other_name_of_the_tanh_form_is_taken(inputs):
    checkpoint = checkpoint_of(BertModel, hidden_act="gelu_pytorch_tanh")
    expected = outputs_of(BertModel.from_pretrained(checkpoint), inputs)
    check_same(outputs_of(keras_hub.to_backbone(checkpoint), inputs), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("pooler/dense/kernel"), "has a pooler.*lacks pooler/dense"),
        (lambda weights: weights.pop("embeddings/layer_norm/beta"), "missing: embeddings/layer_n"),
        (lambda weights: weights.update(other=np.zeros(2)), "unexpected: other"),
        (
            lambda weights: weights.update({"pooler/dense/bias": np.zeros(2)}),
            r"pooler/dense/bias is \(2,\) and must be \(20,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(change, message, tmp_path):
    checkpoint = checkpoint_of(BertModel)
    change(checkpoint.weights)
    with pytest.raises(ValueError, match=message):
        written(checkpoint, tmp_path / "preset")
    assert not any((tmp_path / "preset").iterdir())


@pytest.mark.parametrize(
    ("model_class", "changes", "names"),
    [
        (BertModel, {}, []),
        (BertForMaskedLM, MLM, []),
        (BertForMaskedLM, {}, ["masked_lm/bias", "masked_lm/layer_norm/gamma"]),
        (BertForPreTraining, MLM, ["next_sentence/dense/kernel", "next_sentence/dense/bias"]),
        (BertModel, {"attention_probs_dropout_prob": 0.4}, ["attention_probs_dropout_prob=0.4"]),
        (BertForSequenceClassification, {"id2label": {0: "no", 1: "yes"}}, ["id2label={0: 'no'"]),
    ],
)
def test_what_has_no_place_is_named_in_the_log(model_class, changes, names, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "keras_bert_kit"):
        folder = written(checkpoint_of(model_class, **changes), tmp_path / "preset")
    assert load_checkpoint(folder).weights
    if not names:
        assert caplog.text == ""
    for name in names:
        assert name in caplog.text


def test_an_uncased_tokenizer_strips_accents_as_ours_does(tmp_path, caplog):
    import keras_nlp

    for strip, cjk in ((None, True), (False, True), (True, False)):
        checkpoint = checkpoint_of(BertModel)
        tokenizer = BertTokenizer(
            VOCABULARY, True, strip_accents=strip, tokenize_chinese_chars=cjk, model_max_length=9
        )
        checkpoint = dataclasses.replace(checkpoint, tokenizer=tokenizer)
        folder = written(checkpoint, tmp_path / str(strip))
        layer = keras_nlp.models.BertTokenizer.from_preset(str(folder))
        ids = tokenizer(["É a"])["input_ids"][0, 1:-1]
        np.testing.assert_array_equal(layer("É a"), ids)
        assert ("tokenize_chinese_chars=False" in caplog.text) == (not cjk)


def test_a_written_preset_is_loaded_by_our_models(tmp_path):
    checkpoint = checkpoint_of(BertForMaskedLM, **MLM)
    folder = written(checkpoint, tmp_path / "preset")
    model = BertForMaskedLM.from_pretrained(folder)
    check_same_weights(model, BertForMaskedLM.from_pretrained(checkpoint))
    assert model.config == dataclasses.replace(
        checkpoint.config, classifier_dropout=None, id2label={0: "LABEL_0", 1: "LABEL_1"}
    )
