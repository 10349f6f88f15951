"""Against TF Model Garden itself, where it is installed: random models, made in a process apart."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoints.test_model_garden import ARCHITECTURES, check_variant

pytestmark = [pytest.mark.reference, pytest.mark.slow]
pytest.importorskip("official")

MAKER = Path(__file__).resolve().parents[1] / "fixtures" / "make_model_garden.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model_garden")
    # Model Garden runs on Keras 2, and the kit on Keras 3.
    subprocess.run([sys.executable, MAKER, folder, "23"], check=True)
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_random_model_is_read_as_model_garden_computes_it(folder, name):
    check_variant(folder / name, dict(np.load(folder / "outputs.npz")))
