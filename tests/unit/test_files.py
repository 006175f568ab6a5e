"""Files that survive, and trees that don't."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minidock import files


def test_a_tree_goes_and_what_its_links_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "empty").mkdir()
    (tree / "a" / "b" / "file").write_text("x")
    (tree / "link").symlink_to("../kept")
    (tree / "a" / "b" / "dangling").symlink_to("/nowhere")
    os.mkfifo(tree / "a" / "fifo")
    files.remove_tree(tree)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert (tmp_path / "kept" / "file").read_text() == "x"


def test_a_tree_that_is_gone_is_no_error(tmp_path: Path) -> None:
    files.remove_tree(tmp_path / "nothing")


def test_a_tree_deeper_than_any_path_or_recursion_goes(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    here = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("directory", dir_fd=here)
        deeper = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    files.remove_tree(tmp_path / "tree")
    assert not any(tmp_path.iterdir())


def test_removing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    files.remove_tree(tmp_path / "tree")
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_a_killed_writer_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.aside(path).write_bytes(b"half of something longer")
    files.write_atomic(path, b"whole")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"whole")]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "directory" / "full").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        files.write_atomic(tmp_path / "directory", b"")
    assert [each.name for each in tmp_path.iterdir()] == ["directory"]


def test_writers_of_one_file_take_turns(tmp_path: Path) -> None:
    """Four processes, 200 writes each, of different lengths: whoever looks sees one of them, whole."""
    path = tmp_path / "file"
    script = (
        "import sys, pathlib; from minidock import files\n"
        "for _ in range(200): files.write_atomic(pathlib.Path(sys.argv[1]), sys.argv[2].encode(), durable=False)"
    )
    texts = [letter * (1000 * (number + 1)) for number, letter in enumerate("abcd")]
    writers = [subprocess.Popen([sys.executable, "-c", script, path, text]) for text in texts]
    while any(writer.poll() is None for writer in writers):
        assert not path.exists() or path.read_text() in texts
    assert [writer.returncode for writer in writers] == [0] * 4
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_is_full_is_told_with_the_file(tmp_path: Path) -> None:
    """write(2) says ENOSPC, or here EFBIG, and knows no name."""
    script = """
import resource, sys
from pathlib import Path
from minidock import files
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    files.write_atomic(Path(sys.argv[1]), b"x" * 100)
except OSError as error:
    print(error.strerror, error.filename)
"""
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "f")], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"File too large {tmp_path}/f\n"
    assert not list(tmp_path.iterdir())
