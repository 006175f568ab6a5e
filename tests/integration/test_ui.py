"""minidock ui in a real browser: what it shows is what the kernel has, and nobody else may look."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.support.browser import PATIENCE, in_browser
from tests.support.instance import Minidock
from tests.support.needs import require_root


@pytest.fixture
def page(minidock: Minidock) -> Iterator[str]:
    """Its address."""
    require_root()
    served = minidock.popen("ui", stdout=subprocess.PIPE)
    assert served.stdout
    try:
        yield served.stdout.readline().decode().strip()
    finally:
        served.terminate()
        served.wait(10)


def status(address: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_who_has_the_address_may_look_and_only_at_what_it_shows(minidock: Minidock, page: str) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", page)
    assert status(page) == status(f"{page}state") == 200
    assert status(re.sub(r"/[\w-]{32}/", f"/{'x' * 32}/", page)) == 404
    assert status(page, Host="evil.example") == 404
    for asked in ("cat /etc/shadow", "cat /proc/1/environ", "reboot", ""):
        assert status(f"{page}file?command={urllib.request.quote(asked)}") == 403  # type: ignore[attr-defined]


def test_a_browser_shows_containers_as_the_kernel_has_them(minidock: Minidock, page: str, tmp_path: Path) -> None:
    minidock(
        "run", "-d", "--name", "seen", "--memory", "64m", "-p", "127.0.0.1::80", "busybox", "sleep", "999", check=True
    )
    minidock("run", "--name", "over", "busybox", "sh", "-c", "exit 3")
    pid = minidock("inspect", "-f", "{{.State.Pid}}", "seen", check=True).stdout.strip()
    text = "document.getElementById('c-seen')?.innerText"
    card, over, networks, events, _, looked = asyncio.run(
        in_browser(
            page,
            tmp_path / "profile",
            f"{text}?.includes('sleep 999') && {text}",
            "document.getElementById('c-over')?.innerText",
            "document.getElementById('networks').innerText",
            "document.getElementById('events').innerText",
            "[...document.querySelectorAll('#c-seen button')].find(b => b.innerText == 'uts')?.click() ?? 'clicked'",
            "document.getElementById('look').innerText.includes('uts:[') && document.getElementById('look').innerText",
        )
    )
    assert "of 64.0 MiB" in card and "→ 80/tcp" in card and "/upper" in card and pid in card
    assert "exited (3)" in over
    assert minidock.layout.bridge in networks and "veth" in networks and "seen" in networks
    assert "start" in events and "die" in events and "top" not in events  # who looks leaves no trace
    assert f"readlink /proc/{pid}/ns/uts" in looked and Path(f"/proc/{pid}/ns/uts").readlink().name in looked


def test_everything_that_can_be_clicked_has_a_command_that_says_something(minidock: Minidock, page: str) -> None:
    """Those of the networks that were made, too: bridge, cable, and whose the other end is."""
    minidock("network", "create", "back", check=True)
    limits = ("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50")
    minidock("run", "-d", "--name", "all", "--network", "back", *limits, "busybox", "sleep", "999", check=True)
    state = json.load(urllib.request.urlopen(f"{page}state"))
    [card], [back] = state["containers"], [net for net in state["networks"] if net["name"] == "back"]
    assert [meter["text"].split(" of ")[-1] for meter in card["meters"]] == ["64.0 MiB", "0.5", "50"]
    assert [process["cells"][-1] for process in card["processes"]] == ["sleep 999"]
    assert [re.search(r"↔ eth0 of all$", one["value"]) is not None for one in back["things"]].count(True) == 1
    things = [card["processes"][0]["thing"], *card["layers"], *back["things"]]
    for command in {thing["command"] for thing in things + [one for part in card["kernel"] for one in part["things"]]}:
        with urllib.request.urlopen(f"{page}file?command={urllib.request.quote(command)}") as answer:  # type: ignore[attr-defined]
            said = answer.read().decode()
        assert answer.status == 200 and (said or command.startswith("ls ")), command
        assert "No such file" not in said and "isn't installed" not in said, (command, said)
    minidock("rm", "-f", "all", check=True)
    minidock("network", "rm", "back", check=True)


def test_the_terminal_shows_the_same(minidock: Minidock) -> None:
    require_root()
    minidock("run", "-d", "--name", "seen", "--memory", "64m", "busybox", "sleep", "999", check=True)
    assert minidock("ui", "--terminal").stderr.startswith("Error: ui --terminal needs a terminal (")
    wanted = ("seen  running", "of 64.0 MiB", "sleep 999", "$ sudo readlink /proc/", "next pane")
    screen = pyte.Screen(120, 40)
    stream = pyte.Stream(screen)
    # The size is told, too: on a loaded machine textual has once drawn for 80 columns and 24 lines.
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    words = [*minidock.command[1:], "ui", "--terminal"]
    shell = pexpect.spawn(minidock.command[0], words, encoding="utf-8", dimensions=(40, 120), env=environment)
    deadline = time.monotonic() + PATIENCE
    while not all(any(word in line for line in screen.display) for word in wanted):
        assert time.monotonic() < deadline, "\n".join(screen.display)
        with contextlib.suppress(pexpect.TIMEOUT):
            stream.feed(shell.read_nonblocking(65536, timeout=1))
    shell.send("q")
    shell.expect(pexpect.EOF, timeout=PATIENCE)
    shell.close()
    assert shell.exitstatus == 0


def test_what_is_gone_goes_from_the_page(minidock: Minidock, page: str) -> None:
    minidock("run", "-d", "--name", "brief", "busybox", "sleep", "999", check=True)
    names = lambda: [one["name"] for one in json.load(urllib.request.urlopen(f"{page}state"))["containers"]]  # noqa: E731
    assert names() == ["brief"]
    minidock("rm", "-f", "brief", check=True)
    assert names() == []


def test_a_port_that_is_taken_is_told(minidock: Minidock, page: str) -> None:
    taken = re.findall(r":(\d+)/", page)[0]
    ran = minidock("ui", "--port", taken, timeout=20)
    assert ran.returncode == 1 and "address already in use" in ran.stderr and "Traceback" not in ran.stderr
    assert minidock("ui", "--port", "65536").stderr == "Error: invalid port: 65536\n"
