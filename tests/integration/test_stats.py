"""stats: what is used is told as it is, redrawn on a terminal, in lines for a pipe."""

from __future__ import annotations

import re
from pathlib import Path

import pexpect
import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


@pytest.mark.vm
def test_the_figures_are_what_the_container_does(engine: Minidock) -> None:
    """It spins on a fifth of a processor, and holds 20 MB in a tmpfs, which count as memory."""
    script = "head -c 20000000 /dev/zero > /tmp/held; echo held; while :; do :; done"
    options = ("--cpus", "0.2", "-m", "64m", "--tmpfs", "/tmp", "--network", "none")
    engine("run", "-d", "--name", "busy", *options, "busybox", "sh", "-c", script, check=True)
    form = "{{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.PIDs}}"
    for _ in range(10):
        shown = engine("stats", "--no-stream", "--format", form, "busy", check=True).stdout
        found = re.fullmatch(r"([\d.]+)% ([\d.]+)MiB / 64MiB ([\d.]+)% 1\n", shown)
        if found and 1 < float(found[1]) < 40 and 19 < float(found[2]) < 30 and 30 < float(found[3]) < 47:
            return
    pytest.fail(f"not what it does: {shown}")


def test_bytes_of_the_network(engine: Minidock) -> None:
    """A container that serves a file; and the host's own traffic is nobody's."""
    serve = "mkdir /www; head -c 3000000 /dev/zero > /www/file; exec httpd -f -p 80 -h /www"
    engine("run", "-d", "--name", "server", "busybox", "sh", "-c", serve, check=True)
    address = engine("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "server", check=True).stdout.strip()
    fetch = f"until wget -q -O /dev/null http://{address}/file; do sleep 0.1; done"
    engine("run", "--rm", "busybox", "sh", "-c", fetch, check=True)
    shown = engine("stats", "--no-stream", "--format", "{{.NetIO}}", "server", check=True).stdout
    assert re.fullmatch(r"[\d.]+kB / 3(\.\d+)?MB\n", shown), shown
    engine("run", "-d", "--name", "shared", "--network", "host", "busybox", "sleep", "1000", check=True)
    assert engine("stats", "--no-stream", "--format", "{{.NetIO}}", "shared", check=True).stdout == "0B / 0B\n"


def test_on_a_terminal_the_table_is_drawn_again_and_again(engine: Minidock) -> None:
    engine("run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000", check=True)
    shown = pexpect.spawn(engine.command[0], [*engine.command[1:], "stats"], timeout=30, encoding="utf-8")
    try:
        for _ in range(2):
            shown.expect_exact("\033[H")
            shown.expect(r"CONTAINER ID +NAME +CPU % .*PIDS\033\[K\r\n[0-9a-f]{12} +box .*\033\[K\r\n\033\[J")
        engine("rm", "-f", "box", check=True)
        shown.expect(r"\033\[HCONTAINER ID[^\n]*\n\033\[J")
        shown.sendintr()
        shown.expect(pexpect.EOF)
        shown.close()
        assert shown.exitstatus == 130
    finally:
        shown.close(force=True)
