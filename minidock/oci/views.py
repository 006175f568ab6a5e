"""What containers are and who runs in them: state, list, ps; and pause and resume, which change only that."""

from __future__ import annotations

import signal as signals
import sys

import msgspec

from minidock.errors import Conflict, MinidockError, UsageError
from minidock.oci.container import Runtime
from minidock.oci.words import Words


def signal_number(name: str) -> int:
    """`KILL`, `SIGKILL` or `9`. Raises UsageError in runc's words."""
    if name.isascii() and name.isdigit() and int(name) <= signals.SIGRTMAX:
        return int(name)
    word = name.upper()
    found = getattr(signals, word if word.startswith("SIG") else f"SIG{word}", None)
    if not isinstance(found, signals.Signals):
        raise UsageError(f'unknown signal "{name}"')
    return found


def state(runtime: Runtime, words: Words) -> int:
    told = runtime.describe(runtime.read(words.arguments[0]))
    print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    return 0


def listing(runtime: Runtime, words: Words) -> int:
    if words.globals["root"] != words.globals["default_root"] and not runtime.root.is_dir():
        why = "not a directory" if runtime.root.exists() else "no such file or directory"
        raise UsageError(f"open {runtime.root}: {why}")
    ids = runtime.ids()
    if words.yes("quiet"):
        sys.stdout.write("".join(f"{name}\n" for name in ids))
        return 0
    rows = []
    for name in ids:
        try:
            rows.append({**runtime.describe(runtime.read(name)), "owner": _owner(runtime, name)})
        except (MinidockError, OSError) as error:  # deleted since we looked, or damaged: the others are still shown
            print(f"load container {name}: {error}", file=sys.stderr)
    if words.text("format") == "json":
        print(msgspec.json.encode(rows or None).decode())
    elif words.text("format") == "table":
        heads = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
        cells = [[str(row[key]) for key in ("id", "pid", "status", "bundle", "created", "owner")] for row in rows]
        widths = [max(len(line[place]) for line in [heads, *cells]) for place in range(len(heads))]
        for line in [heads, *cells]:
            shown = [f"{cell:{max(width, 9)}}   " for cell, width in zip(line[:-1], widths, strict=False)]
            print("".join(shown) + line[-1])
    else:
        raise UsageError("invalid format option")
    return 0


def _owner(runtime: Runtime, name: str) -> str:
    import pwd

    uid = (runtime.root / name).stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def ps(runtime: Runtime, words: Words) -> int:
    """Those lines of ps(1) whose PID is one of the container's."""
    import subprocess

    from minidock.kernel import cgroups

    state = runtime.read(words.arguments[0])
    pids = cgroups.processes(state.cgroup)
    if words.text("format") == "json":
        print(msgspec.json.encode(pids or None).decode())
        return 0
    if words.text("format") != "table":
        raise UsageError("invalid format option")
    asked = ["ps", *(words.arguments[1:] or ["-ef"])]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MinidockError(f"exit status {done.returncode}: {done.stdout}{done.stderr}")
    for line in _lines_of(pids, done.stdout):
        print(line)
    return 0


def _lines_of(pids: list[int], shown: str) -> list[str]:
    """The heading, and the lines whose PID is among these. Raises MinidockError where it can't be found."""
    head, *lines = shown.splitlines() or [""]
    if "PID" not in head.split():
        raise MinidockError("couldn't find PID field in ps output")
    place = head.split().index("PID")
    kept = [head]
    for line in lines:
        word = (line.split()[place:] or [""])[0]
        if not word.isdigit():  # a column before it has blanks in it, such as lstart
            raise MinidockError(f"unable to parse pid: {word!r} in {line!r}")
        if int(word) in pids:
            kept.append(line)
    return kept


def pause(runtime: Runtime, words: Words) -> int:
    from minidock.kernel import freezer

    state = runtime.read(words.arguments[0])
    status = runtime.status(state)
    if status not in ("running", "created"):
        raise Conflict(f"container not running: {status}")
    freezer.freeze(state.cgroup)
    return 0


def resume(runtime: Runtime, words: Words) -> int:
    from minidock.kernel import freezer

    state = runtime.read(words.arguments[0])
    if runtime.status(state) != "paused":
        raise Conflict("container not paused")
    freezer.thaw(state.cgroup)
    return 0
