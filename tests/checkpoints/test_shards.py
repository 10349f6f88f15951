"""Hugging Face folders whose weights are spread over several files."""

import json

import numpy as np
import pytest
from checks import check_same_weights
from safetensors.numpy import load_file, save_file

from keras_bert_kit import BertModel


@pytest.fixture
def sharded_folder(encoder_folder):
    tensors = load_file(encoder_folder / "model.safetensors")
    (encoder_folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {
        f"model-0000{number}-of-00003.safetensors": names[number - 1 :: 3] for number in (1, 2, 3)
    }
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, encoder_folder / part)
    write_index(encoder_folder, {name: part for part, held in parts.items() for name in held})
    return encoder_folder


def write_index(folder, weight_map):
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_are_read_as_one(encoder, sharded_folder):
    model = BertModel.from_pretrained(sharded_folder)
    check_same_weights(model, encoder)
    assert str(model.loading_report) == "every weight was loaded"


def test_a_missing_shard_is_named(sharded_folder):
    (sharded_folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"must hold model-00002-of-00003\.safetensors"):
        BertModel.from_pretrained(sharded_folder)


@pytest.mark.parametrize("outside", ["../secret", "/etc/passwd", "a/b.safetensors", "..", ""])
def test_an_index_must_stay_in_its_folder(sharded_folder, outside):
    write_index(sharded_folder, {"embeddings.word_embeddings.weight": outside})
    with pytest.raises(ValueError, match="must name files of its own folder") as caught:
        BertModel.from_pretrained(sharded_folder)
    assert repr(outside) in str(caught.value)


def test_a_tensor_that_its_file_lacks_is_named(sharded_folder):
    write_index(
        sharded_folder,
        {"pooler.dense.bias": "model-00001-of-00003.safetensors"}
        | {"no.such.weight": "model-00001-of-00003.safetensors"},
    )
    with pytest.raises(ValueError, match=r"must name tensors that its files.*no\.such\.weight"):
        BertModel.from_pretrained(sharded_folder)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 1}}']
)
def test_an_index_of_another_form_is_refused(sharded_folder, content):
    (sharded_folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ValueError, match="with a weight_map from tensor to file name"):
        BertModel.from_pretrained(sharded_folder)


def test_a_header_of_absurd_length_is_refused(encoder_folder):
    path = encoder_folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(np.uint64(2**62).tobytes() + content[8:])
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        BertModel.from_pretrained(encoder_folder)


def test_a_flipped_bit_in_the_header_is_an_error_that_names_the_file(encoder_folder):
    path = encoder_folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[:8], "little")
    for place in range(8, 8 + header, 37):
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"model\.safetensors|must fill the model exactly"):
            BertModel.from_pretrained(encoder_folder)
