"""Files are whole, or they are not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.steps import step

from tunelab.errors import RecordError, StorageError, UsageError
from tunelab.records import Step, append_line, read_lines, write_atomically
from tunelab.records.files import remove_leftovers, storage_errors, sync_tree


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, None)  # pyright: ignore[reportArgumentType]
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("below", ["", "runs/one"])
def test_a_file_in_the_place_of_a_directory_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="a file is in its place") as told:
        write_atomically(tmp_path / "out" / below / "recipe.yaml", "")
    assert "another directory" in told.value.hint
    assert (tmp_path / "out").read_text() == "mine"


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (".manifest.json.4242.tmp", "checkpoints/.state.pt.7.tmp", "kept.tmp", ".lock"):
        (tmp_path / name).write_text("half")
    remove_leftovers(tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".lock", "kept.tmp"]


def test_a_torn_last_line_is_damage_unless_the_file_grows_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    for number in (1, 2, 3):
        append_line(path, step(number))
    path.write_text(path.read_text()[:-9])
    assert [row.step for row in read_lines(path, Step, appended=True)] == [1, 2]
    with pytest.raises(RecordError, match="cut off: it ends in the middle of line 3"):
        read_lines(path, Step, appended=False)


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"{}\n", b"null\n"])
def test_damaged_lines_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"steps\.jsonl") as caught:
        read_lines(path, Step, appended=True)
    assert "makes it anew" in caught.value.hint


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EFBIG, "File too large"),
        Exception("I/O error: No space left on device (os error 28)"),  # of a library in Rust
    ],
)
def test_a_full_disk_is_told_whoever_met_it(error: Exception) -> None:
    with (
        pytest.raises(StorageError, match="Could not write somewhere"),
        storage_errors(Path("somewhere")),
    ):
        raising(error)()


@pytest.mark.parametrize("error", [ValueError("(os error 2)"), KeyError("x"), OSError(2, "gone")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)), storage_errors(Path("somewhere")):
        raising(error)()


def test_a_tree_is_flushed_with_its_folders(tmp_path: Path) -> None:
    (tmp_path / "adapter" / "inner").mkdir(parents=True)
    weights = tmp_path / "adapter" / "inner" / "weights"
    weights.write_bytes(b"1")
    flushed: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os, "fsync", lambda file: flushed.append(Path(f"/proc/self/fd/{file}").readlink())
        )
        sync_tree(tmp_path / "adapter")
    assert flushed.index(weights) < flushed.index(tmp_path)
    assert set(flushed) == {weights, weights.parent, tmp_path / "adapter", tmp_path}
