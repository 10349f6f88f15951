"""The texts that lie beside an artefact."""

from importlib.resources import files
from string import Template
from typing import Any


def from_template(name: str, /, **values: Any) -> str:
    """Gives a file of `templates/`, with `$name` replaced by the value of that name.

    Raises:
        KeyError: A value is missing.
    """
    file = files("keras_bert_kit.export") / "templates" / name
    return Template(file.read_text(encoding="utf-8")).substitute(values)
