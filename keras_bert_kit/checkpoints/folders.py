"""Folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


def check_free(path: str | Path, overwrite: bool = False):
    """Checks that a folder may be written at a path.

    Raises:
        FileExistsError: Something is there already, and `overwrite` is false.
        NotADirectoryError: A file is there.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} must be a folder, and is a file. Choose another path.")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise FileExistsError(
            f"{path} exists already. Choose another path, or allow it to be replaced "
            "(overwrite=True, or --overwrite on the command line)."
        )


@contextlib.contextmanager
def replaced_folder(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty folder to write into, which takes its place when the block ends well.

    The folder lies beside `path` and is renamed at the end, so that whoever watches `path` never
    sees half of it, and what was there before stays whole when the block fails.

    Args:
        path: Where the folder is to appear.
        overwrite: Whether it may replace a folder that is there.

    Raises:
        FileExistsError: Something is there already, and `overwrite` is false.
        NotADirectoryError: A file is there.
    """
    path = Path(path)
    check_free(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    beside, before = (path.parent / f".{path.name}.{mark}.{end}" for end in ("new", "old"))
    beside.mkdir()
    try:
        yield beside
        check_free(path, overwrite)
        if path.exists():
            path.rename(before)
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        if before.exists() and not path.exists():
            os.rename(before, path)
        raise
    shutil.rmtree(before, ignore_errors=True)
