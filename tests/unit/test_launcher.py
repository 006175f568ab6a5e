"""scripts/minidock: when it calls the set-up, what it starts, and that it costs next to nothing.

It runs in a made-up checkout, where the set-up and the interpreter are scripts that say what they were asked.
"""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LONG_AGO = 1_000_000_000
NOBODY = 65534


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that was set up after everything in it was written."""
    for directory in ("scripts", "native", "rootfs/hello-world", ".venv/bin"):
        (tmp_path / directory).mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts" / "minidock", tmp_path / "scripts" / "minidock")
    for name in ("pyproject.toml", "setup.py", "native/clone.c", "rootfs/hello-world/hello.c"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    (tmp_path / ".venv/.set-up-run").touch()
    for name, script in (("scripts/setup", 'echo "set up $*"'), (".venv/bin/python", 'printf "<%s>" "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def launched(command: Path | str, *arguments: str, cwd: Path | None = None) -> str:
    return subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_arguments_arrive_as_they_were(checkout: Path) -> None:
    said = launched(checkout / "scripts/minidock", "run", "two words", "", "*")
    assert said == f"<-I><-S><{checkout}/scripts/start.py><run><two words><><*>"


def test_it_is_found_through_a_link_from_anywhere(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "minidock").symlink_to(checkout / "scripts" / "minidock")
    assert f"<{checkout}/scripts/start.py>" in launched("./minidock", "ps", cwd=elsewhere)


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "native/clone.c", "native/new.h"])
def test_a_newer_file_sets_up_again(checkout: Path, name: str) -> None:
    future = time.time() + 10
    (checkout / name).touch()
    os.utime(checkout / name, (future, future))
    assert launched(checkout / "scripts/minidock", "ps").startswith("set up run\n")


def test_a_fresh_clone_is_set_up(checkout: Path) -> None:
    (checkout / ".venv/.set-up-run").unlink()
    assert launched(checkout / "scripts/minidock", "ps").startswith("set up run\n")


def test_a_failed_set_up_ends_with_125(checkout: Path) -> None:
    (checkout / ".venv/.set-up-run").unlink()
    (checkout / "scripts/setup").write_text("#!/bin/sh\nexit 1\n")
    ended = subprocess.run([checkout / "scripts/minidock", "ps"], capture_output=True)
    assert (ended.returncode, ended.stdout) == (125, b"")


@pytest.mark.parametrize("stamp", ["missing", "old"])
def test_who_may_only_read_the_checkout_is_told_what_root_must_do(stamp: str) -> None:
    """No apt, no half-made directory: one line. It is in a directory of its own, as pytest's are closed to others."""
    if os.geteuid() != 0:
        pytest.skip("needs root")  # to become somebody else; CI is root, and would fail here
    with tempfile.TemporaryDirectory() as made:
        clone = Path(made)
        clone.chmod(0o755)
        for directory in ("scripts", ".venv", "build"):
            (clone / directory).mkdir()
        (clone / "pyproject.toml").touch()
        for name in ("minidock", "setup"):
            shutil.copy(REPOSITORY / "scripts" / name, clone / "scripts" / name)
        if stamp == "old":
            (clone / ".venv/.set-up-run").touch()
            os.utime(clone / ".venv/.set-up-run", (LONG_AGO, LONG_AGO))
        before = sorted(clone.rglob("*"))
        ended = subprocess.run(
            [clone / "scripts/minidock", "ps"],
            capture_output=True,
            text=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
        told = f"minidock: you may not write to {clone}: set it up with sudo {clone}/scripts/setup run\n"
        assert (ended.returncode, ended.stdout, ended.stderr) == (125, "", told)
        assert sorted(clone.rglob("*")) == before


def test_it_adds_less_than_fifty_milliseconds(checkout: Path) -> None:
    times = []
    for _ in range(15):
        begun = time.perf_counter()
        launched(checkout / "scripts/minidock", "ps")
        times.append(time.perf_counter() - begun)
    assert statistics.quantiles(times, n=4)[0] < 0.05  # the quickest quarter: the others may wait for a processor
