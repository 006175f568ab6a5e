"""Counters that `events` prints in runc's shape and nobody else here asks for: memory by kind, processors, pressure."""

from __future__ import annotations

from minidock.kernel.cgroup_files import Cgroup, read_number, read_text

UNLIMITED = (1 << 64) - 1
"""Go's math.MaxUint64, which runc has for "no limit"."""
MEMORY_V1 = {"usage": "memory", "swap": "memory.memsw", "kernel": "memory.kmem", "kernelTCP": "memory.kmem.tcp"}
FILES_V1 = {"limit": "limit_in_bytes", "usage": "usage_in_bytes", "max": "max_usage_in_bytes", "failcnt": "failcnt"}


def memory_entries(cgroup: Cgroup) -> dict[str, dict[str, int]]:
    """`usage`, `swap`, and on version 1 `kernel` and `kernelTCP`: limit, usage, max in bytes, and failcnt, how often
    the limit was met. `swap` is memory and swap together, on both versions. Empty without the controller."""
    directory = cgroup.directory("memory")
    if directory is None:
        return {}
    if cgroup.version("memory") == 1:
        return {
            kind: {name: _number(f"{directory}/{start}.{file}") for name, file in FILES_V1.items()}
            for kind, start in MEMORY_V1.items()
        }
    memory, swap = (_of_version_2(f"{directory}/memory{more}") for more in ("", ".swap"))
    together = {name: swap[name] + memory[name] for name in ("usage", "max")}
    limit = UNLIMITED if swap["limit"] == UNLIMITED else min(swap["limit"] + memory["limit"], UNLIMITED)
    return {"usage": memory, "swap": {**together, "limit": limit, "failcnt": 0}}


def _of_version_2(start: str) -> dict[str, int]:
    """Version 2 counts no refusals by kind; `peak` came with Linux 5.19, for swap with 6.5."""
    names = {"limit": "max", "usage": "current", "max": "peak"}
    return {**{name: _number(f"{start}.{file}") for name, file in names.items()}, "failcnt": 0}


def _number(file: str) -> int:
    """-1, which `read_number` has for no limit, is the largest number."""
    found = read_number(file)
    return 0 if found is None else UNLIMITED if found < 0 else found


def processors(cgroup: Cgroup) -> dict[str, list[int]]:
    """Nanoseconds by processor, which version 1 alone counts."""
    directory = cgroup.directory("cpuacct") if cgroup.version("cpuacct") == 1 else None
    table = read_text(f"{directory}/cpuacct.usage_all") if directory else None
    if directory is None or table is None:
        return {}
    rows = [[int(word) for word in line.split()] for line in table.splitlines()[1:]]  # "cpu user system"
    whole = [int(word) for word in (read_text(f"{directory}/cpuacct.usage_percpu") or "").split()]
    return {"percpu": whole, "percpu_kernel": [row[2] for row in rows], "percpu_user": [row[1] for row in rows]}


def pressure(cgroup: Cgroup, controller: str) -> dict[str, dict[str, dict[str, float]]]:
    """`psi`: for how much of the time somebody, or everybody, waited for this. Version 2 alone has it, where the kernel
    counts it (CONFIG_PSI); else nothing."""
    directory = cgroup.directory(controller) if cgroup.version(controller) == 2 else None
    text = (read_text(f"{directory}/{controller}.pressure") or "") if directory else ""
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():  # "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
        kind, *pairs = line.split()
        values = dict(pair.split("=") for pair in pairs)
        found[kind] = {name: int(value) if name == "total" else float(value) for name, value in values.items()}
    return {"psi": found} if found else {}
