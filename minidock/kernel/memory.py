"""The memory controller: how many bytes a container may have, and what happens when it wants more.

Pages are charged to the cgroup of the process that first touches them, the page cache of its files included. At the
limit the kernel first takes back what it can (cache, then swap), and when nothing is left it kills a process of the
cgroup: see oom.py. Man page: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.

    config.json     version 1                          version 2
    limit           memory.limit_in_bytes              memory.max
    reservation     memory.soft_limit_in_bytes         memory.low
    swap            memory.memsw.limit_in_bytes        memory.swap.max
                    (memory and swap together)         (swap alone: we subtract)
    swappiness      memory.swappiness                  -
    useHierarchy    memory.use_hierarchy               (always so)
    OOM killer off  memory.oom_control                 -
"""

from __future__ import annotations

import shlex
from typing import ClassVar

from minidock.errors import Conflict, Unsupported, UsageError
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_number, read_table, read_text
from minidock.spec import Memory, Resources
from minidock.steps import Live, Step

UNSET_SWAPPINESS = (None, -1, (1 << 64) - 1)
"""Docker says "not given" with -1, which Go then writes as an unsigned number."""
NO_SWAP_ACCOUNTING = "this kernel counts no swap (swapaccount=0, or built without): leave --memory-swap out"


def limits(cgroup: Cgroup, memory: Memory | None, before: Memory | None = None) -> list[Step]:
    """The writes, in an order that the kernel takes. `before` is what holds now, when a living cgroup is changed."""
    if memory is None:
        return []
    if memory.kernel and memory.kernel > 0:
        raise Unsupported(
            "can't limit kernel memory by itself: Linux has removed that (5.16); it counts in the memory limit",
            hint="leave --kernel-memory out",
        )
    for value in (memory.limit, memory.reservation, memory.swap, memory.kernel_tcp):
        if value is not None and value < -1:
            raise UsageError(f"{value} is no number of bytes; -1 is for any")
    # -1 means "no limit", which every new cgroup has: so only a real number needs the controller.
    asked = memory.limit, memory.reservation, memory.swap
    if memory == Memory() or (cgroup.version("memory") == 0 and not any(value and value > 0 for value in asked)):
        return _only_v1(cgroup, memory)
    directory = cgroup.need("memory", "limit memory")
    checks = memory.check_before_update or (before is not None and before.check_before_update)
    check: list[Step] = []
    if checks and (memory.limit or 0) > 0:
        file = "memory.usage_in_bytes" if cgroup.version("memory") == 1 else "memory.current"
        check.append(CheckUsage(f"{directory}/{file}", memory.limit or 0))
    steps = _v1(directory, memory, before) if cgroup.version("memory") == 1 else _v2(directory, memory)
    return [*check, *steps, *_only_v1(cgroup, memory)]


class CheckUsage(Step, frozen=True):
    """checkBeforeUpdate: a limit below what is in use already is refused, where version 2 would kill for it."""

    file: str
    limit: int
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"make sure that no more than {size(self.limit)} of memory is in use"

    def shell(self) -> str:
        return f"[ ! -e {shlex.quote(self.file)} ] || [ $(cat {shlex.quote(self.file)}) -le {self.limit} ]"

    def apply(self, live: Live) -> None:
        used = read_number(self.file) or 0
        if used > self.limit:
            raise Conflict(f"unable to set memory limit to {self.limit} (current usage: {used})")


def _v1(directory: str, memory: Memory, before: Memory | None) -> list[Step]:
    steps: list[Step] = []
    limit, swap = memory.limit or 0, _swap(memory)
    if limit:
        steps.append(_write("limit memory to", f"{directory}/memory.limit_in_bytes", limit))
    if swap:
        together = "limit memory and swap together to"
        file = f"{directory}/memory.memsw.limit_in_bytes"
        steps.append(_write(together, file, swap, default=_is_default_swap(memory), hint=NO_SWAP_ACCOUNTING))
    # The kernel keeps memory <= memory+swap at every moment (EINVAL): raising starts with the outer one.
    if before is not None and before.limit and (swap == -1 or swap > before.limit > 0):
        steps.reverse()
    if memory.reservation:
        soft = "under pressure, shrink the container's memory to"
        steps.append(_write(soft, f"{directory}/memory.soft_limit_in_bytes", memory.reservation))
    return steps


def _v2(directory: str, memory: Memory) -> list[Step]:
    steps: list[Step] = []
    limit, swap = memory.limit or 0, _swap(memory)
    if limit:
        steps.append(_write("limit memory to", f"{directory}/memory.max", limit))
    if swap:
        alone = swap if swap == -1 else swap - limit
        file = f"{directory}/memory.swap.max"
        steps.append(_write("limit swap to", file, alone, default=_is_default_swap(memory), hint=NO_SWAP_ACCOUNTING))
    if memory.reservation:
        steps.append(_write("protect from reclaim up to", f"{directory}/memory.low", memory.reservation))
    return steps


def _swap(memory: Memory) -> int:
    """Memory and swap together; 0 leaves it alone. Raises UsageError with Docker's words."""
    limit, swap = memory.limit or 0, memory.swap or 0
    if limit == -1 and swap == 0:
        return -1
    if swap > 0 and limit <= 0:
        raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < limit:
        raise UsageError("Minimum memoryswap limit should be larger than memory limit, see usage")
    return swap


def _is_default_swap(memory: Memory) -> bool:
    """Nobody asked for it by name: Docker adds as much swap as memory to each `--memory`, and -1 is no limit.

    On a kernel that doesn't count swap these two are let pass, so that `--memory 64m` works there as with Docker;
    any other value is a wish that can't be kept, and an error.
    """
    return memory.swap in (None, 0, -1) or memory.swap == 2 * (memory.limit or 0)


def _only_v1(cgroup: Cgroup, memory: Memory) -> list[Step]:
    """What version 2 has dropped: refused there, never forgotten."""
    steps: list[Step] = []
    directory = cgroup.directory("memory") if cgroup.version("memory") == 1 else None
    if memory.swappiness not in UNSET_SWAPPINESS:
        if not 0 <= (memory.swappiness or 0) <= 100:
            raise UsageError(f"Invalid value: {memory.swappiness}, valid memory swappiness range is 0-100")
        value = str(memory.swappiness)
        steps.append(WriteCgroupFile(f"set swappiness to {value}", f"{directory}/memory.swappiness", value))
    if memory.use_hierarchy and directory:
        what = "count what the cgroups below use, too"
        steps.append(WriteCgroupFile(what, f"{directory}/memory.use_hierarchy", "1"))
    if memory.disable_oom_killer:
        what = "let processes wait at the memory limit instead of killing one"
        steps.append(WriteCgroupFile(what, f"{directory}/memory.oom_control", "1"))
    if memory.kernel_tcp and memory.kernel_tcp > 0:
        steps.append(_write("limit TCP buffers to", f"{directory}/memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp))
    if steps and directory is None:
        raise Unsupported(
            f"can't {steps[0].describe()}: only cgroup version 1 can, and this host's memory controller isn't there",
            hint="leave --memory-swappiness, --oom-kill-disable and kernelTCP out",
        )
    return steps


def _write(what: str, file: str, value: int, *, default: bool = False, hint: str = "") -> WriteCgroupFile:
    """-1 is written `max` on version 2 and -1 on version 1."""
    unlimited = "-1" if file.endswith("_in_bytes") else "max"
    text = unlimited if value < 0 else str(value)
    return WriteCgroupFile(f"{what} {size(value)}", file, text, default=default, hint=hint)


def size(value: int) -> str:
    """Bytes for people: `64 MiB`, `1.5 GiB`, `12345 bytes`, `any size` for -1."""
    if value < 0:
        return "any size"
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        # One decimal at most, and only when it is exact enough to be believed.
        if value >= 1024**power:
            return f"{value / 1024**power:.1f}".removesuffix(".0") + f" {unit}"
    return f"{value} bytes"


def read(cgroup: Cgroup) -> dict[str, int | None]:
    """Bytes: `current` and `limit` (-1: none), `peak`, `swap`, `cache`, `inactive_file`; and `oom_kills`.

    `peak` is None where the kernel doesn't keep it (version 2 before Linux 5.19). Empty without the controller.
    """
    directory = cgroup.directory("memory")
    if directory is None or (text := read_text(f"{directory}/memory.stat")) is None:
        return {}
    rows = (line.split() for line in text.splitlines())
    stat = {row[0]: int(row[1]) for row in rows if len(row) == 2}
    if cgroup.version("memory") == 1:
        return {
            "current": read_number(f"{directory}/memory.usage_in_bytes"),
            "peak": read_number(f"{directory}/memory.max_usage_in_bytes"),
            "limit": read_number(f"{directory}/memory.limit_in_bytes"),
            "swap": stat.get("swap"),
            "cache": stat.get("total_cache"),
            "inactive_file": stat.get("total_inactive_file"),
            "oom_kills": read_table(f"{directory}/memory.oom_control").get("oom_kill"),
        }
    return {
        "current": read_number(f"{directory}/memory.current"),
        "peak": read_number(f"{directory}/memory.peak"),
        "limit": read_number(f"{directory}/memory.max"),
        "swap": read_number(f"{directory}/memory.swap.current"),
        "cache": stat.get("file"),
        "inactive_file": stat.get("inactive_file"),
        "oom_kills": read_table(f"{directory}/memory.events").get("oom_kill"),
    }


def statistics(cgroup: Cgroup) -> dict[str, int]:
    """memory.stat as it is, with the names of its cgroup version."""
    directory = cgroup.directory("memory")
    return {} if directory is None else read_table(f"{directory}/memory.stat")


def demo() -> None:
    """Give a process 32 MiB, let it touch 64, and ask the kernel who died."""
    from minidock.kernel import oom
    from minidock.kernel.cgroup_demo import inside

    def touch() -> None:
        print("touching 64 MiB …", flush=True)
        bytearray(b"x" * (64 << 20))
        print("the limit did not hold", flush=True)

    def show(cgroup: Cgroup) -> None:
        print(read(cgroup))
        report = oom.explain(cgroup.path, cgroup.hierarchies)
        print(report.sentence() if report else "nobody was killed")

    status = inside(Resources(memory=Memory(limit=32 << 20, swap=32 << 20)), touch, show=show)
    print(f"it died of signal {status & 0x7F}")


if __name__ == "__main__":
    demo()
