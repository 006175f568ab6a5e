"""update: other limits for containers that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import context
from .commands import UNLIMITED, Complaint, verb
from .flags import go_int, number, refused, text, value
from .run_flags import REMOVED
from .units import cpus, size, size_or_unlimited

if TYPE_CHECKING:
    from ..model.host import RestartPolicy

LIMITS = [
    value("blkio-weight", "", "Block IO (relative weight), between 10 and 1000, or 0 to disable", "uint16", go_int,
          default=0),
    number("cpu-period", "", "Limit CPU CFS (Completely Fair Scheduler) period"),
    number("cpu-quota", "", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    number("cpu-rt-period", "", "Limit the CPU real-time period in microseconds"),
    number("cpu-rt-runtime", "", "Limit the CPU real-time runtime in microseconds"),
    number("cpu-shares", "c", "CPU shares (relative weight)"),
    value("cpus", "", "Number of CPUs", "decimal", cpus, default=0),
    text("cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)"),
    text("cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)"),
    value("memory", "m", "Memory limit", "bytes", size, default=0),
    value("memory-reservation", "", "Memory soft limit", "bytes", size, default=0),
    value("memory-swap", "", 'Swap limit equal to memory plus swap: -1 to enable unlimited swap', "bytes",
          size_or_unlimited, default=0),
    number("pids-limit", "", "Tune container pids limit (set -1 for unlimited)"),
]  # fmt: skip

MEMBERS = {"cpu_rt_period": "cpu_realtime_period", "cpu_rt_runtime": "cpu_realtime_runtime", "cpus": "nano_cpus"}
"""Where HostConfig has another name than the flag."""


@verb(
    "update",
    "Update configuration of one or more containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    flags=[
        *LIMITS,
        text("restart", "", "Restart policy to apply when a container exits"),
        refused("kernel-memory", why=REMOVED),
    ],
    least=1,
    most=UNLIMITED,
    aliases=("minidock container update", "minidock update"),
    examples="""
        minidock update --memory 512m --memory-swap 1g web
        minidock update --cpus 1.5 --pids-limit 200 web db
    """,
)
def update(arguments: list[str], restart: str, **limits: int | str) -> None:
    changes: dict[str, Any] = {MEMBERS.get(name, name): given for name, given in limits.items() if given}
    if restart:
        changes["restart_policy"] = _policy(restart)
    if not changes:
        raise Complaint("you must provide one or more flags when using this command", 1)
    engine = context.engine()
    warnings: list[str] = []
    failed = context.each(arguments, lambda name: warnings.extend(engine.update(name, changes)))
    for warning in warnings:
        context.say(warning)
    context.fail_after(failed)


def _policy(raw: str) -> RestartPolicy:
    from ..model.host import RestartPolicy

    name, _, count = raw.partition(":")
    if count and not count.removeprefix("-").isdecimal():
        raise Complaint("invalid restart policy format: maximum retry count must be an integer", 1)
    return RestartPolicy(name or "no", int(count or 0))
