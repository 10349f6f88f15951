"""The fine-tuning run: from a labelled file to a trained model in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert_kit.checkpoints.folders import check_free, replaced_folder
from keras_bert_kit.data.batching import bucketed_batches
from keras_bert_kit.data.features import EncodedTexts, encode_labels, encode_texts
from keras_bert_kit.data.readers import Examples, label_names, read_examples
from keras_bert_kit.models import BertForSequenceClassification
from keras_bert_kit.training.callbacks import EpochCheckpoint, ProgressBar
from keras_bert_kit.training.evaluation import evaluate_classifier
from keras_bert_kit.training.model_card import write_model_card
from keras_bert_kit.training.optimizers import bert_optimizer
from keras_bert_kit.training.plots import plot_confusion_matrix, plot_training_curves
from keras_bert_kit.training.recipe import FinetuningRecipe, FinetuningResult
from keras_bert_kit.training.run_state import HISTORY, RunState


@dataclasses.dataclass(frozen=True)
class LabelledTexts:
    """One file, ready for training.

    Attributes:
        path: The file.
        texts: The texts as ids.
        labels: int32 array (texts,), class indices.
    """

    path: str
    texts: EncodedTexts
    labels: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Gives the counts that a user wants to see."""
        return {
            "file": self.path,
            "texts": len(self.texts),
            "empty": self.texts.empty,
            "truncated": self.texts.truncated,
            "mean_tokens": round(float(self.texts.lengths.mean()), 1),
        }


def finetune_text_classification(
    recipe: FinetuningRecipe,
    output: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> FinetuningResult:
    """Fine-tunes a classifier and writes it with its scores, plots and model card.

    While it runs, the state after each epoch lies beside the output, see `RunState`. An
    interrupted run goes on from there with `resume`, to the same result as an unbroken one.

    Args:
        recipe: The run.
        output: The folder to make: the model in Hugging Face's layout, `README.md` (the model
            card), `evaluation.json`, `history.csv`, `training_curves.png`,
            `confusion_matrix.png` and `tensorboard/`.
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
    model, train, validation = _load(recipe)
    if not resume:
        state.start(settings)
    _fit(recipe, model, train, validation, state, progress)

    best = BertForSequenceClassification.from_pretrained(state.best, new_head=False)
    scores = validation and evaluate_classifier(best, validation.texts, validation.labels)
    result = FinetuningResult(
        output=output,
        history=state.history,
        best_epoch=state.best_epoch,
        scores=scores,
        data=[part.summary() for part in (train, validation) if part is not None],
    )
    with replaced_folder(output, overwrite) as folder:
        shutil.copytree(state.best, folder, dirs_exist_ok=True)
        shutil.copytree(state.tensorboard, folder / "tensorboard")
        shutil.copy(state.latest / HISTORY, folder)
        _write_report(folder, recipe, result, best.config.label_names)
    shutil.rmtree(state.folder)
    return result


def load_labelled_texts(
    model: BertForSequenceClassification, examples: Examples, max_length: int
) -> LabelledTexts:
    """Encodes labelled texts for a model.

    Args:
        model: The model, with its tokenizer.
        examples: The texts.
        max_length: Longest sequence in tokens, specials included.

    Raises:
        ValueError: A label is none of the model's, or `max_length` is more than the model takes.
    """
    model.check_length(max_length)
    labels = encode_labels(examples.labels, model.config.label_names, examples.path)
    texts = encode_texts(examples, model.tokenizer, max_length)
    return LabelledTexts(examples.path, texts, labels)


def _load(recipe: FinetuningRecipe):
    train = read_examples(recipe.train)
    validation = read_examples(recipe.validation) if recipe.validation else None
    names = label_names(train)
    if len(names) < 2:
        raise ValueError(
            f"{recipe.train}: the labels must be of at least two classes. Received: {names[0]!r} "
            f"in all {len(train)} rows"
        )
    if validation is not None:
        encode_labels(validation.labels, names, validation.path)  # fails before the model loads
        if (train.text_pairs is None) != (validation.text_pairs is None):
            raise ValueError(
                f"{recipe.train} and {recipe.validation}: both or neither must have text_pair"
            )
    model = BertForSequenceClassification.from_pretrained(
        recipe.model, id2label=names, new_head=True, dtype=recipe.precision
    )
    model.tokenizer.model_max_length = recipe.max_length
    parts = [
        part and load_labelled_texts(model, part, recipe.max_length) for part in (train, validation)
    ]
    return model, *parts


def _fit(
    recipe: FinetuningRecipe,
    model: BertForSequenceClassification,
    train: LabelledTexts,
    validation: LabelledTexts | None,
    state: RunState,
    progress: bool,
):
    steps = -(-len(train.texts) // recipe.batch_size)
    optimizer = bert_optimizer(
        learning_rate=recipe.learning_rate,
        total_steps=steps * recipe.epochs,
        warmup_ratio=recipe.warmup_ratio,
        weight_decay=recipe.weight_decay,
    )
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=on_gpu if recipe.xla is None else recipe.xla,
    )
    done = state.restore(model)
    if done == recipe.epochs:
        return
    callbacks = [
        keras.callbacks.TensorBoard(state.tensorboard, write_graph=False),
        EpochCheckpoint(state),
    ]
    batches = bucketed_batches(
        train.texts, train.labels, recipe.batch_size, recipe.seed, range(done, recipe.epochs)
    )
    with contextlib.ExitStack() as stack:
        if progress:
            callbacks.append(stack.enter_context(ProgressBar(steps, recipe.epochs)))
        model.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=done,
            steps_per_epoch=steps,
            validation_data=validation
            and bucketed_batches(
                validation.texts, validation.labels, recipe.batch_size, seed=0, epochs=[0]
            ),
            callbacks=callbacks,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )


def _write_report(
    folder: Path, recipe: FinetuningRecipe, result: FinetuningResult, names: list[str]
):
    plot_training_curves(result.history, folder / "training_curves.png")
    if result.scores is not None:
        (folder / "evaluation.json").write_text(_json(result.scores), encoding="utf-8")
        matrix = result.scores["confusion_matrix"]
        plot_confusion_matrix(matrix, names, folder / "confusion_matrix.png")
    write_model_card(folder / "README.md", recipe, result, names)


def _json(values: Any) -> str:
    return json.dumps(values, indent=2) + "\n"
