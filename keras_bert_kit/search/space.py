"""What a search varies: fields of the recipe and options of the task."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from keras_bert_kit.tasks.task import Task
from keras_bert_kit.training.recipe import FinetuningRecipe

#: Spaces by name. "paper" is the grid of Devlin et al. 2018, appendix A.3.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "batch_size": [16, 32],
        "learning_rate": [5e-5, 3e-5, 2e-5],
        "epochs": [2, 3, 4],
    }
}

_FIELDS = {
    "epochs": int,
    "batch_size": int,
    "learning_rate": float,
    "head_learning_rate": float,
    "max_length": int,
    "warmup_ratio": float,
    "weight_decay": float,
    "seed": int,
}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_DIGITS = 4  # of a number out of a range


@dataclasses.dataclass(frozen=True)
class Choices:
    """A hyper-parameter with a few values.

    Attributes:
        values: The values, each once.
    """

    values: tuple[Any, ...]

    def add_to(self, space: keras_tuner.HyperParameters, name: str):
        """Tells KerasTuner of it."""
        space.Choice(name, list(self.values))

    def value(self, found: Any) -> Any:
        """Gives the value that KerasTuner means; it takes true and false for 1 and 0."""
        return self.values[self.values.index(found)]

    def as_json(self) -> list[Any]:
        """Gives what a user writes."""
        return list(self.values)


@dataclasses.dataclass(frozen=True)
class Range:
    """A hyper-parameter between two numbers.

    Attributes:
        least: The least value.
        most: The greatest.
        log: Whether each factor is as likely as any other.
    """

    least: Any
    most: Any
    log: bool = False

    def add_to(self, space: keras_tuner.HyperParameters, name: str):
        """Tells KerasTuner of it."""
        add = space.Int if isinstance(self.least, int) else space.Float
        add(name, self.least, self.most, sampling="log" if self.log else "linear")

    def value(self, found: Any) -> Any:
        """Gives the value that KerasTuner means, with four digits."""
        if isinstance(self.least, int):
            return int(found)
        return min(max(float(f"{found:.{_DIGITS}g}"), self.least), self.most)

    def as_json(self) -> dict[str, Any]:
        """Gives what a user writes."""
        return {"min": self.least, "max": self.most, "log": self.log}


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """The recipes among which a search looks for the best.

    Attributes:
        recipe: The recipe that they have in common.
        parts: What differs, by name.
    """

    recipe: FinetuningRecipe
    parts: Mapping[str, Choices | Range]

    @classmethod
    def of(cls, recipe: FinetuningRecipe, space: Mapping[str, Any]) -> SearchSpace:
        """Reads a space as users write it.

        Args:
            recipe: The recipe that all have in common.
            space: By name a list of choices, or a range: a dict with `min`, `max` and perhaps
                `log`.

        Raises:
            ValueError: The space is empty, or has an unknown name or a value that cannot be.
        """
        if not space:
            raise ValueError(
                "The space must vary at least one hyper-parameter. Received: none. "
                f"Choose among {', '.join(kinds_of(recipe.make_task()))}, or take a preset: "
                f"{', '.join(PRESETS)}"
            )
        kinds = kinds_of(recipe.make_task())
        parts = {name: _part(name, values, kinds) for name, values in space.items()}
        made = cls(recipe, parts)
        for name, part in parts.items():
            ends = part.values if isinstance(part, Choices) else (part.least, part.most)
            for value in ends:
                made.recipe_for({name: value})
        return made

    @property
    def size(self) -> int | None:
        """How many recipes there are; `None` where there is a range."""
        if any(isinstance(part, Range) for part in self.parts.values()):
            return None
        return math.prod(len(part.values) for part in self.parts.values())

    @property
    def longest(self) -> int:
        """The greatest `max_length`."""
        part = self.parts.get("max_length", Choices((self.recipe.max_length,)))
        return part.most if isinstance(part, Range) else max(part.values)

    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """Gives the space as KerasTuner has it."""
        space = keras_tuner.HyperParameters()
        for name, part in self.parts.items():
            part.add_to(space, name)
        return space

    def values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Gives a trial's values.

        Args:
            found: What KerasTuner gave.
        """
        return {name: part.value(found[name]) for name, part in self.parts.items()}

    def recipe_for(self, values: Mapping[str, Any]) -> FinetuningRecipe:
        """Gives the recipe of a trial.

        Args:
            values: The trial's values.

        Raises:
            ValueError: The recipe, or the task, does not take a value.
        """
        fields = {name: value for name, value in values.items() if name in _FIELDS}
        options = {name: value for name, value in values.items() if name not in _FIELDS}
        return dataclasses.replace(
            self.recipe, options={**self.recipe.options, **options}, **fields
        )

    def as_json(self) -> dict[str, Any]:
        """Gives the space as users write it."""
        return {name: part.as_json() for name, part in self.parts.items()}


def kinds_of(task: Task) -> dict[str, type]:
    """Gives the type of each hyper-parameter that a task has, by name.

    Args:
        task: The task.
    """
    hints = typing.get_type_hints(type(task))
    return _FIELDS | {field.name: hints[field.name] for field in dataclasses.fields(task)}


def _part(name: str, values: Any, kinds: Mapping[str, type]) -> Choices | Range:
    if name not in kinds:
        raise ValueError(f"A hyper-parameter must be one of {', '.join(kinds)}. Received: {name!r}")
    if isinstance(values, Mapping):
        return _range(name, values, kinds[name])
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(
            f"{name} must have a list of choices, or a range such as "
            f'{{"min": ..., "max": ..., "log": True}}. Received: {name}={values!r}'
        )
    choices = tuple(_checked(name, value, kinds[name]) for value in values)
    if len(set(choices)) < len(choices):
        raise ValueError(f"{name} must have each choice once. Received: {name}={list(choices)}")
    return Choices(choices)


def _range(name: str, values: Mapping[str, Any], kind: type) -> Range:
    if kind not in (int, float):
        raise ValueError(f"{name} is {_KINDS[kind]} and must have choices. Received: {values!r}")
    if not {"min", "max"} <= set(values) <= {"min", "max", "log"}:
        raise ValueError(f"The range of {name} must have min and max. Received: {values!r}")
    least, most = (_checked(name, values[end], kind) for end in ("min", "max"))
    log = _checked(f"log of {name}", values.get("log", False), bool)
    if not least < most:
        raise ValueError(f"The range of {name} must have min < max. Received: {values!r}")
    if log and not least > 0:
        raise ValueError(f"The log range of {name} must have min > 0. Received: {values!r}")
    return Range(least, most, log)


def _checked(name: str, value: Any, kind: type) -> Any:
    allowed = (int, float) if kind is float else (kind,)
    is_bool = isinstance(value, bool) and kind is not bool
    if is_bool or not isinstance(value, allowed) or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{name} must be {_KINDS[kind]}. Received: {name}={value!r}")
    return kind(value)
