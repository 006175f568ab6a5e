"""Processes that a daemon of a test leaves when it is ended: shims that wait for it to come back."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def kill_below(directory: str) -> None:
    """End every process whose command line or working directory names the test's own directory."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            told = (entry / "cmdline").read_bytes().decode(errors="replace") + os.readlink(entry / "cwd")
            if directory in told:
                os.kill(int(entry.name), signal.SIGKILL)
