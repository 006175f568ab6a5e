"""inspect --kernel: the kernel has no containers. This is what it has instead, fact by fact.

Each section is one file of minidock.kernel, which made that part of the container and can read it back. Beside each
fact stands the command that shows the same without minidock: a student can check every line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from minidock.engine.record import Record, Records, cgroup_of, refresh
from minidock.errors import MinidockError, NotRunning
from minidock.kernel import address as addresses
from minidock.kernel import (
    capabilities,
    cgroup_stats,
    credentials,
    masks,
    mounts,
    namespaces,
    nft,
    no_new_privs,
    rlimits,
    route,
    seccomp,
    user,
)
from minidock.kernel import link as links
from minidock.kernel.cgroup_files import Cgroup, discover
from minidock.model.facts import KernelFact, KernelSection
from minidock.paths import Layout

UNLIMITED = "no limit"


def sections(layout: Layout, ref: str) -> list[KernelSection]:
    """Raises NotRunning: the kernel keeps nothing of a container without processes."""
    record = refresh(layout, Records(layout).find(ref))
    if not record.state.running:
        raise NotRunning(record.id)
    try:
        found = list(_sections(layout, record))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotRunning(record.id) from error  # it ended while we looked
    return [section for section in found if section.facts]


def _sections(layout: Layout, record: Record) -> Iterator[KernelSection]:
    pid = record.state.pid
    rows = (
        ("Process", "proc_pid_status(5)", "credentials", _process(record)),
        ("Namespaces", "namespaces(7)", "namespaces", _namespaces(pid)),
        ("Cgroup", "cgroups(7)", "cgroups", _cgroup(layout, record)),
        ("Mounts", "mount_namespaces(7)", "mounts", _mounts(pid)),
        ("Network", "network_namespaces(7)", "netns", _network(pid)),
        ("Rules", "nft(8)", "nft", _rules(layout, pid)),
        ("Rights", "capabilities(7)", "capabilities", _rights(pid)),
        ("Limits of the process", "getrlimit(2)", "rlimits", _limits(pid)),
    )
    for title, man, module, facts in rows:
        yield KernelSection(title, man, f"minidock/kernel/{module}.py", list(facts))


def _process(record: Record) -> Iterator[KernelFact]:
    pid = record.state.pid
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    yield KernelFact("first process", f"{pid}: {words}", f"ps -fp {pid}")
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        inside = next(line.split()[-1] for line in status if line.startswith("NSpid:"))
    yield KernelFact("its number inside", inside, f"grep NSpid /proc/{pid}/status")
    ids = credentials.read(pid)
    grep = f"grep -E '^(Uid|Gid|Groups)' /proc/{pid}/status"
    yield KernelFact("user, group", f"{ids['uid'][1]}, {ids['gid'][1]}", grep)
    yield KernelFact("more groups", " ".join(map(str, ids["groups"])) or "none", grep)
    score = _read(f"/proc/{pid}/oom_score_adj")
    yield KernelFact("wish to be spared when memory is short", score, f"cat /proc/{pid}/oom_score_adj")


def _namespaces(pid: int) -> Iterator[KernelFact]:
    host = namespaces.read(os.getpid())
    for kind, inode in namespaces.read(pid).items():
        whose = "the host's" if host.get(kind) == inode else "its own"
        yield KernelFact(kind, f"{inode}, {whose}", f"readlink /proc/{pid}/ns/{namespaces.KINDS[kind].file}")
    for name, lines in user.read(pid).items():
        yield KernelFact(name.replace("_", " "), "; ".join(lines), f"cat /proc/{pid}/{name}")


def _cgroup(layout: Layout, record: Record) -> Iterator[KernelFact]:
    path = cgroup_of(layout, record)
    cgroup = Cgroup(path=path, hierarchies=discover())
    facts = cgroup_stats.facts(path, cgroup.hierarchies)
    yield KernelFact("path", path, f"cat /proc/{record.state.pid}/cgroup")
    where = cgroup.directories[0]
    processes = " ".join(map(str, facts["processes"]))
    yield KernelFact("processes", processes, f"cat {cgroup.directory('pids') or where}/cgroup.procs")
    yield KernelFact("state", facts["state"], f"cat {cgroup.v2 or cgroup.directory('freezer')}/{_freezer(cgroup)}")
    for controller, name, v1, v2 in FILES:
        # What version 1 counts in a controller of its own, version 2 counts with the processor.
        home = "cpuacct" if (controller, name) == ("cpu", "usage") and cgroup.version("cpuacct") else controller
        directory, value = cgroup.directory(home), facts[controller].get(name)
        if directory is not None and value is not None:
            file = v1 if cgroup.version(home) == 1 else v2
            if not os.path.exists(f"{directory}/{file}"):
                continue  # version 2: nothing of it is limited here, and the parent's counts
            shown = f"{value} us" if name == "usage" else _shown(value)
            yield KernelFact(f"{controller}: {name}", shown, f"cat {directory}/{file}")
    quota = facts["cpu"].get("limit")
    if (directory := cgroup.directory("cpu")) is not None:
        file = "cpu.cfs_quota_us" if cgroup.version("cpu") == 1 else "cpu.max"
        shown = UNLIMITED if quota is None else f"{quota:g} processors"
        yield KernelFact("cpu: limit", shown, f"cat {directory}/{file}")
    if programs := facts["devices"].get("programs"):
        shown = " ".join(map(str, programs))
        yield KernelFact("device filter", f"program {shown}", f"bpftool cgroup show {cgroup.v2}")


FILES = [
    ("memory", "current", "memory.usage_in_bytes", "memory.current"),
    ("memory", "limit", "memory.limit_in_bytes", "memory.max"),
    ("memory", "oom_kills", "memory.oom_control", "memory.events"),
    ("cpu", "usage", "cpuacct.usage", "cpu.stat"),
    ("pids", "current", "pids.current", "pids.current"),
    ("pids", "limit", "pids.max", "pids.max"),
    ("cpuset", "cpus", "cpuset.effective_cpus", "cpuset.cpus.effective"),
]
"""Controller, what its read() calls it, and the file on each version."""


def _freezer(cgroup: Cgroup) -> str:
    return "cgroup.freeze" if cgroup.v2 else "freezer.state"


def _shown(value: object) -> str:
    return UNLIMITED if value == -1 else str(value)


def _mounts(pid: int) -> Iterator[KernelFact]:
    table = f"findmnt --task {pid}"
    for row in mounts.read(pid):
        source = row["root"] if row["root"] != "/" else row["source"]
        value = f"{row['type']} of {source} ({row['options']})"
        yield KernelFact(row["destination"], value, table)
    for kind, paths in masks.read(pid).items():
        if paths:
            yield KernelFact(f"{kind} paths", " ".join(paths), table)


def _network(pid: int) -> Iterator[KernelFact]:
    """From inside, and the other end of each cable on the host."""
    enter = f"nsenter -t {pid} -n ip"
    inside = links.read(pid)
    names = {found.index: found.name for found in inside}
    same = namespaces.read(pid)["network"] == namespaces.read(os.getpid())["network"]
    if same:
        yield KernelFact("interfaces", "the host's own", "ip link")
        return
    outside = {found.index: found for found in links.read(os.getpid())}
    for found in inside:
        state = f"{'up' if found.up else 'down'}, mtu {found.mtu}, {found.mac}"
        yield KernelFact(found.name, state, f"{enter} link show {found.name}")
        other = outside.get(found.peer) if found.kind == "veth" else None
        if other:
            bridge = outside[other.master].name if other.master in outside else "no bridge"
            ends = f"{found.name} of the container ↔ {other.name} of the host, on {bridge}"
            yield KernelFact("cable", ends, f"ip -d link show {other.name}")
    for at in addresses.read(pid):
        name = names.get(at.index, "?")
        yield KernelFact("address", f"{at.address}/{at.prefix} on {name}", f"{enter} address show {name}")
    for way in route.read(pid):
        via = f" by way of {way.gateway}" if way.gateway else ""
        where = f"{way.destination}/{way.prefix}" if way.prefix else "everywhere else"
        yield KernelFact("route", f"{where}{via} through {names.get(way.index, '?')}", f"{enter} route")


def _rules(layout: Layout, pid: int) -> Iterator[KernelFact]:
    """What the instance's table has about the container's addresses."""
    own = {at.address for at in addresses.read(pid)} - {"127.0.0.1"}
    try:
        table = nft.run(f"list table inet {layout.nft_table}")
    except MinidockError:
        return  # no container of this instance has needed it
    for line in table.splitlines():
        for element in line.replace("elements = {", "").strip(" \t{},").split(","):
            if own & set(element.split()):
                command = f"nft list table inet {layout.nft_table}"
                yield KernelFact("published port", element.strip(" \t{}"), command)


def _rights(pid: int) -> Iterator[KernelFact]:
    status = f"/proc/{pid}/status"
    for name, held in capabilities.read(pid).items():
        short = " ".join(word.removeprefix("CAP_").lower() for word in held)
        yield KernelFact(name, short or "none", f"grep Cap {status}")
    filters = seccomp.read(pid)
    mode = {0: "off", 1: "strict", 2: f"{filters['filters']} filter"}.get(filters["mode"], str(filters["mode"]))
    yield KernelFact("seccomp", mode, f"grep Seccomp {status}")
    yield KernelFact("no new privileges", "yes" if no_new_privs.read(pid) else "no", f"grep NoNewPrivs {status}")


def _limits(pid: int) -> Iterator[KernelFact]:
    for name, (soft, hard) in rlimits.table(pid).items():
        yield KernelFact(name, soft if soft == hard else f"{soft}, at most {hard}", f"cat /proc/{pid}/limits")


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read().strip()
