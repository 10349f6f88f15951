"""All that training changes, as one file: weights, optimizer and random state."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from keras_bert_kit.checkpoints.tensors import SafetensorsFile, write_tensors


def write_model_state(path: Path, model: keras.Model):
    """Writes the state of a compiled model.

    Args:
        path: The safetensors file to make.
        model: The model.

    Raises:
        OSError: The file cannot be written.
    """
    write_tensors(path, {name: np.asarray(v.value) for name, v in _variables(model).items()})


def read_model_state(path: Path, model: keras.Model):
    """Puts a compiled model into the state that a file holds.

    Args:
        path: What `write_model_state` wrote.
        model: The same model, compiled in the same way.

    Raises:
        ValueError: The file is damaged, or does not fit the model.
    """
    tensors = SafetensorsFile(path)
    model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    if tensors.shapes != {name: tuple(variable.shape) for name, variable in variables.items()}:
        raise ValueError(f"{path} must hold the state of this model and optimizer")
    for name, variable in variables.items():
        variable.assign(tensors[name])


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Gives all that a run changes: weights, the dropouts' random state, the optimizer's variables.

    Keras' own `save_weights` leaves the random state out. The names are numbers, because Keras
    gives paths that differ from one process to the next.
    """
    metrics = {id(variable) for variable in model.metrics_variables}
    variables = [v for v in (*model.variables, *model.optimizer.variables) if id(v) not in metrics]
    return {str(index): variable for index, variable in enumerate(variables)}
