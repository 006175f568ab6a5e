"""Run a lab's program by hand: in a sandbox of its own, so that a mistake harms nobody, or on the host itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from minidock.labs import sandbox
from minidock.labs.bench import Host


def run(program: Path, arguments: list[str], *, on_host: bool) -> int:
    """With our own terminal and directory; its exit code."""
    here = os.getcwd()
    # Ctrl-C is for the program: it ends, and then we do.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def inside(base: Path, name: str) -> bytes:
        host = Host(program, base, name)
        return str(_wait(host.start(arguments, here))).encode()

    try:
        if on_host:
            packages = os.pathsep.join(filter(None, sys.path))
            words = [sys.executable, "-B", "-s", str(program), *arguments]
            return _wait(os.spawnve(os.P_NOWAIT, sys.executable, words, {**os.environ, "PYTHONPATH": packages}))
        return int(sandbox.inside(inside))
    finally:
        signal.signal(signal.SIGINT, before)


def _wait(pid: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code
