"""Out of memory: who was killed, at which limit, and how to say it.

When a cgroup is at its limit and nothing can be taken back, the kernel picks its fattest process and sends it SIGKILL.
All the user sees is exit code 137. The cgroup has counted the kill, and the kernel log names the victim: together they
make a sentence. Read it before the cgroup is removed. Man page: cgroups(7); the kernel's mm/oom_kill.c.
"""

from __future__ import annotations

import os

import msgspec

from minidock.kernel import memory
from minidock.kernel.cgroup_files import Cgroup, Hierarchies, discover, read_number, read_table


class OomReport(msgspec.Struct, frozen=True):
    """What is known about a kill; None where this kernel doesn't say, "" and 0 where its log couldn't be read."""

    kills: int
    limit: int | None = None
    """Bytes; -1 when the container had no limit: then the whole machine was short of memory."""
    peak: int | None = None
    process: str = ""
    pid: int = 0
    """In the initial pid namespace: the host's number."""

    def sentence(self) -> str:
        """`killed by the kernel: memory limit 64 MiB, peak 64 MiB, process python3 (pid 42)`."""
        parts = ["the machine is out of memory"]
        if self.limit is not None and self.limit >= 0:
            parts = [f"memory limit {memory.size(self.limit)}"]
        if self.peak is not None and self.peak >= 0:
            parts.append(f"peak {memory.size(self.peak)}")
        if self.process:
            parts.append(f"process {self.process} (pid {self.pid})")
        if self.kills > 1:
            parts.append(f"{self.kills} kills in all")
        return "killed by the kernel: " + ", ".join(parts)


def explain(path: str, hierarchies: Hierarchies | None = None, *, log: str = "/dev/kmsg") -> OomReport | None:
    """None when the kernel has killed nobody in the cgroup for want of memory."""
    cgroup = Cgroup(path=path, hierarchies=hierarchies or discover())
    facts = memory.read(cgroup)
    kills = facts.get("oom_kills") or 0
    if kills == 0:
        return None
    limit = facts.get("limit") if _at_the_limit(cgroup, facts) else -1
    process, pid = _victim(log, path)
    return OomReport(kills=kills, limit=limit, peak=facts.get("peak"), process=process, pid=pid)


def _at_the_limit(cgroup: Cgroup, facts: dict[str, int | None]) -> bool:
    """Whether the cgroup ever stood at its limit: `oom_kill` counts kills for want of memory anywhere, too."""
    directory = cgroup.need("memory", "read why a process was killed")
    if cgroup.version("memory") == 2:
        return bool(read_table(f"{directory}/memory.events").get("oom"))
    # failcnt stays 0 when memory+swap is what ran out; then the peak tells.
    limit, peak = facts.get("limit") or -1, facts.get("peak") or 0
    return bool(read_number(f"{directory}/memory.failcnt")) or 0 <= limit <= peak


def _victim(log: str, path: str) -> tuple[str, int]:
    """Name and pid from the last line of the kernel log that tells of a kill in the cgroup; ("", 0) when none does.

    oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=…,oom_memcg=…,task_memcg=/minidock/ID,task=tail,pid=42,uid=0
    """
    found = ("", 0)
    for record in _records(log):
        if "oom-kill:constraint=" not in record or ",task_memcg=" not in record:
            continue
        where, _, rest = record.partition(",task_memcg=")[2].partition(",task=")
        # The kernel writes the path from the root of the hierarchy; ours starts at what is mounted here. And a
        # container may have made cgroups of its own below.
        if f"{path}/" in f"{where}/":
            name, _, tail = rest.rpartition(",pid=")  # a process may have put commas into its name
            number = tail.partition(",")[0]
            if number.isdigit():
                found = (name, int(number))
    return found


def _records(log: str) -> list[str]:
    """The kernel's log, one record each: "4,1234,5678,-;text". Reading never waits for a new one.

    Empty where it can't be read: no such device, or kernel.dmesg_restrict without the capability.
    """
    records: list[str] = []
    try:
        fd = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return records
    try:
        while True:
            try:
                chunk = os.read(fd, 8192)  # a record is at most 8 KiB (CONSOLE_EXT_LOG_MAX)
            except BrokenPipeError:  # EPIPE: the record was overwritten under us; the next read goes on after it
                continue
            if not chunk:
                return records
            records += chunk.decode(errors="replace").splitlines()
    except OSError:  # EAGAIN: that was the last one
        return records
    finally:
        os.close(fd)


def read(cgroup: Cgroup) -> dict[str, int | None]:
    """How many processes of the cgroup the kernel has killed for want of memory, so far."""
    return {"kills": memory.read(cgroup).get("oom_kills")}


def demo() -> None:
    """Let the kernel kill a process that wants too much, and tell it: the memory controller's demonstration."""
    memory.demo()


if __name__ == "__main__":
    demo()
