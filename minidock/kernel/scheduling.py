"""Scheduling: when a process gets the processor and the disks, and on which processors it may run.

Three things of one process that its children inherit. The *policy* (sched(7)): the ordinary one shares by nice values,
SCHED_FIFO and SCHED_RR come before everybody else, SCHED_DEADLINE is promised so much time in each period. The *I/O
priority* (ioprio_set(2)) orders requests at a disk, where its scheduler looks at it. The *affinity* is a set of
processors; the cpuset of the cgroup is its outer limit. Man pages: sched(7), sched_setattr(2), ioprio_set(2).
"""

from __future__ import annotations

import errno
import os
import struct
from typing import ClassVar

from minidock.errors import MinidockError, SystemCallFailed, UsageError
from minidock.kernel import syscalls
from minidock.spec import IoPriority, Scheduler
from minidock.steps import Live, Step

# linux/sched.h
POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
# linux/ioprio.h
# kernel/sched/deadline.c, __checkparam_dl, in nanoseconds: a finer resolution is lost, and the top bit is a sign
SHORTEST, LONGEST = 1 << 10, 1 << 63
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
IOPRIO_CLASS_SHIFT = 13
IOPRIO_WHO_PROCESS = 1


class SetScheduler(Step, frozen=True):
    """While CAP_SYS_NICE is still there: the real-time policies need it."""

    scheduler: Scheduler
    man: ClassVar[str] = "sched_setattr(2)"

    def describe(self) -> str:
        return f"schedule the container by {self.scheduler.policy}"

    def shell(self) -> str:
        policy = self.scheduler.policy.removeprefix("SCHED_").lower()
        return f"chrt --{policy} --pid {self.scheduler.priority} $$ && renice -n {self.scheduler.nice} $$"

    def apply(self, live: Live) -> None:
        asked = self.scheduler
        flags = sum(FLAGS[name] for name in set(asked.flags))
        numbers = (POLICIES[asked.policy], flags, asked.nice, asked.priority)
        times = (asked.runtime or 0, asked.deadline or 0, asked.period or 0)
        # struct sched_attr, its first version: size, policy, flags, nice, priority, runtime, deadline, period
        try:
            syscalls.sched_setattr(0, struct.pack("=IIQiIQQQ", 48, *numbers, *times))
        except SystemCallFailed as error:
            if error.number != errno.EPERM or len(os.sched_getaffinity(0)) == os.cpu_count():
                raise
            # sched_setattr(2): a promise of time holds for all processors of the machine, or isn't made.
            hint = f"{asked.policy} needs every processor: leave linux.resources.cpu.cpus out"
            raise MinidockError("process scheduler can't be used together with AllowedCPUs", hint=hint) from error


class SetIoPriority(Step, frozen=True):
    """Of this process and what it starts."""

    priority: IoPriority
    man: ClassVar[str] = "ioprio_set(2)"

    def describe(self) -> str:
        return f"ask for disk time as {self.priority.klass}, priority {self.priority.priority}"

    def shell(self) -> str:
        return f"ionice --class {IO_CLASSES[self.priority.klass]} --classdata {self.priority.priority} --pid $$"

    def apply(self, live: Live) -> None:
        value = IO_CLASSES[self.priority.klass] << IOPRIO_CLASS_SHIFT | self.priority.priority
        syscalls.ioprio_set(IOPRIO_WHO_PROCESS, 0, value)


class SetAffinity(Step, frozen=True):
    """Which processors it may run on, as a list like 0-3,7."""

    processors: str
    man: ClassVar[str] = "sched_setaffinity(2)"

    def describe(self) -> str:
        return f"run on the processors {self.processors}"

    def shell(self) -> str:
        return f"taskset --pid --cpu-list {self.processors} $$"

    def apply(self, live: Live) -> None:
        os.sched_setaffinity(0, listed(self.processors))


class ResetAffinity(Step, frozen=True):
    """Every processor that the cgroup's cpuset allows: a runtime that was itself pinned must not pin its containers."""

    man: ClassVar[str] = "sched_setaffinity(2)"

    def describe(self) -> str:
        return "run on every processor that the cgroup allows"

    def shell(self) -> str:
        return "taskset --pid --all-tasks ffffffff $$"

    def apply(self, live: Live) -> None:
        os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))


HIGHEST = 8191
"""More than any kernel is built for: CONFIG_NR_CPUS."""


def listed(text: str, what: str = "CPU affinity") -> set[int]:
    """`0-3,7` as numbers. Raises UsageError."""
    found: set[int] = set()
    for part in filter(None, (word.strip() for word in text.split(","))):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UsageError(f"invalid {what}: {text!r}", hint="a list such as 0-3,7")
        if int(last or first) > HIGHEST:
            raise UsageError(f"invalid {what}: {text!r}: no machine has that many")
        found |= set(range(int(first), int(last or first) + 1))
    if not found:
        raise UsageError(f"invalid {what}: {text!r} names none")
    return found


def steps(scheduler: Scheduler | None, priority: IoPriority | None) -> list[Step]:
    """Those of an OCI process. Raises UsageError for what no kernel knows."""
    result: list[Step] = []
    if scheduler:
        if scheduler.policy not in POLICIES:
            raise UsageError(f"invalid scheduler policy: {scheduler.policy}")
        if unknown := [flag for flag in scheduler.flags if flag not in FLAGS]:
            raise UsageError(f"invalid scheduler flag: {unknown[0]}")
        if scheduler.policy == "SCHED_DEADLINE":
            _check_deadline(scheduler)
        result.append(SetScheduler(scheduler))
    if priority:
        if priority.klass not in IO_CLASSES:
            raise UsageError(f"invalid ioPriority.Class: {priority.klass!r}")
        if not 0 <= priority.priority <= 7:
            raise UsageError(f"invalid ioPriority.Priority: {priority.priority}")
        result.append(SetIoPriority(priority))
    return result


def _check_deadline(asked: Scheduler) -> None:
    """The kernel says EINVAL to all of these, or EPERM before it looks: sched(7). Raises UsageError in crun's words."""
    about = "sched_setattr: `SCHED_DEADLINE`"
    for name, value in (("runtime", asked.runtime), ("deadline", asked.deadline)):
        if not value:
            lacks = f"requires `{name}`" if value is None else f"{name} must be greater than 0"
            raise UsageError(f"{about} {lacks}")
    runtime, deadline = asked.runtime or 0, asked.deadline or 0
    times = {"runtime": runtime, "deadline": deadline, "period": asked.period or deadline}
    for less, more in (("runtime", "deadline"), ("deadline", "period")):
        if times[less] > times[more]:
            raise UsageError(f"{about} {less} ({times[less]}) must be <= {more} ({times[more]})")
    for name, value in times.items():
        if not SHORTEST <= value < LONGEST:
            raise UsageError(f"{about} {name} ({value}) must be between {SHORTEST} and {LONGEST - 1}")


def read(pid: int) -> dict[str, object]:
    """The policy's number and the processors of a process."""
    return {"policy": os.sched_getscheduler(pid), "processors": sorted(os.sched_getaffinity(pid))}


def demo() -> None:
    """A child that runs only when nobody else wants to, on the first processor."""
    pid = os.fork()
    if pid == 0:
        for step in (SetScheduler(Scheduler("SCHED_IDLE")), SetAffinity("0")):
            step.apply(Live())
            print(f"{step.describe()}: {read(os.getpid())}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
