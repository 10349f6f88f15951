import dataclasses
import json
import logging
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from checks import check_same, check_same_weights, randomise

import keras_bert_kit
from keras_bert_kit import BertConfig, BertModel, BertTokenizer, load_checkpoint
from keras_bert_kit.checkpoints import tf1

CONFIG = BertConfig(
    vocab_size=21,
    hidden_size=20,
    num_hidden_layers=2,
    num_attention_heads=5,
    intermediate_size=37,
    hidden_act="gelu_new",
    hidden_dropout_prob=0.2,
    attention_probs_dropout_prob=0.3,
    max_position_embeddings=11,
    type_vocab_size=3,
    initializer_range=0.03,
)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b"]
NAMES = (
    "BertModel",
    "BertForMaskedLM",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "BertForQuestionAnswering",
)


def make(name, **changes):
    labels = {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"} if "Classification" in name else {}
    config = dataclasses.replace(CONFIG, **({"id2label": labels} if labels else {}), **changes)
    return randomise(getattr(keras_bert_kit, name)(config, tokenizer=BertTokenizer(VOCABULARY)))


@pytest.fixture(scope="module")
def pretraining():
    return make("BertForPreTraining")


@pytest.fixture
def folder(pretraining, tmp_path):
    tf1.write(tmp_path, pretraining.to_checkpoint())
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back_to_the_bit(name, tmp_path):
    model = make(name)
    tf1.write(tmp_path, model.to_checkpoint())
    names = {f"bert_model.ckpt.{end}" for end in ("index", "data-00000-of-00001")}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "bert_config.json", "vocab.txt"}
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.architecture == name
    assert checkpoint.config == model.config
    assert checkpoint.tokenizer.tokens == VOCABULARY
    loaded = getattr(keras_bert_kit, name).from_pretrained(tmp_path)
    assert str(loaded.loading_report) == "every weight was loaded"
    check_same_weights(loaded, model)


# Names and shapes as google-research/bert's modeling.py, run_pretraining.py, run_classifier.py and
# run_squad.py make them; H 20, intermediate 37, V 21, P 11, T 3, C 3.
ENCODER = {
    "bert/embeddings/word_embeddings": (21, 20),
    "bert/embeddings/position_embeddings": (11, 20),
    "bert/embeddings/token_type_embeddings": (3, 20),
    "bert/embeddings/LayerNorm/gamma": (20,),
    "bert/embeddings/LayerNorm/beta": (20,),
    "bert/pooler/dense/kernel": (20, 20),
    "bert/pooler/dense/bias": (20,),
}
for layer in ("bert/encoder/layer_0", "bert/encoder/layer_1"):
    for dense, sizes in {
        "attention/self/query": (20, 20),
        "attention/self/key": (20, 20),
        "attention/self/value": (20, 20),
        "attention/output/dense": (20, 20),
        "intermediate/dense": (20, 37),
        "output/dense": (37, 20),
    }.items():
        ENCODER[f"{layer}/{dense}/kernel"] = sizes
        ENCODER[f"{layer}/{dense}/bias"] = sizes[1:]
    for norm in ("attention/output/LayerNorm", "output/LayerNorm"):
        ENCODER[f"{layer}/{norm}/gamma"] = ENCODER[f"{layer}/{norm}/beta"] = (20,)
PRETRAINING = {
    "cls/predictions/transform/dense/kernel": (20, 20),
    "cls/predictions/transform/dense/bias": (20,),
    "cls/predictions/transform/LayerNorm/gamma": (20,),
    "cls/predictions/transform/LayerNorm/beta": (20,),
    "cls/predictions/output_bias": (21,),
    "cls/seq_relationship/output_weights": (2, 20),
    "cls/seq_relationship/output_bias": (2,),
}
SQUAD = {"cls/squad/output_weights": (2, 20), "cls/squad/output_bias": (2,)}
POOLER = {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BertModel", ENCODER),
        ("BertForPreTraining", ENCODER | PRETRAINING),
        (
            "BertForSequenceClassification",
            ENCODER | {"output_weights": (3, 20), "output_bias": (3,)},
        ),
        ("BertForQuestionAnswering", {k: v for k, v in ENCODER.items() if k not in POOLER} | SQUAD),
    ],
)
def test_names_and_shapes_are_those_of_google_research_bert(name, expected, tmp_path):
    model = make(name)
    tf1.write(tmp_path, model.to_checkpoint())
    reader = tf.train.load_checkpoint(str(tmp_path / "bert_model.ckpt"))
    shapes = reader.get_variable_to_shape_map()
    assert {key: tuple(shape) for key, shape in shapes.items()} == expected
    assert set(reader.get_variable_to_dtype_map().values()) == {tf.float32}
    weights = model.weights_by_path()
    for key, path in {
        "bert/encoder/layer_1/intermediate/dense/kernel": (
            "encoder/block_1/intermediate_dense/kernel"
        ),
        "cls/seq_relationship/output_weights": "next_sentence/dense/kernel",
        "output_weights": "classifier/dense/kernel",
        "cls/squad/output_weights": "span/dense/kernel",
    }.items():
        if key in expected:
            array = np.asarray(weights[path])
            array = array if key.endswith("kernel") else array.T
            np.testing.assert_array_equal(reader.get_tensor(key), array)


def test_a_tf1_saver_restores_what_is_written(folder, pretraining):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(name, shape, use_resource=False)
            for name, shape in (ENCODER | PRETRAINING).items()
        ]
        tf.compat.v1.train.Saver(variables).restore(session, str(folder / "bert_model.ckpt"))
        values = dict(zip(ENCODER | PRETRAINING, session.run(variables), strict=True))
    kernel = pretraining.weights_by_path()["encoder/block_0/attention/key/kernel"]
    np.testing.assert_array_equal(values["bert/encoder/layer_0/attention/self/key/kernel"], kernel)


def save_run(folder, arrays, steps):
    """Saves as a training run of google-research/bert: slots beside the weights, several steps."""
    kinds = ("adam_m", "adam_v", "lamb_m", "lamb_v")
    slots = {f"{name}/{kind}": array for name, array in arrays.items() for kind in kinds}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in (arrays | slots).items():
            tf.compat.v1.get_variable(
                name, initializer=tf.compat.v1.constant_initializer(array), shape=array.shape
            )
        step = tf.compat.v1.train.get_or_create_global_step()
        session.run(tf.compat.v1.global_variables_initializer())
        bias = next(v for v in tf.compat.v1.global_variables() if v.name == "output_bias:0")
        saver = tf.compat.v1.train.Saver()
        for number in steps:
            session.run([step.assign(number), bias.assign(np.full(3, number, "float32"))])
            saver.save(session, str(folder / "model.ckpt"), global_step=step)


def take_arrays(folder):
    """Takes the checkpoint out of a folder."""
    arrays = dict(tf1.CheckpointFile(folder))
    for path in folder.glob("bert_model*"):
        path.unlink()
    return arrays


@pytest.fixture
def bare_folder(tmp_path):
    """A classifier's config and vocabulary, and its arrays."""
    tf1.write(tmp_path, make("BertForSequenceClassification").to_checkpoint())
    return tmp_path, take_arrays(tmp_path)


@pytest.fixture
def run_folder(bare_folder):
    folder, arrays = bare_folder
    save_run(folder, arrays, steps=(100, 234))
    return folder


def test_a_fine_tuning_run_is_read_without_its_optimizer(run_folder):
    assert (run_folder / "model.ckpt-100.index").is_file()
    checkpoint = load_checkpoint(run_folder)
    assert checkpoint.architecture == "BertForSequenceClassification"
    model = keras_bert_kit.BertForSequenceClassification.from_pretrained(run_folder)
    assert str(model.loading_report) == "every weight was loaded"
    assert model.config.num_labels == 3
    bias = model.weights_by_path()["classifier/dense/bias"]
    np.testing.assert_array_equal(bias, np.full(3, 234, "float32"))


def test_one_of_several_checkpoints_must_be_named(run_folder):
    (run_folder / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-100"\n')
    bias = load_checkpoint(run_folder).weights["classifier/dense/bias"]
    np.testing.assert_array_equal(bias, np.full(3, 100, "float32"))
    for state in ('model_checkpoint_path: "model.ckpt-7"\n', "", None):
        (run_folder / "checkpoint").unlink(missing_ok=True)
        if state is not None:
            (run_folder / "checkpoint").write_text(state)
        with pytest.raises(ValueError, match=r"one TensorFlow.*model.ckpt-100, model.ckpt-234"):
            load_checkpoint(run_folder)


def test_a_variable_that_is_no_weight_is_refused(bare_folder):
    folder, arrays = bare_folder
    save_run(folder, arrays | {"bert/rotary": np.ones(3, "float32")}, steps=(1,))
    with pytest.raises(ValueError, match=r"unexpected: bert/rotary\."):
        keras_bert_kit.BertForSequenceClassification.from_pretrained(folder)


def test_a_checkpoint_in_several_data_files_must_be_whole(bare_folder):
    folder, arrays = bare_folder
    with tf.device("CPU:0"):
        for shard, names in enumerate((sorted(arrays)[:9], sorted(arrays)[9:])):
            tf.raw_ops.SaveV2(
                prefix=str(folder / f"part{shard}"),
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[tf.constant(arrays[name]) for name in names],
            )
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=[str(folder / f"part{shard}") for shard in range(2)],
            destination_prefix=str(folder / "model.ckpt"),
        )
    keras_bert_kit.BertForSequenceClassification.from_pretrained(folder)
    (folder / "model.ckpt.data-00001-of-00002").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"all its data files.*Found: .*data-00000-of-00002"
    ):
        load_checkpoint(folder)


def test_the_config_file_has_googles_keys_and_words(folder):
    values = json.loads((folder / "bert_config.json").read_text())
    assert values == {
        "attention_probs_dropout_prob": 0.3,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.2,
        "hidden_size": 20,
        "initializer_range": 0.03,
        "intermediate_size": 37,
        "max_position_embeddings": 11,
        "num_attention_heads": 5,
        "num_hidden_layers": 2,
        "type_vocab_size": 3,
        "vocab_size": 21,
    }


@pytest.mark.parametrize(
    ("google", "ours"), [("gelu", "gelu_new"), ("relu", "relu"), ("tanh", "tanh")]
)
def test_googles_activations_both_ways(google, ours, tmp_path):
    model = make("BertModel", hidden_act=ours)
    tf1.write(tmp_path, model.to_checkpoint())
    path = tmp_path / "bert_config.json"
    assert json.loads(path.read_text())["hidden_act"] == google
    assert load_checkpoint(tmp_path).config.hidden_act == ours
    ids = {"input_ids": np.arange(14).reshape(2, 7)}
    check_same(BertModel.from_pretrained(tmp_path)(ids), model(ids), atol=0)


def test_an_activation_that_google_does_not_have_is_refused(folder):
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_act": "silu"}))
    with pytest.raises(ValueError, match=r"bert_config.json must be one.*gelu, relu.*'silu'"):
        load_checkpoint(folder)


def test_the_epsilon_is_googles_whatever_the_file_says(folder):
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "layer_norm_eps": 1e-5}))
    assert load_checkpoint(folder).config.layer_norm_eps == 1e-12


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"hidden_act": "silu"},
        {"layer_norm_eps": 1e-5},
        {"position_embedding_type": "sinusoidal"},
        {"norm_first": True},
        {"mlm_hidden_act": "gelu"},
        {"mlm_layer_norm_eps": 1e-5},
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_what_google_does_not_compute_is_not_written(change, tmp_path, pretraining):
    checkpoint = dataclasses.replace(
        pretraining.to_checkpoint(), config=dataclasses.replace(CONFIG, **change)
    )
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"google-research/bert.*{name}={value!r}.*gelu_new"):
        tf1.write(tmp_path, checkpoint)
    assert list(tmp_path.iterdir()) == []


def test_a_masked_lm_head_of_its_own_matters_only_where_there_is_one(tmp_path):
    tf1.write(tmp_path, make("BertModel", mlm_hidden_act="gelu").to_checkpoint())
    assert load_checkpoint(tmp_path).config == CONFIG


def test_weights_without_a_name_are_listed(tmp_path, pretraining):
    checkpoint = pretraining.to_checkpoint()
    weights = {**checkpoint.weights, "encoder/final_layer_norm/beta": np.zeros(20)}
    with pytest.raises(ValueError, match=r"google-research/bert.*: encoder/final_layer_norm/beta"):
        tf1.write(tmp_path, dataclasses.replace(checkpoint, weights=weights))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_short_floats_are_written_as_float32(dtype, tmp_path, pretraining):
    checkpoint = pretraining.to_checkpoint()
    weights = {path: array.astype(dtype) for path, array in checkpoint.weights.items()}
    tf1.write(tmp_path, dataclasses.replace(checkpoint, weights=weights))
    for path, array in load_checkpoint(tmp_path).weights.items():
        assert array.dtype == "float32"
        np.testing.assert_array_equal(array, weights[path].astype("float32"))


def test_files_that_cannot_be_written_are_named(tmp_path, pretraining):
    (tmp_path / "bert_model.ckpt.index").mkdir()
    with pytest.raises(OSError, match=r"bert_model.ckpt could not be written"):
        tf1.write(tmp_path, pretraining.to_checkpoint())


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_data_file_is_told_from_a_whole_one(damage, folder):
    damage(folder / "bert_model.ckpt.data-00000-of-00001")
    weights = load_checkpoint(folder).weights
    with pytest.raises(ValueError, match=r"bert_model.ckpt must be a whole .*: (bert|cls)/.*again"):
        [weights[path] for path in weights]
    with pytest.raises(ValueError, match=r"must be a whole TensorFlow checkpoint"):
        keras_bert_kit.BertForPreTraining.from_pretrained(folder)


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_index_is_told_from_a_whole_one(damage, folder):
    damage(folder / "bert_model.ckpt.index")
    with pytest.raises(ValueError, match=r"bert_model.ckpt must be a whole TensorFlow checkpoint"):
        load_checkpoint(folder)


def test_files_that_are_missing_are_named(folder):
    data = folder / "bert_model.ckpt.data-00000-of-00001"
    content = data.read_bytes()
    data.unlink()
    with pytest.raises(FileNotFoundError, match=r"bert_model.ckpt.data-.*Found: none"):
        load_checkpoint(folder)
    data.write_bytes(content)
    (folder / "bert_model.ckpt.index").unlink()
    with pytest.raises(FileNotFoundError, match=r"with its .index file. Found: .*data-00000"):
        load_checkpoint(folder)


def test_a_checkpoint_of_the_first_format_is_named_as_such(folder):
    for path in folder.glob("bert_model*"):
        path.unlink()
    (folder / "bert_model.ckpt").write_bytes(b"V1")
    with pytest.raises(FileNotFoundError, match=r"bert_model.ckpt. A checkpoint in a single file"):
        load_checkpoint(folder)


def test_a_folder_without_vocabulary_has_no_tokenizer(folder, caplog):
    (folder / "vocab.txt").unlink()
    with caplog.at_level(logging.DEBUG, "keras_bert_kit"):
        assert load_checkpoint(folder).tokenizer is None
    assert caplog.records == []


def test_a_checkpoint_without_tokenizer_is_written(tmp_path, pretraining):
    tf1.write(tmp_path, dataclasses.replace(pretraining.to_checkpoint(), tokenizer=None))
    assert not (tmp_path / "vocab.txt").exists()


def test_a_config_of_another_size_is_found(folder):
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "intermediate_size": 36}))
    with pytest.raises(ValueError, match=r"intermediate_dense/bias is \(37,\) and must be \(36,\)"):
        keras_bert_kit.BertForPreTraining.from_pretrained(folder)


def test_a_config_alone_is_no_checkpoint(tmp_path):
    (tmp_path / "bert_config.json").write_text("{}")
    assert not tf1.matches(tmp_path)


def test_the_formats_are_there_without_tensorflow():
    code = (
        "import sys\n"
        "from keras_bert_kit.checkpoints import model_garden, tf1, tf_transformers\n"
        "print([name for name in ('tensorflow', 'keras', 'h5py') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
