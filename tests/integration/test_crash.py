"""kill -9 at random moments: the next command works, and nothing leaks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.crash import Scene
from tests.support.instance import Minidock, leftovers
from tests.support.registry import Registry

KILLS, SEED = int(os.environ.get("MINIDOCK_CRASH_KILLS", "200")), int(os.environ.get("MINIDOCK_CRASH_SEED", "7"))
PARTS = 4


@pytest.fixture
def scene(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Iterator[Scene]:
    registry = Registry(tmp_path / "registry")
    registry.start()
    try:
        yield Scene(minidock, busybox_image, registry, tmp_path)
    finally:
        registry.stop()


@pytest.mark.parametrize("part", range(PARTS))
def test_kill_9_at_any_moment(scene: Scene, part: int, record_property: Callable[[str, object], None]) -> None:
    """Command, shim and clean-up, in the middle of what they do: the next command works, and nothing is left."""
    seed = SEED + part
    dice = random.Random(seed)
    scene.calm()
    before, kills, round_ = scene.count(), Counter[str](), 0
    while kills.total() < KILLS // PARTS:
        round_ += 1
        verb, victim = dice.choice(list(scene.verbs)), dice.choice(("command", "command", "keeper"))
        at = f"MINIDOCK_CRASH_SEED={SEED}, part {part}, round {round_}, {victim} of {verb}"
        kills[f"{victim} of {verb}"] += scene.kill(verb, victim, dice.random())
        assert "base" in scene.states() or verb not in ("exec", "stop"), at
        if round_ % 40 == 0:
            scene.calm()
            left = scene.differs(before)
            assert not left, f"{at}: {left}"
    scene.calm()
    left = scene.differs(before)
    assert not left, f"MINIDOCK_CRASH_SEED={SEED}, part {part}, round {round_}: {left}"
    record_property("kills", dict(sorted(kills.items())))
    print(f"seed {seed}:", ", ".join(f"{count} {name}" for name, count in sorted(kills.items())))


@pytest.mark.vm
def test_kill_9_of_shim_and_container(minidock: Minidock, busybox_image: Path) -> None:
    minidock("load", "-i", str(busybox_image), check=True)
    minidock("run", "-d", "--name", "lost", "busybox", "sleep", "60", check=True)
    pid = int(minidock("inspect", "-f", "{{.State.Pid}}", "lost", check=True).stdout)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    # The shim is gone, the container lives: that is what is told.
    assert minidock("inspect", "-f", "{{.State.Running}}", "lost", check=True).stdout == "true\n"
    os.kill(pid, signal.SIGKILL)
    state = minidock("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", "lost", check=True)
    assert state.stdout.startswith("exited 137 its shim was killed")
    minidock("rm", "lost", check=True)
    _nothing_left(minidock)


def test_24_at_once(minidock: Minidock, busybox_image: Path) -> None:
    minidock("load", "-i", str(busybox_image), check=True)
    command = ["run", "--rm", "-p", "80", "busybox", "sh", "-c", "ip -o -4 addr show eth0; sleep 1"]
    processes = [minidock.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(24)]
    results = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, code in results] == [0] * 24, [err for (_, err), code in results if code]
    addresses = {out.split()[3] for (out, _), _ in results}
    assert len(addresses) > 1
    assert minidock("ps", "-aq", check=True).stdout == ""
    _nothing_left(minidock)


def test_24_at_once_and_each_removed_by_somebody_else(minidock: Minidock, busybox_image: Path) -> None:
    """Without --rm: 24 run, 24 remove what runs or has just ended, at once, and each thing goes exactly once."""
    minidock("load", "-i", str(busybox_image), check=True)
    names = [f"together-{number}" for number in range(24)]
    running = [minidock.popen("run", "-d", "--name", name, "busybox", "sleep", "60", **QUIET) for name in names]
    assert [process.wait(120) for process in running] == [0] * 24
    assert sorted(minidock("ps", "--format", "{{.Names}}").stdout.split()) == sorted(names)
    removing = [minidock.popen("rm", "-f", name, **QUIET) for name in names]
    assert [process.wait(120) for process in removing] == [0] * 24
    assert minidock("ps", "-aq", check=True).stdout == ""
    _nothing_left(minidock)


def test_a_port_of_the_dead_is_free(minidock: Minidock, busybox_image: Path) -> None:
    """Killed with its shim, a container holds what it held until somebody looks at it: whoever wants its port does."""
    minidock("load", "-i", str(busybox_image), check=True)
    minidock("run", "-d", "--name", "dead", "-p", "127.0.0.1::80", "busybox", "sleep", "60", check=True)
    port = minidock("port", "dead", "80", check=True).stdout.strip()
    minidock("create", "--name", "next", "-p", f"{port}:80", "busybox", "true", check=True)
    taken = minidock("start", "next")
    assert (taken.returncode, "held by container dead" in taken.stderr) == (1, True)
    pid = int(minidock("inspect", "-f", "{{.State.Pid}}", "dead").stdout)
    os.kill(_parent_of(pid), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    minidock("start", "-a", "next", check=True)
    assert minidock("inspect", "-f", "{{.State.Status}}", "dead").stdout == "exited\n"
    minidock("rm", "dead", "next", check=True)
    _nothing_left(minidock)


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _nothing_left(minidock: Minidock) -> None:
    layout = minidock.layout
    deadline = time.monotonic() + 5
    shared = (f"link {layout.bridge}", f"nft table inet {layout.nft_table}")
    left = ["?"]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        found = leftovers(layout)
        left = [line for line in found if line not in shared and (not line.startswith("cgroup ") or " with " in line)]
        left += [str(path) for path in (layout.run / "containers").iterdir()]
    assert not left
    assert not list(layout.containers.iterdir())
    assert not list((layout.root / "names").iterdir())
