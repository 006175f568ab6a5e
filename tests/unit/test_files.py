"""Files that survive, and trees that don't."""

from __future__ import annotations

import os
from pathlib import Path

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
