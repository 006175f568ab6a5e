"""Recipes of built-in images: read, run and packed without root; the same files always give the same bytes."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from minidock.errors import ImageNotFound, MinidockError
from minidock.image import builtin
from tests.support.needs import require_tool


def packed(root: Path, epoch: int = 1000) -> bytes:
    archive = io.BytesIO()
    builtin.pack(root, archive, epoch)
    return archive.getvalue()


def make_recipe(recipes: Path, name: str, script: str, needs: str = "{}") -> None:
    place = recipes / name
    place.mkdir(parents=True)
    (place / "recipe").write_text(script)
    (place / "image.toml").write_text(f'describe = "a test"\nepoch = 1000\nneeds = {needs}\nchanges = []\n')


def run(name: str, scratch: Path) -> tuple[int, list[str]]:
    said: list[str] = []
    scratch.mkdir(exist_ok=True)
    return builtin.run_recipe(name, builtin.load(name), scratch, said.append), said


def test_names() -> None:
    assert builtin.names() == ["busybox", "debian", "hello-world"]


@pytest.mark.parametrize("name", builtin.names())
def test_recipe_is_complete(name: str) -> None:
    recipe = builtin.load(name)
    script = (builtin.directory() / name / "recipe").read_text()
    assert recipe.describe and recipe.epoch > 0
    assert any(change.startswith("CMD ") for change in recipe.changes)
    assert "set -eu" in script
    for program in recipe.needs:
        assert program in script, f"{program} is said to be needed, and never called"
    assert "://" not in script + (builtin.directory() / name / "image.toml").read_text(), "no mirror's name in a recipe"


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ImageNotFound) as raised:
        builtin.load("alpine")
    assert "busybox" in raised.value.hint


def test_misspelt_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_recipe(tmp_path, "odd", "")
    (tmp_path / "odd" / "image.toml").write_text('describe = "x"\nepoch = 1\nneeds = {}\nchange = []\n')
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path)
    with pytest.raises(MinidockError, match="damaged recipe"):
        builtin.load("odd")


def test_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_recipe(tmp_path, "odd", "", needs='{ "no-such-program" = "its-package" }')
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path)
    with pytest.raises(MinidockError, match="needs no-such-program, which is not installed") as raised:
        builtin.check_needs("odd", builtin.load("odd"))
    assert raised.value.hint == "apt-get install its-package"


def test_failing_script_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_recipe(tmp_path / "recipes", "odd", "echo begun\necho no space for this >&2\nexit 3\n")
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path / "recipes")
    with pytest.raises(MinidockError, match="the recipe of odd failed with exit code 3: no space for this"):
        run("odd", tmp_path / "scratch")


def test_script_sees_nothing_of_the_users_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_recipe(tmp_path / "recipes", "odd", "env\numask\n")
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path / "recipes")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("http_proxy", "proxy.example:8080")
    _, said = run("odd", tmp_path / "scratch")
    names = {line.partition("=")[0] for line in said}
    assert "SECRET" not in names and {"OUT", "SCRATCH", "BIN", "RECIPE", "PATH", "http_proxy"} <= names
    assert said[-1] == "0022"


def test_date_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_recipe(tmp_path / "recipes", "plain", "true\n")
    make_recipe(tmp_path / "recipes", "dated", 'echo 2000 > "$SCRATCH/epoch"\n')
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path / "recipes")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert run("plain", tmp_path / "1")[0] == 1000
    assert run("dated", tmp_path / "2")[0] == 2000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "3000")
    assert run("dated", tmp_path / "3")[0] == 3000


def test_pack_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for place, order in ((tmp_path / "one", "abc"), (tmp_path / "two", "cba")):
        for name in order:
            (place / name).mkdir(parents=True)
            (place / name / "file").write_text(name)
        os.utime(place / "a", (5000, 5000 if place.name == "one" else 6000))
    assert packed(tmp_path / "one") == packed(tmp_path / "two")


def test_pack_keeps_kinds_modes_and_older_times(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.link(tmp_path / "file", tmp_path / "link")
    os.symlink("/etc/file", tmp_path / "symlink")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    os.utime(tmp_path / "file", (500.5, 500.5))
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path))) as tar:
        members = {member.name: member for member in tar}
    assert list(members) == ["file", "link", "symlink", "tmp"]
    assert members["link"].islnk() and members["link"].linkname == "file"
    assert members["symlink"].issym() and members["symlink"].linkname == "/etc/file"
    assert members["tmp"].mode == 0o1777
    assert members["file"].mtime == 500 and members["tmp"].mtime == 1000
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}


def test_busybox_has_its_commands_and_accounts(tmp_path: Path) -> None:
    require_tool("busybox")
    run("busybox", tmp_path)
    root = tmp_path / "rootfs"
    assert (root / "bin/sh").stat().st_ino == (root / "bin/busybox").stat().st_ino
    assert {path.name for path in root.iterdir()} >= {"bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"}
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o600
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:root:/root:/bin/sh\n")
    assert not (root / "linuxrc").exists()
    told = subprocess.run([root / "bin/busybox", "echo", "static"], capture_output=True, text=True, check=True)
    assert told.stdout == "static\n"


def test_busybox_is_reproducible(tmp_path: Path) -> None:
    require_tool("busybox")
    archives = []
    for place in (tmp_path / "one", tmp_path / "two"):
        epoch, _ = run("busybox", place)
        archives.append(packed(place / "rootfs", epoch))
    assert archives[0] == archives[1]


def test_hello_is_one_small_program(tmp_path: Path) -> None:
    run("hello-world", tmp_path)
    program = tmp_path / "rootfs" / "hello"
    assert [path.name for path in (tmp_path / "rootfs").iterdir()] == ["hello"]
    assert program.stat().st_size < 4096
    told = subprocess.run([program], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("\nHello from a container") and told.stderr == ""
