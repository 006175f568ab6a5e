"""top: the host's ps, with whatever options, and of what it prints the container's processes.

Only ps knows all of ps's options. So it prints what it prints, and the column PID tells which lines are ours.
"""

from __future__ import annotations

import re
import subprocess

from minidock.engine import events
from minidock.engine.record import Record, Records, cgroup_of, refresh
from minidock.errors import Conflict, MinidockError, Unsupported, UsageError
from minidock.kernel import cgroups, namespaces
from minidock.paths import Layout


def top(layout: Layout, ref: str, options: list[str]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows. Raises Conflict when it isn't running."""
    record = refresh(layout, Records(layout).find(ref))
    if not record.state.running:
        raise Conflict(f"Container {record.id} is not running")
    options = options or ["-ef"]
    _refuse_disguise(options)
    found = select(_ps(options), processes(layout, record))
    events.container(layout, record, "top")
    return found


def processes(layout: Layout, record: Record) -> set[int]:
    """Those in the container's cgroup; in an ordinary user's instance, which has none, those in its pid namespace."""
    if layout.user is None:
        return set(cgroups.processes(cgroup_of(layout, record)))
    return namespaces.processes("pid", record.state.pid)


def _refuse_disguise(options: list[str]) -> None:
    """`-o user=PID` makes another column look like the one that we go by."""
    for name, title in re.findall(r"(\w+)=(PID\S*)", " ".join(options)):
        if name != "pid":
            raise UsageError(f'specifying "{name}={title}" is not allowed')


def _ps(options: list[str]) -> str:
    try:
        done = subprocess.run(["ps", *options], capture_output=True, text=True, errors="replace")
    except FileNotFoundError as error:
        raise Unsupported("this host has no ps", hint="it is in the package procps") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["failed"]
        raise MinidockError(f"ps: {lines[0]}")
    return done.stdout


def select(printed: str, pids: set[int]) -> tuple[list[str], list[list[str]]]:
    """The title line, and the lines whose PID is one of these. The last column keeps its spaces as one each."""
    first, _, rest = printed.partition("\n")
    titles = first.split()
    if "PID" not in titles:
        raise MinidockError("Couldn't find PID field in ps output", hint="let it print the column pid as well")
    place = titles.index("PID")
    rows = []
    ours = False
    for line in rest.splitlines():
        words = line.split()
        if len(words) <= place:
            continue
        # With threads (-L, m) further lines of the same process have "-" for its number.
        ours = ours if words[place] == "-" else words[place].isdigit() and int(words[place]) in pids
        if ours:
            last = len(titles) - 1
            rows.append([*words[:last], " ".join(words[last:])])
    return titles, rows
