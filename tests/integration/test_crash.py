"""kill -9 at random moments: the next command works, and nothing leaks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.instance import Minidock, leftovers
from tests.support.needs import IN_VM

pytestmark = pytest.mark.vm

ROUNDS = int(os.environ.get("MINIDOCK_CRASH_ROUNDS", "25"))


def test_kill_9_of_the_command_at_any_moment(minidock: Minidock, busybox_image: Path) -> None:
    minidock("load", "-i", str(busybox_image), check=True)
    begun = time.monotonic()
    minidock("run", "--rm", "-p", "80", "busybox", "true", check=True)
    whole = time.monotonic() - begun
    dice = random.Random(7)
    for round_ in range(ROUNDS):
        name = f"crash{round_}"
        quiet = subprocess.DEVNULL
        process = minidock.popen(
            "run", "--name", name, "-p", "80", "busybox", "true", stdin=quiet, stdout=quiet, stderr=quiet
        )
        time.sleep(dice.random() * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        listed = minidock("ps", "-aq", check=True).stdout.split()
        if listed:
            minidock("rm", "-f", *listed, check=True)
        assert minidock("run", "--rm", "--name", name, "busybox", "echo", "fine", check=True).stdout == "fine\n"
    _nothing_left(minidock)


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


@pytest.mark.skipif(IN_VM, reason="needs the feature quick-machine")
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
