"""What a task is: the parts that fine-tuning, scoring and export need, in one object."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from keras_bert_kit.data.batching import sorted_batches
from keras_bert_kit.data.features import Features
from keras_bert_kit.models import PretrainedModel
from keras_bert_kit.tasks.served import Served
from keras_bert_kit.tokenization.in_graph import InGraphTokenizer


@dataclasses.dataclass(frozen=True)
class TaskData:
    """One file, ready for training and scoring.

    Attributes:
        examples: What the task's reader gave.
        features: The rows that batches are cut from.
        summary: The counts that a user wants to see.
    """

    examples: Any
    features: Features
    summary: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A thing to use BERT for, from the file to the served answer.

    A task is a frozen dataclass. Its fields are its options: `finetune` on the command line has
    them as well, with the help in their metadata.

    Attributes:
        name: Its name, Hugging Face's where there is one.
        purpose: What a trained model does, to follow "A BERT that", with `{labels}` where the
            names of the classes are to stand.
        metric: The score that chooses the best epoch, the higher the better.
        model_class: The models that it trains.
        defaults: Fields of `FinetuningRecipe` that differ from the usual ones.
    """

    name: ClassVar[str]
    purpose: ClassVar[str]
    metric: ClassVar[str]
    model_class: ClassVar[type[PretrainedModel]]
    defaults: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def of(cls, model: PretrainedModel) -> Task:
        """Gives the task with the options that a model was trained with.

        Args:
            model: The model.
        """
        return cls()

    @abc.abstractmethod
    def read(self, path: str) -> Any:
        """Reads a file with answers.

        Args:
            path: The file.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file breaks a rule of its format.
        """

    @abc.abstractmethod
    def config(self, train: Any) -> dict[str, Any]:
        """Gives what the data and the options decide of the model.

        Args:
            train: The training examples.

        Returns:
            Arguments of `from_pretrained`, such as `id2label`.

        Raises:
            ValueError: The examples cannot be trained on.
        """

    @abc.abstractmethod
    def check(self, train: Any, validation: Any):
        """Checks that two files fit each other, before the model is loaded.

        Args:
            train: The training examples.
            validation: The validation examples.

        Raises:
            ValueError: They do not.
        """

    def groups(self, examples: Any) -> list[str] | None:
        """Gives what each row is about, where several are about one thing.

        Cross-validation leaves rows about one thing together.

        Args:
            examples: The examples.

        Returns:
            A text for each row; or `None`, where each row stands for itself.
        """
        return None

    @abc.abstractmethod
    def data(self, model: PretrainedModel, examples: Any, max_length: int) -> TaskData:
        """Turns examples into rows for a model.

        Args:
            model: The model, with its tokenizer.
            examples: The examples.
            max_length: Longest sequence in tokens, specials included.

        Raises:
            ValueError: The examples do not fit the model.
        """

    @abc.abstractmethod
    def loss(self, model: PretrainedModel) -> Any:
        """Gives the loss to compile a model with.

        Args:
            model: The model.
        """

    def metrics(self, model: PretrainedModel) -> list[Any]:
        """Gives the metrics to compile a model with.

        Args:
            model: The model.
        """
        return []

    @abc.abstractmethod
    def evaluate(self, model: PretrainedModel, data: TaskData, batch_size: int) -> dict[str, Any]:
        """Scores a model.

        Args:
            model: The model.
            data: Examples with answers.
            batch_size: Rows of a batch.

        Returns:
            `rows`; the scores, among them `metric`, as floats; and, where there are labels,
            `labels`, by name a dict of scores, and perhaps `confusion_matrix`.
        """

    @abc.abstractmethod
    def served(
        self,
        model: PretrainedModel,
        tokenizer: InGraphTokenizer,
        xla: bool = False,
        scope: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    ) -> Served:
        """Gives what a trained model computes for a server.

        Args:
            model: The model.
            tokenizer: The tokenizer.
            xla: Whether XLA compiles the network.
            scope: Gives a context in which the network is traced.
        """

    def lite_lacks(self, model: PretrainedModel) -> str:
        """Gives what LiteRT lacks to run a model, in words that follow "LiteRT has no"; or "".

        Args:
            model: The model.
        """
        return ""

    def tokenizer(self, model: PretrainedModel, max_length: int) -> InGraphTokenizer:
        """Gives the tokenizer of a served model.

        Args:
            model: The model, with its tokenizer.
            max_length: Longest sequence in tokens, specials included.
        """
        return model.tokenizer.in_graph(max_length)


def outputs_of_rows(
    model: keras.Model, features: Features, batch_size: int
) -> Iterator[tuple[np.ndarray, Any, dict[str, np.ndarray]]]:
    """Runs a model over rows, those of like length together.

    Args:
        model: The model.
        features: The rows.
        batch_size: Rows of a batch.

    Yields:
        The numbers of the rows of a batch, the batch as arrays, and the model's outputs for it.
    """
    for rows, batch in sorted_batches(features, batch_size, few_lengths=bool(model.jit_compile)):
        inputs = batch[0] if isinstance(batch, tuple) else batch
        outputs = model.predict_on_batch(inputs)
        yield rows, batch, outputs
