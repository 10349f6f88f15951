"""The tasks: one file each, found by name in the table below."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bert_kit.models import PretrainedModel
    from keras_bert_kit.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the table.

    Attributes:
        module: The module, below this package.
        class_name: The task's class in it.
        architecture: The class of the models that it trains.
        summary: What the task is, in a line.
        files: What its files hold.
    """

    module: str
    class_name: str
    architecture: str
    summary: str
    files: str


#: Every task by its name. It loads no TensorFlow to be looked at.
TASKS: dict[str, Entry] = {
    "text-classification": Entry(
        "text_classification",
        "TextClassification",
        "BertForSequenceClassification",
        "Texts or pairs of texts: one label, several labels, or a number.",
        "TSV, CSV or JSONL with text, label and perhaps text_pair",
    ),
    "token-classification": Entry(
        "token_classification",
        "TokenClassification",
        "BertForTokenClassification",
        "Names and other things in texts: a tag for each word.",
        "columns as in CoNLL: a word and its tag a line, an empty line after a sentence",
    ),
    "semantic-role-labeling": Entry(
        "semantic_role_labeling",
        "SemanticRoleLabeling",
        "BertForTokenClassification",
        "Who does what to whom: predicates and their arguments.",
        "columns as in Universal Propositions (CoNLL-U and roles)",
    ),
    "question-answering": Entry(
        "question_answering",
        "QuestionAnswering",
        "BertForQuestionAnswering",
        "Answers to questions, as spans of a text of any length.",
        "JSON as SQuAD 1.1 and 2.0",
    ),
    "multiple-choice": Entry(
        "multiple_choice",
        "MultipleChoice",
        "BertForMultipleChoice",
        "Which of several texts goes with a question.",
        "JSONL with question, choices, label and perhaps context",
    ),
    "sentence-similarity": Entry(
        "sentence_similarity",
        "SentenceSimilarity",
        "BertSentenceEncoder",
        "Vectors of texts whose cosines tell how alike they are.",
        "TSV, CSV or JSONL with text, text_pair and label, a number",
    ),
    "fill-mask": Entry(
        "fill_mask",
        "FillMask",
        "BertForMaskedLM",
        "The words that [MASK] stands for.",
        "texts: TXT, TSV, CSV or JSONL",
    ),
    "document-classification": Entry(
        "document_classification",
        "DocumentClassification",
        "BertForDocumentClassification",
        "Texts of any length, read in windows: labels or a number.",
        "TSV, CSV or JSONL with text and label",
    ),
}

__all__ = ["TASKS", "Entry", "get_task", "load_trained", "task_of"]


def get_task(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """Makes a task.

    Args:
        name: One of `TASKS`.
        options: Its options.

    Raises:
        ValueError: There is no such task, or it has no such option.
    """
    if name not in TASKS:
        raise ValueError(f"The task must be one of {', '.join(TASKS)}. Received: {name!r}")
    task_class = _load(TASKS[name])
    known = [field.name for field in dataclasses.fields(task_class)]
    unknown = [option for option in options or {} if option not in known]
    if unknown:
        raise ValueError(
            f"The options of {name} must be among: {', '.join(known) or 'none'}. "
            f"Received: {', '.join(unknown)}"
        )
    return task_class(**(options or {}))


def task_of(model: PretrainedModel) -> Task:
    """Gives the task that a model was made for.

    It is the one that the config's `finetuning_task` names, or else the first with such models.

    Args:
        model: The model.

    Raises:
        TypeError: No task has such models.
    """
    fitting = _fitting(type(model).__name__)
    if not fitting:
        raise TypeError(
            f"The model must be one of {_architectures()}. Received: {type(model).__name__}"
        )
    named = model.config.finetuning_task
    return _load(TASKS[named if named in fitting else fitting[0]]).of(model)


def load_trained(path: str | Path) -> PretrainedModel:
    """Loads a model that was trained for a task.

    Args:
        path: Its folder.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: It cannot be read, or was trained for no task.
    """
    from keras_bert_kit.checkpoints import load_checkpoint

    checkpoint = load_checkpoint(path)
    fitting = _fitting(checkpoint.architecture)
    if not fitting:
        raise ValueError(
            f"{path} must be trained first, with finetune, to be one of {_architectures()}. "
            f"Received: {checkpoint.architecture}"
        )
    return _load(TASKS[fitting[0]]).model_class.from_pretrained(checkpoint, new_head=False)


def _fitting(architecture: str) -> list[str]:
    return [name for name, entry in TASKS.items() if entry.architecture == architecture]


def _architectures() -> str:
    return ", ".join(dict.fromkeys(entry.architecture for entry in TASKS.values()))


def _load(entry: Entry) -> type[Task]:
    module = importlib.import_module(f"{__name__}.{entry.module}")
    return getattr(module, entry.class_name)
