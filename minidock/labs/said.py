"""What the kernel says of a process in /proc, and what Python said of a program before it died."""

from __future__ import annotations

import re
from pathlib import Path


def words_of(pid: int) -> list[str]:
    """/proc/PID/cmdline; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
    except OSError:
        return []


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status; empty when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def last_words(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def error_of(said: str) -> str:
    """The last error that Python told, and what we had to say about it: what follows the indented lines."""
    lines = [line for line in said.splitlines() if line.strip()]
    last = max((number for number, line in enumerate(lines) if line.startswith("  ")), default=-1)
    return ": ".join(line.strip() for line in lines[last + 1 :][:3])


def place_of(said: str) -> str:
    """The student's last line in a traceback: `lab03_mounts.py:31, in isolate`."""
    found = re.findall(r'File "(?:[^"]*/)?(lab\d\d_\w+\.py)", line (\d+)(, in \w+)?', said)
    return "{}:{}{}".format(*found[-1]) if found else "see above"
