import configparser
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keras_bert_kit

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = (
    "data layers checkpoints models tasks training search export explain".split()  # noqa: SIM905
)


def run(code, *arguments, cwd=ROOT):
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_every_public_name_resolves_and_is_listed():
    assert len(set(keras_bert_kit.__all__)) == len(keras_bert_kit.__all__)
    assert dir(keras_bert_kit) == sorted(keras_bert_kit.__all__)
    for name in keras_bert_kit.__all__:
        found = getattr(keras_bert_kit, name)
        assert getattr(found, "__name__", name).removeprefix("keras_bert_kit.") == name


def test_every_public_module_is_one_of_the_package():
    modules = {path.stem for path in (ROOT / "keras_bert_kit").glob("[a-z]*")}
    named = set(keras_bert_kit.__all__) & modules
    assert modules - named == {"cli"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'keras_bert_kit' has no attribute 'BertForPoetry'"):
        _ = keras_bert_kit.BertForPoetry


@pytest.mark.parametrize("name", PUBLIC)
def test_the_names_of_each_folder_resolve(name):
    module = importlib.import_module(f"keras_bert_kit.{name}")
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(module, member) for member in module.__all__)


@pytest.mark.parametrize(
    "statement",
    ["import keras_bert_kit", "import keras_bert_kit.cli", "from keras_bert_kit import BertConfig"],
)
def test_importing_loads_no_tensorflow(statement):
    heavy = "{'tensorflow', 'tensorflow_text', 'keras', 'keras_nlp', 'matplotlib', 'sklearn'}"
    assert run(f"{statement}; import sys; print(sorted({heavy} & set(sys.modules)))") == "[]"


KIT_CLASSES = """
import sys
if sys.argv[1] == "keras first":
    import keras, keras_bert_kit
else:
    from keras_bert_kit import load_model
    import contextlib
    with contextlib.suppress(ValueError):
        load_model("absent.keras")
    import keras
names = keras.saving.get_custom_objects()
print(*sorted(name for name in names if name.startswith("keras_bert_kit>")))
"""


@pytest.mark.parametrize("order", ["keras first", "load_model"])
def test_keras_finds_the_layers_and_models(order):
    found = {name.removeprefix("keras_bert_kit>") for name in run(KIT_CLASSES, order).split()}
    from keras_bert_kit import layers

    assert {*layers.__all__, "BertModel", "BertForSequenceClassification"} <= found


def test_keras_finds_the_in_graph_tokenizer():
    assert "keras_bert_kit>InGraphTokenizer" in run(KIT_CLASSES, "keras first").split()


def lint_imports(folder):
    code = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def lintable(tmp_path):
    """A copy of the package and its rules that a test may break."""
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "keras_bert_kit", tmp_path / "keras_bert_kit", ignore=ignore)
    return tmp_path


def test_modules_import_lower_ranks_alone(lintable):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    contracts = [s for s in setup.sections() if s.startswith("importlinter:contract:")]
    assert contracts
    result = lint_imports(lintable)
    assert f"Contracts: {len(contracts)} kept, 0 broken" in result.stdout, result.stdout
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("config.py", "keras_bert_kit.serving", "Data walks through the house once"),
        ("layers/heads.py", "keras_bert_kit.config", "Layers import nothing of ours"),
        ("checkpoints/names.py", "keras_bert_kit.layers", "Checkpoints see arrays and paths"),
        ("serving/pipeline.py", "keras_bert_kit.data", "An artefact is served without"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(lintable, module, imported, contract):
    path = lintable / "keras_bert_kit" / module
    path.write_text(f"{path.read_text()}\nimport {imported}\n")
    result = lint_imports(lintable)
    assert result.returncode != 0
    assert re.search(rf"{contract}.* BROKEN", result.stdout), result.stdout


# The arguments of a block are documented there, and Keras documents the methods that it calls.
ELSEWHERE = {"TransformerEncoder": "TransformerEncoderBlock"}
OF_KERAS = ("build", "call", "compute_output_shape", "compute_output_spec", "get_config")
OF_KERAS += ("from_config", "save_assets", "load_assets")


def exported():
    """Every exported class and function by its name."""
    modules = [importlib.import_module(f"keras_bert_kit.{name}") for name in PUBLIC]
    found = [getattr(m, name) for m in (keras_bert_kit, *modules) for name in m.__all__]
    return {value.__name__: value for value in found if callable(value)}


def methods(classes):
    return {
        f"{name}.{attribute}": getattr(value, "__func__", value)
        for name, owner in classes.items()
        if inspect.isclass(owner)
        for attribute, value in vars(owner).items()
        if inspect.isroutine(value) and not attribute.startswith("_") and attribute not in OF_KERAS
    }


def undocumented(objects):
    """Names without a docstring, and parameters that no line of the docstring is about."""
    gaps = [name for name, value in objects.items() if not value.__doc__]
    for name, value in objects.items():
        text = inspect.getdoc(value) or ""
        text += inspect.getdoc(objects.get(ELSEWHERE.get(name))) or ""
        parameters = inspect.signature(value).parameters.values()
        named = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        gaps += [
            f"{name}({parameter})"
            for parameter in named
            if parameter not in ("self", "cls") and not re.search(rf"^ *{parameter}: ", text, re.M)
        ]
    return gaps


def test_every_exported_class_and_function_documents_its_parameters():
    assert undocumented(exported()) == []


def test_every_method_of_an_exported_class_documents_its_parameters():
    assert undocumented(methods(exported())) == []


def test_every_exported_name_and_method_has_a_docstring():
    everything = {**exported(), **methods(exported())}
    assert len(everything) > 30
    assert [name for name, value in everything.items() if not value.__doc__] == []
