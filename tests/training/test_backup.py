import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertConfig, BertForSequenceClassification
from keras_bert_kit.training import BackupAndRestore, bert_optimizer

IDS = np.random.default_rng(4).integers(5, 40, (12, 7)).astype("int32")
LABELS = (IDS[:, 0] % 2).astype("int32")


def make(seed):
    keras.utils.set_random_seed(seed)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=40,
            hidden_size=12,
            num_hidden_layers=1,
            num_attention_heads=3,
            intermediate_size=20,
            max_position_embeddings=7,
            hidden_dropout_prob=0.3,
        )
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(bert_optimizer(learning_rate=0.01, total_steps=12), loss)
    return model


class Crash(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise RuntimeError("crash")


def fit(model, *callbacks, epochs=3):
    data = tf.data.Dataset.from_tensor_slices((IDS, LABELS)).batch(4)
    return model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, shuffle=False)


def values(model):
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()])


@pytest.fixture(scope="module")
def unbroken():
    model = make(seed=0)
    fit(model)
    return values(model)


def test_a_run_that_crashed_goes_on_to_the_same_weights(tmp_path, unbroken):
    folder = tmp_path / "backup"
    with pytest.raises(RuntimeError, match="crash"):
        fit(make(seed=0), BackupAndRestore(folder), Crash(2, 1))
    assert [path.name for path in folder.iterdir()] == ["epoch-2"]
    backup = BackupAndRestore(folder)
    assert backup.epochs_done == 2
    model = make(seed=1)  # its own weights and dropout seeds do not matter
    assert fit(model, backup).epoch == [2]
    np.testing.assert_allclose(values(model), unbroken, rtol=1e-6, atol=1e-7)
    assert not folder.exists()


def test_a_run_that_ended_starts_the_next_one_anew(tmp_path):
    model = make(seed=0)
    backup = BackupAndRestore(tmp_path / "backup")
    fit(model, backup, epochs=1)
    assert backup.epochs_done == 0
    assert fit(model, backup, epochs=2).epoch == [0, 1]


def test_the_state_may_be_kept(tmp_path):
    fit(make(seed=0), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=2)
    assert BackupAndRestore(tmp_path).epochs_done == 2
    assert fit(make(seed=0), BackupAndRestore(tmp_path), epochs=2).epoch == []


def test_a_damaged_or_foreign_state_is_refused(tmp_path):
    fit(make(seed=0), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=1)
    model = make(seed=0)
    model.compile("sgd", model.loss)
    with pytest.raises(ValueError, match="must hold the state of this model and optimizer"):
        fit(model, BackupAndRestore(tmp_path))
    file = tmp_path / "epoch-1" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"state\.safetensors"):
        fit(make(seed=0), BackupAndRestore(tmp_path))


def test_workers_that_see_other_folders_are_refused(tmp_path):
    class Elsewhere:
        """Two workers, the other one of which has done no epoch."""

        num_replicas_in_sync = 2

        def run(self, function):
            return function()

        def reduce(self, how, value, axis):
            return value

    fit(make(seed=0), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=1)
    backup = BackupAndRestore(tmp_path)
    backup.set_model(type("Model", (), {"distribute_strategy": Elsewhere()})())
    with pytest.raises(ValueError, match=r"a folder that all workers see.*with 1 epochs here"):
        backup.on_train_begin()
