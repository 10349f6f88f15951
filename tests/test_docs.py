import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from keras_bert_kit.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HANDLES = re.compile(r"\"(?:package|hf|kaggle)://[^\"]+\"")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def shown_commands():
    for page in PAGES:
        for block in blocks(page, ""):
            for line in block.replace("\\\n", " ").splitlines():
                if line.lstrip("$ ").startswith("keras-bert-kit "):
                    yield pytest.param(line.lstrip("$ "), id=f"{page.name}: {line.strip()[:60]}")


@pytest.fixture
def workplace(tmp_path, monkeypatch, reviews, trained_folder):
    """A folder with the files that the pages speak of."""
    from keras_bert_kit import export
    from keras_bert_kit.models import BertForSequenceClassification

    for path in reviews.values():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_folder, "saved_models/reviews")
    model = BertForSequenceClassification.from_pretrained(trained_folder)
    export.saved_model(model, "saved_models/reviews-serving/1")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_of_a_page_run(page, workplace, tiny_folder):
    if page.name == "README.md":  # it makes the folder itself
        shutil.rmtree(workplace / "saved_models")
    names = {}
    for block in blocks(page, "python"):
        code = HANDLES.sub(repr(str(tiny_folder)), block)
        exec(compile(code, page.name, "exec"), names)


@pytest.mark.parametrize("line", list(shown_commands()))
def test_shown_commands_parse(line):
    command, arguments = typer.main.get_command(app), shlex.split(line)[1:]
    while isinstance(command, typer.core.TyperGroup):
        command = command.get_command(typer.Context(command), arguments.pop(0))
    command.make_context(command.name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
