"""The fine-tuning run: from a file with answers to a trained model in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_bert_kit.checkpoints.checkpoint import Checkpoint
from keras_bert_kit.checkpoints.folders import check_free, replaced_folder
from keras_bert_kit.data.batching import bucketed_batches
from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tasks.task import Task, TaskData
from keras_bert_kit.training.callbacks import (
    BetweenBatches,
    EpochCheckpoint,
    ProgressBar,
    Validation,
)
from keras_bert_kit.training.model_card import write_model_card
from keras_bert_kit.training.optimizers import bert_optimizer
from keras_bert_kit.training.plots import plot_confusion_matrix, plot_training_curves
from keras_bert_kit.training.recipe import FinetuningRecipe, FinetuningResult
from keras_bert_kit.training.run_state import HISTORY, RunState


def finetune(
    recipe: FinetuningRecipe,
    output: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> FinetuningResult:
    """Fine-tunes a model and writes it with its scores, plots and model card.

    While it runs, the state after each epoch lies beside the output, see `RunState`. An
    interrupted run goes on from there with `resume`, to the same result as an unbroken one.

    Args:
        recipe: The run.
        output: The folder to make: the model in Hugging Face's layout, `README.md` (the model
            card), `evaluation.json`, `history.csv`, `training_curves.png`, `tensorboard/` and,
            where there are classes, `confusion_matrix.png`.
        overwrite: Whether to replace the output and to drop an interrupted run's state.
        resume: Whether to go on with an interrupted run of the same recipe.
        progress: Whether to draw a progress bar on standard error.

    Raises:
        FileNotFoundError: A file, or the model, is missing.
        FileExistsError: The output exists, or an interrupted run's state does, and neither
            `overwrite` nor `resume` was given.
        ValueError: The data or the model cannot be used.
        OSError: The disk takes no more; what was there before stays whole.
    """
    output = Path(output)
    state = RunState.beside(output)
    settings = dataclasses.asdict(recipe)
    check_free(output, overwrite)
    state.check(settings, overwrite, resume)
    keras.utils.set_random_seed(recipe.seed)
    task = recipe.make_task()
    model, train, validation = _load(task, recipe)
    if not resume:
        state.start(settings)
    _fit(task, recipe, model, train, validation, state, progress)

    best = task.model_class.from_pretrained(state.best, new_head=False)
    with BetweenBatches():
        scores = validation and task.evaluate(best, validation, recipe.batch_size)
    result = FinetuningResult(
        output=output,
        history=state.history,
        best_epoch=state.best_epoch,
        scores=scores,
        data=[dict(part.summary) for part in (train, validation) if part is not None],
    )
    with replaced_folder(output, overwrite) as folder:
        shutil.copytree(state.best, folder, dirs_exist_ok=True)
        shutil.copytree(state.tensorboard, folder / "tensorboard")
        shutil.copy(state.latest / HISTORY, folder)
        _write_report(folder, task, recipe, result, best.config.label_names)
    shutil.rmtree(state.folder)
    return result


def _load(
    task: Task, recipe: FinetuningRecipe
) -> tuple[PretrainedModel, TaskData, TaskData | None]:
    train = task.read(recipe.train)
    validation = task.read(recipe.validation) if recipe.validation else None
    changes = task.config(train)
    if validation is not None:
        task.check(train, validation)  # fails before the model loads
    model = new_model(task, recipe, recipe.model, changes)
    parts = [part and task.data(model, part, recipe.max_length) for part in (train, validation)]
    return model, *parts


def new_model(
    task: Task, recipe: FinetuningRecipe, source: str | Checkpoint, changes: Mapping[str, Any]
) -> PretrainedModel:
    """Makes the model that a run trains, with pretrained weights and a new head.

    Args:
        task: The task.
        recipe: The run.
        source: The pretrained model, or a checkpoint that was read already.
        changes: What the data decide of the model, see `Task.config`.

    Raises:
        FileNotFoundError: The model is missing.
        ValueError: It cannot be used.
    """
    model = task.model_class.from_pretrained(
        source, new_head=True, dtype=recipe.precision, finetuning_task=task.name, **changes
    )
    model.check_length(recipe.max_length)
    model.tokenizer.model_max_length = recipe.max_length
    return model


def compile_model(task: Task, recipe: FinetuningRecipe, model: PretrainedModel, rows: int):
    """Compiles a model with the recipe's optimizer and schedule, and the task's loss.

    Args:
        task: The task.
        recipe: The run.
        model: The model.
        rows: Training rows, which decide the number of steps.
    """
    optimizer = bert_optimizer(
        learning_rate=recipe.learning_rate,
        total_steps=_steps(recipe, rows) * recipe.epochs,
        warmup_ratio=recipe.warmup_ratio,
        weight_decay=recipe.weight_decay,
        head_learning_rate=recipe.head_learning_rate,
    )
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    model.compile(
        optimizer=optimizer,
        loss=task.loss(model),
        metrics=task.metrics(model),
        jit_compile=on_gpu if recipe.xla is None else recipe.xla,
    )


def fit_model(
    recipe: FinetuningRecipe,
    model: PretrainedModel,
    train: TaskData,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    done: int = 0,
    progress: bool = False,
) -> keras.callbacks.History:
    """Trains a compiled model.

    Args:
        recipe: The run.
        model: The model.
        train: What to train on.
        callbacks: Keras callbacks.
        done: Epochs that are done already.
        progress: Whether to draw a progress bar on standard error.

    Returns:
        The logs of each epoch.
    """
    steps = _steps(recipe, len(train.features))
    bar = ProgressBar(steps, recipe.epochs, recipe.metric)
    with contextlib.ExitStack() as stack:
        contexts = [*([bar] if progress else []), BetweenBatches()]
        inner = [stack.enter_context(context) for context in contexts]
        batches = bucketed_batches(
            train.features,
            None,
            recipe.batch_size,
            recipe.seed,
            range(done, recipe.epochs),
            few_lengths=bool(model.jit_compile),
        )
        return model.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=done,
            steps_per_epoch=steps,
            callbacks=[*callbacks, *inner],
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )


def _steps(recipe: FinetuningRecipe, rows: int) -> int:
    return -(-rows // recipe.batch_size)


def _fit(
    task: Task,
    recipe: FinetuningRecipe,
    model: PretrainedModel,
    train: TaskData,
    validation: TaskData | None,
    state: RunState,
    progress: bool,
):
    compile_model(task, recipe, model, len(train.features))
    done = state.restore(model)
    if done == recipe.epochs:
        return
    callbacks = [
        *([Validation(task, validation, recipe.batch_size)] if validation else []),
        keras.callbacks.TensorBoard(state.tensorboard, write_graph=False),
        EpochCheckpoint(state, f"val_{recipe.metric}"),
    ]
    fit_model(recipe, model, train, callbacks, done=done, progress=progress)


def _write_report(
    folder: Path,
    task: Task,
    recipe: FinetuningRecipe,
    result: FinetuningResult,
    names: list[str],
):
    plot_training_curves(result.history, folder / "training_curves.png", recipe.metric)
    if result.scores is not None:
        (folder / "evaluation.json").write_text(_json(result.scores), encoding="utf-8")
        if "confusion_matrix" in result.scores:
            matrix = result.scores["confusion_matrix"]
            plot_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    write_model_card(folder / "README.md", task, recipe, result, names)


def _json(values: Any) -> str:
    return json.dumps(values, indent=2) + "\n"
