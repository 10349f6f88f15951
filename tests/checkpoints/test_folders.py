import pytest

from keras_bert_kit.checkpoints.folders import check_free, replaced_folder


def fill(path, overwrite=False, text="new", fail=None):
    with replaced_folder(path, overwrite) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file.txt").write_text(text)
        if fail is not None:
            raise fail


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_folder_appears_at_the_end_and_nothing_beside_it(tmp_path):
    path = tmp_path / "model"
    with replaced_folder(path) as folder:
        (folder / "sub").mkdir()
        assert not path.exists()
        assert folder.parent == path.parent
    assert names(path) == ["sub"]
    assert names(tmp_path) == ["model"]


def test_parents_are_made(tmp_path):
    fill(str(tmp_path / "a" / "b" / "model"))
    assert (tmp_path / "a" / "b" / "model" / "file.txt").read_text() == "new"


@pytest.mark.parametrize("fail", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_behind(tmp_path, fail):
    with pytest.raises(type(fail)):
        fill(tmp_path / "model", fail=fail)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fail", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_keeps_what_was_there(tmp_path, fail):
    fill(tmp_path / "model", text="old")
    with pytest.raises(type(fail)):
        fill(tmp_path / "model", overwrite=True, fail=fail)
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "file.txt").read_text() == "old"


def test_a_full_folder_is_replaced_only_when_allowed(tmp_path):
    fill(tmp_path / "model", text="old")
    (tmp_path / "model" / "other.txt").write_text("old")
    with pytest.raises(FileExistsError, match=r"overwrite=True, or --overwrite"):
        fill(tmp_path / "model")
    assert names(tmp_path / "model") == ["file.txt", "other.txt"]
    fill(tmp_path / "model", overwrite=True)
    assert names(tmp_path / "model") == ["file.txt"]
    assert names(tmp_path) == ["model"]


def test_an_empty_folder_is_free(tmp_path):
    (tmp_path / "model").mkdir()
    fill(tmp_path / "model")
    assert names(tmp_path / "model") == ["file.txt"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_the_way_is_kept(tmp_path, overwrite):
    (tmp_path / "model").write_text("a file")
    with pytest.raises(NotADirectoryError, match="must be a folder, and is a file"):
        fill(tmp_path / "model", overwrite)
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        check_free(tmp_path / "model", overwrite)
    assert (tmp_path / "model").read_text() == "a file"
    assert names(tmp_path) == ["model"]


def test_what_another_process_wrote_meanwhile_is_kept(tmp_path):
    path = tmp_path / "model"

    def write_slowly():
        with replaced_folder(path):
            path.mkdir()
            (path / "theirs.txt").write_text("theirs")

    with pytest.raises(FileExistsError):
        write_slowly()
    assert names(path) == ["theirs.txt"]
    assert names(tmp_path) == ["model"]


def test_when_the_last_step_fails_the_old_folder_comes_back(tmp_path):
    fill(tmp_path / "model", text="old")
    with pytest.raises(FileNotFoundError), replaced_folder(tmp_path / "model", True) as folder:
        folder.rmdir()
    assert (tmp_path / "model" / "file.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_check_free_tells_beforehand(tmp_path):
    check_free(tmp_path / "nothing")
    fill(tmp_path / "model")
    check_free(tmp_path / "model", overwrite=True)
    with pytest.raises(FileExistsError, match="Choose another path"):
        check_free(str(tmp_path / "model"))
