"""The table of `make distribute-matrix`, run and held to the table that the docs show."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "distribute_matrix.py"


@pytest.mark.slow
def test_every_strategy_gives_what_one_device_gives(tmp_path):
    """The cells of float32 with XLA, the killed worker, the count of compilations.

    And `keras.Model` still fails with workers: once it does not, `_maybe_symbolic_build` and the
    axis that `_update_metrics` adds can go.
    """
    table = tmp_path / "table.md"
    ran = subprocess.run(
        [sys.executable, SCRIPT, "--precision", "float32", "--xla", "on", "--markdown", table],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-3000:]
    rows = table.read_text().splitlines()[2:]
    assert len(rows) == 4 * 2
    assert ran.stdout.count("passed: ") == 3


def test_the_docs_show_all_cells_and_none_that_failed():
    page = (ROOT / "docs" / "distribute.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:none|one_device|mirrored|multi_worker_mirrored) \|.*$", page, re.M)
    assert len(rows) == 4 * 2 * 2 * 2
    assert not any("NO" in row for row in rows)
