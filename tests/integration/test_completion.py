"""Completion in the shells: somebody types, presses the tab key and enter, and the command that ran is right."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.instance import COMMAND, SLOWNESS, Minidock
from tests.support.needs import require_root

LINES = [
    # what is typed before the tab key, and what runs
    ("minidock insp", "inspect"),
    ("minidock volume insp", "volume inspect"),
    ("minidock ps --no-t", "ps --no-trunc"),
    ("minidock rm completed-c", "rm completed-container"),
    ("minidock volume rm completed-v", "volume rm completed-volume"),
    ("minidock network rm completed-n", "network rm completed-network"),
    ("minidock run --network completed-n", "run --network completed-network"),
    ("minidock run --network=completed-n", "run --network=completed-network"),
    ("minidock history completed-image:on", "history completed-image:one"),
    ("minidock cp ./some-f", "cp ./some-file"),
    ("true; minidock volume insp", "volume inspect"),
]
INTERACTIVE = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='READY''> '; source <(minidock completion bash)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='READY''> '; autoload -U compinit; compinit -u -D; source <(minidock completion zsh)",
    ),
}


@pytest.fixture
def place(minidock: Minidock, tmp_path: Path) -> Iterator[Path]:
    """A directory with a `minidock` that notes what it is called with, except when it is asked for completion."""
    require_root()
    minidock("create", "--name", "completed-container", "busybox", "true", check=True)
    minidock("tag", "busybox", "completed-image:one", check=True)
    minidock("volume", "create", "completed-volume", check=True)
    minidock("network", "create", "completed-network", check=True)
    (tmp_path / "some-file").touch()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "minidock"
    command.write_text(
        "#!/bin/sh\n"
        f'case $1 in __complete | completion) exec {shlex.join(COMMAND)} "$@" ;; esac\n'
        f'echo "$*" >{tmp_path}/ran.new && mv {tmp_path}/ran.new {tmp_path}/ran\n'
    )
    command.chmod(0o755)
    yield tmp_path
    minidock("network", "rm", "completed-network", check=True)


def surroundings(minidock: Minidock, place: Path) -> dict[str, str]:
    path = f"{place}/bin:{os.environ['PATH']}"
    return {
        "PATH": path,
        "HOME": str(place),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "MINIDOCK_ROOT": str(minidock.layout.root),
    }


class Typist:
    """A shell at a terminal."""

    def __init__(self, words: list[str], env: dict[str, str], directory: Path) -> None:
        self.terminal, other = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "-c", *words], stdin=other, stdout=other, stderr=other, env=env, cwd=directory
        )
        os.close(other)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Read what the shell shows until something is so."""
        deadline = time.monotonic() + 30 * SLOWNESS
        while not true():
            assert time.monotonic() < deadline, f"no {what}: {self.seen!r}"
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.seen += os.read(self.terminal, 65536).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_the_tab_key(shell: str, minidock: Minidock, place: Path) -> None:
    words, setup = INTERACTIVE[shell]
    ran = place / "ran"
    typist = Typist(words, surroundings(minidock, place), place)
    wrong = []
    try:
        typist.type(setup + "\n")
        for typed, expected in LINES:
            typist.until(lambda: "READY> " in typist.seen, "prompt")
            typist.seen = ""
            typist.type(typed + "\t")
            missing = expected.removeprefix(typed.removeprefix("true; ").removeprefix("minidock "))
            typist.until(lambda: missing in typist.seen.rpartition(typed)[2], f"completion of {typed!r}")  # noqa: B023
            typist.seen = ""
            typist.type("\n")
            typist.until(ran.exists, f"end of {typed!r}")
            if ran.read_text().strip() != expected:
                wrong.append((typed, ran.read_text()))
            ran.unlink()
    finally:
        typist.close()
    assert not wrong


def test_fish(minidock: Minidock, place: Path) -> None:
    script = place / "minidock.fish"
    script.write_text(minidock("completion", "fish", check=True).stdout)
    asked = "; ".join(f"echo :(complete -C {shlex.quote(typed)})" for typed, _ in LINES if ";" not in typed)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; {asked}"],
        capture_output=True, text=True, env=surroundings(minidock, place), cwd=place, timeout=60 * SLOWNESS,
    )  # fmt: skip
    answers = [line.removeprefix(":").partition("\t")[0] for line in done.stdout.splitlines()]
    assert answers == [ran.split(" ")[-1] for typed, ran in LINES if ";" not in typed], done.stderr
