"""--show-limits and --thread-hints: a container's limits where programs look for the size of the machine.

No namespace covers how much memory and how many processors there are: /proc/meminfo and /proc/cpuinfo tell of the whole
host, and a program that starts a worker per processor, or takes half of the memory, gets throttled or killed. LXC has a
file system in user space for this (lxcfs), which computes the files at each read. Here they are plain files, made at
the container's start and mounted over the kernel's. Sizes (MemTotal, SwapTotal, processors) `update` writes anew; what
they say of use (MemFree, the time that processors have worked) the shim does, each second (native/shim_view.c).
/proc/uptime and /proc/loadavg stay the host's.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from minidock import spec
from minidock.engine.generated import WriteText
from minidock.engine.record import Record, cgroup_of
from minidock.kernel import cgroup_files, cpuset
from minidock.model.host import HostConfig
from minidock.paths import Layout
from minidock.runtime import shim
from minidock.steps import Step

SHOW, HINTS = "minidock.show-limits", "minidock.thread-hints"
"""Annotations of a container, which the API can set as well."""
VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LOKY_MAX_CPU_COUNT"),
    *("RAYON_NUM_THREADS", "GOMAXPROCS", "PYTHON_CPU_COUNT"),
)
"""OpenMP (PyTorch), OpenBLAS and MKL (NumPy), numexpr (pandas), joblib (scikit-learn), Rust, Go, Python 3.13."""
MEMINFO, CPUINFO, ONLINE = "/proc/meminfo", "/proc/cpuinfo", "/sys/devices/system/cpu/online"
STAT = "/proc/stat"
COLUMN = 20
"""Width of a number in the file for /proc/stat: the shim writes each into its place (native/shim_view.c)."""
STAT_LINES = ("intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq")
COVER = ["bind", "ro", "nosuid", "nodev", "noexec"]
GONE = ("Buffers", "Cached", "SwapCached", "Active", "Inactive", "Dirty", "AnonPages", "Mapped", "Shmem")
"""Lines of meminfo that are about use; a container has used nothing at its start."""


def processors(host: HostConfig) -> list[int]:
    """Those that the container can use at the same time; all of the host's, in order, without a limit."""
    online = sorted(os.sched_getaffinity(0)) if host.cpuset_cpus == "" else sorted(cpuset.parse(host.cpuset_cpus))
    quota = host.nano_cpus / 1e9
    if not quota and host.cpu_quota > 0:
        quota = host.cpu_quota / (host.cpu_period or 100_000)
    return online[: max(1, math.ceil(quota))] if quota else online


def is_limited(host: HostConfig) -> bool:
    return bool(host.cpuset_cpus or host.nano_cpus or host.cpu_quota > 0)


def hints(host: HostConfig, env: Sequence[str]) -> list[str]:
    """The container's variables, with those for numbers of threads that nobody has set."""
    if host.annotations.get(HINTS) != "true" or not is_limited(host):
        return [*env]
    count, given = len(processors(host)), {line.partition("=")[0] for line in env}
    return [*env, *(f"{name}={count}" for name in VARIABLES if name not in given)]


def texts(host: HostConfig, root: Path = Path("/")) -> dict[str, str]:
    """What the files say, by path; only those that differ from the host's."""
    rows = {}
    if host.memory > 0:
        rows[MEMINFO] = meminfo((root / MEMINFO[1:]).read_text(), host)
    if is_limited(host):
        seen = processors(host)
        rows[CPUINFO] = cpuinfo((root / CPUINFO[1:]).read_text(), seen)
        rows[ONLINE] = ranges(seen) + "\n"
        rows[STAT] = statistics((root / STAT[1:]).read_text(), seen)
    return rows


def meminfo(text: str, host: HostConfig) -> str:
    """The host's table with the container's sizes; kibibytes."""
    there = {name: int(value) for name, value in re.findall(r"(?m)^([\w()]+): +(\d+) kB$", text)}
    total = min(there["MemTotal"], host.memory >> 10)
    swap = there["SwapTotal"]
    if host.memory_swap >= host.memory:
        swap = min(swap, host.memory_swap - host.memory >> 10)
    said = {"MemTotal": total, "MemFree": total, "MemAvailable": total, "SwapTotal": swap, "SwapFree": swap}
    said |= {name: 0 for name in there if name.partition("(")[0] in GONE}  # Active(anon) is of Active

    def line(found: re.Match[str]) -> str:
        name = found[1]
        return f"{name}:{said.get(name, int(found[3])):>{len(found[2]) + len(found[3])}d} kB"

    return re.sub(r"(?m)^([\w()]+):( +)(\d+) kB$", line, text)


def cpuinfo(text: str, seen: Sequence[int]) -> str:
    """The host's blocks of those processors, with the numbers that sched_getaffinity(2) has for them."""
    blocks = text.rstrip("\n").split("\n\n")
    kept = [block for block in blocks if (found := re.match(r"processor\s*: (\d+)", block)) and int(found[1]) in seen]
    return "\n\n".join(kept) + "\n\n"


def statistics(text: str, seen: Sequence[int]) -> str:
    """A line for each of those processors, nothing run yet; of the others the host's first numbers (proc_stat(5))."""
    host = {words[0]: int(words[1]) for words in map(str.split, text.splitlines()) if len(words) > 1}
    rows = [(name, [0] * 10) for name in ("cpu", *(f"cpu{number}" for number in seen))]
    rows += [(name, [host[name]]) for name in STAT_LINES if name in host]
    return "".join(name + "".join(f" {number:{COLUMN - 1}d}" for number in numbers) + "\n" for name, numbers in rows)


def watched(layout: Layout, record: Record) -> shim.View | None:
    """Where the shim reads what the container has used."""
    host = record.host_config
    if host.annotations.get(SHOW) != "true" or layout.user is not None:
        return None
    found = cgroup_files.Cgroup(cgroup_of(layout, record), cgroup_files.discover())
    memory = found.directory("memory") if host.memory > 0 else ""
    processors = (found.directory("cpuacct") or found.v2) if is_limited(host) else ""
    return shim.View(memory or "", processors or "")


def ranges(seen: Sequence[int]) -> str:
    """`0-3,8`: cpuset(7), "List format"."""
    rows: list[list[int]] = []
    for number in seen:
        if rows and rows[-1][-1] == number - 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return ",".join(str(row[0]) if len(row) == 1 else f"{row[0]}-{row[-1]}" for row in rows)


def cover(config: spec.Spec, host: HostConfig, run_dir: Path) -> tuple[spec.Spec, list[Step]]:
    """The config with the files mounted, and the host's steps that write them."""
    if host.annotations.get(SHOW) != "true":
        return config, []
    rows = {_file(run_dir, path): (path, text) for path, text in texts(host).items()}
    mounts = [spec.Mount(path, "bind", str(file), COVER) for file, (path, _) in rows.items()]
    steps: list[Step] = [WriteText(str(file), text) for file, (_, text) in rows.items()]
    return msgspec.structs.replace(config, mounts=[*config.mounts, *mounts]), steps


def refresh(host: HostConfig, run_dir: Path) -> None:
    """After an `update`: the same files, in place, since it is them that are mounted. One that wasn't covered stays."""
    if host.annotations.get(SHOW) != "true":
        return
    for path, text in texts(host).items():
        file = _file(run_dir, path)
        if not file.exists():
            continue
        with file.open("r+b") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)  # the shim leaves a file alone that somebody writes
            if path == STAT and names(opened.read().decode()) == names(text):
                continue  # its counters go on
            opened.seek(0)
            opened.write(text.encode())
            opened.truncate()


def names(text: str) -> list[str]:
    """The first word of each line."""
    return [line.partition(" ")[0] for line in text.splitlines()]


def _file(run_dir: Path, path: str) -> Path:
    return run_dir / f"view-{os.path.basename(path)}"
