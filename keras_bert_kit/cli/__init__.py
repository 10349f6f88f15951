"""The command line: thin calls to the public API, with errors in one line."""

from __future__ import annotations

import os

import typer

from keras_bert_kit.cli import (
    checkpoints,
    explaining,
    exporting,
    searching,
    serving,
    training,
)
from keras_bert_kit.cli.console import Reported, fail, interruptible, one_line

app = typer.Typer(
    name="keras-bert-kit",
    help="BERT for TensorFlow, from raw text to production.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _part in (training, searching, exporting, serving, explaining, checkpoints):
    app.add_typer(_part.app)


def main():
    """Runs the command line; an error is one line on standard error and exit code 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what fails, Python reports
    try:
        with interruptible():
            app(prog_name="keras-bert-kit")
    except Reported:
        raise
    except KeyboardInterrupt:
        fail("Interrupted.", 130)
    except SystemExit as stop:  # Typer makes one of Ctrl-C, and says nothing
        if stop.code == 130:
            fail("Interrupted.", 130)
        raise
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        if os.environ.get("KERAS_BERT_KIT_TRACEBACK"):
            raise
        fail(one_line(error), 2)


@app.callback()
def _options():
    """BERT for TensorFlow, from raw text to production."""
