"""A trained model of every task; the cases stand in task_cases.py."""

import pytest
from task_cases import CASES


@pytest.fixture(scope="session", params=CASES)
def case(request):
    """The name of a task, and a case of it."""
    return request.param.partition(",")[0], CASES[request.param]


@pytest.fixture(scope="session")
def trained(case, tiny_folder, tmp_path_factory):
    """What `finetune` gave for the case."""
    from keras_bert_kit.training import FinetuningRecipe, finetune

    task, case = case
    folder = tmp_path_factory.mktemp("task")
    path = folder / case.name
    path.write_text(case.content, encoding="utf-8")
    settings = {"epochs": 5, "batch_size": 8, "learning_rate": 5e-3, "max_length": 24}
    recipe = FinetuningRecipe(
        task=task,
        model=str(tiny_folder),
        train=str(path),
        validation=str(path),
        options=case.options,
        **{**settings, **case.settings},
    )
    return finetune(recipe, folder / "model", progress=False)


@pytest.fixture(scope="session")
def model(trained):
    from keras_bert_kit.tasks import load_trained

    return load_trained(trained.output)
