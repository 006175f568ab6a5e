"""The guided tour: every stop is there, every file of the kernel's is on it, and each of those can be watched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from minidock.cli.tour import PACKAGE, stops
from tests.support.instance import Minidock
from tests.support.needs import require_root

KERNEL = sorted(path.stem for path in (PACKAGE / "kernel").glob("*.py") if path.stem != "__init__")


def left_by(pid: int, directory: Path) -> list[str]:
    """What a demonstration has not taken away. Other tests run meanwhile, so it is known by its pid and directory."""
    tops = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    names = (f"minidock-demo/{pid}", f"minidock-demo-{pid}")
    groups = [top / name for top in tops for name in names if (top / name).exists()]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]
    return [*map(str, groups), *mounts, *os.listdir(directory)]


def test_every_kernel_file_is_on_the_tour_once_and_every_stop_has_something_to_say() -> None:
    way = list(stops())
    assert sorted(stop.name for stop in way if stop.name.startswith("kernel/")) == [f"kernel/{name}" for name in KERNEL]
    assert [name for name, count in Counter(stop.path for stop in way).items() if count > 1] == []
    assert [stop.path for stop in way if not stop.sentence.endswith((".", ":"))] == []


@pytest.mark.parametrize("name", KERNEL)
def test_a_kernel_file_demonstrates_itself_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    require_root()
    ran = subprocess.Popen(
        [sys.executable, "-m", f"minidock.kernel.{name}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}, "TMPDIR": str(tmp_path)},
    )
    said, _ = ran.communicate(timeout=60)
    assert (ran.returncode, "Traceback" in said) == (0, False), said
    assert said.strip() and said.count("before:") <= 1, f"said twice or not at all: a fork, and no flush: {said}"
    assert left_by(ran.pid, tmp_path) == []


def test_what_a_stop_says_to_type_runs_as_it_is(minidock: Minidock, tmp_path: Path) -> None:
    told = minidock("tour", "uts", check=True).stdout
    [line] = [line for line in told.splitlines() if line.startswith("see it run:")]
    typed = line.removeprefix("see it run:").split()
    assert typed[0] == "sudo"
    ran = subprocess.run(typed[1:], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, "in the new namespace" in ran.stdout) == (0, True), ran.stderr
