"""Paths in a root that somebody else wrote: what is made for a mount to stand on is made inside."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.kernel import rootpath
from tests.support.needs import require_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    require_root()
    (tmp_path / "root" / "etc").mkdir(parents=True)
    descriptor = rootpath.open_root(str(tmp_path / "root"))
    yield descriptor
    os.close(descriptor)


def test_what_is_renamed_meanwhile_keeps_nobody_from_going_up(root: int, tmp_path: Path) -> None:
    """openat2(2) says EAGAIN for a `..` while anything at all is renamed, or mounted."""
    (tmp_path / "a").touch()
    script = "import os, sys; os.chdir(sys.argv[1])\nwhile True: os.rename('a', 'b'); os.rename('b', 'a')"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) as process:
        try:
            for _ in range(20_000):
                os.close(rootpath.open_in(root, "etc/../etc/../etc", os.O_PATH))
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("target", "made"),
    [("../foo/bar", "foo/bar"), ("/foo/bar", "foo/bar"), ("bar", "etc/bar"), ("../../../../foo", "foo")],
)
@pytest.mark.parametrize("kind", ["file", "directory", "below"])
def test_a_dangling_link_is_followed_to_what_is_made(
    root: int, tmp_path: Path, target: str, made: str, kind: str
) -> None:
    (tmp_path / "root" / "etc" / "link").symlink_to(target)
    expected = tmp_path / "root" / made
    if kind == "file":
        descriptor = rootpath.make_file(root, "/etc/link")
    elif kind == "directory":
        descriptor = rootpath.make_directories(root, "/etc/link")
    else:
        descriptor = rootpath.make_file(root, "/etc/link/more/file")
        expected = expected / "more" / "file"
    assert os.path.samestat(os.fstat(descriptor), expected.lstat())
    assert expected.is_dir() == (kind == "directory")
    os.close(descriptor)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_links_that_lead_round_end(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "one").symlink_to("two")
    (tmp_path / "root" / "two").symlink_to("one")
    for make in (rootpath.make_file, rootpath.make_directories):
        with pytest.raises(OSError) as caught:
            make(root, "/one")
        assert caught.value.errno in (errno.ELOOP, errno.EEXIST)
