"""The cpu controller: how the processors' time is shared.

Two mechanisms. *Shares* (weight) say who gets how much when there isn't enough: a container alone on the machine gets
it all. *Quota* says how many microseconds it may run in each period, whatever else is idle: 50000 in 100000 is
half a processor, and who has used it up is throttled until the next period. Man page: cgroups(7), sched(7).

    config.json     version 1                          version 2
    shares          cpu.shares     2..262144           cpu.weight     1..10000
    quota, period   cpu.cfs_quota_us, cpu.cfs_period_us    cpu.max    "quota period"
    burst           cpu.cfs_burst_us                   cpu.max.burst
    idle            cpu.idle                           cpu.idle
    realtime…       cpu.rt_runtime_us, cpu.rt_period_us    -
"""

from __future__ import annotations

from minidock.errors import Unsupported, UsageError
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_number, read_table, read_text
from minidock.spec import Cpu, Resources
from minidock.steps import Step

PERIOD = 100_000
"""Microseconds; the kernel's default, and Docker's for --cpus."""
QUOTA_HINT = "the kernel takes a period of 1000..1000000 us and a quota of at least 1000 us, not above the parent's"


def limits(cgroup: Cgroup, cpu: Cpu | None) -> list[Step]:
    """The writes for shares, quota, burst, idle and real time; `cpus` and `mems` are cpuset's."""
    if cpu is None:
        return []
    numbers = (cpu.shares, cpu.quota, cpu.period, cpu.burst, cpu.idle, cpu.realtime_runtime, cpu.realtime_period)
    # 0 is "not given", and a quota of -1 is what a new cgroup has; burst and idle have a 0 that takes them back.
    if not any(value for value in numbers if value != -1) and cgroup.version("cpu") == 0:
        return []
    if not any(numbers) and cpu.burst is None and cpu.idle is None:
        return []
    directory = cgroup.need("cpu", "limit processor time")
    steps = _v1(directory, cpu) if cgroup.version("cpu") == 1 else _v2(directory, cpu)
    if cpu.idle is None:
        return steps
    # An idle cgroup has no weight of its own, and the kernel then refuses to set one (EINVAL): last in, first out.
    what = "run only when nobody else wants to" if cpu.idle else "run when it is its turn"
    step = WriteCgroupFile(what, f"{directory}/cpu.idle", str(cpu.idle))
    return [*steps, step] if cpu.idle else [step, *steps]


def _v1(directory: str, cpu: Cpu) -> list[Step]:
    steps: list[Step] = []
    if cpu.shares:
        steps.append(WriteCgroupFile(f"set cpu shares to {cpu.shares}", f"{directory}/cpu.shares", str(cpu.shares)))
    if cpu.period:
        what = f"account processor time in periods of {cpu.period} us"
        steps.append(WriteCgroupFile(what, f"{directory}/cpu.cfs_period_us", str(cpu.period), hint=QUOTA_HINT))
    if cpu.quota:
        value = str(max(cpu.quota, -1))
        steps.append(WriteCgroupFile(_quota(cpu), f"{directory}/cpu.cfs_quota_us", value, hint=QUOTA_HINT))
    if cpu.burst is not None:
        steps.append(WriteCgroupFile(_burst(cpu.burst), f"{directory}/cpu.cfs_burst_us", str(cpu.burst)))
    for number, name in ((cpu.realtime_period, "cpu.rt_period_us"), (cpu.realtime_runtime, "cpu.rt_runtime_us")):
        if number:
            hint = "the parent cgroup must have real-time runtime to give: write its cpu.rt_runtime_us first"
            steps.append(WriteCgroupFile(f"set {name} to {number}", f"{directory}/{name}", str(number), hint=hint))
    return steps


def _v2(directory: str, cpu: Cpu) -> list[Step]:
    if cpu.realtime_runtime or cpu.realtime_period:
        raise Unsupported(
            "can't give real-time processor time: only cgroup version 1 can; this host's cpu controller isn't there",
            hint="leave --cpu-rt-runtime and --cpu-rt-period out",
        )
    steps: list[Step] = []
    if cpu.shares:
        value = weight(cpu.shares)
        what = f"set the cpu weight to {value} (shares {cpu.shares})"
        steps.append(WriteCgroupFile(what, f"{directory}/cpu.weight", str(value)))
    if cpu.quota or cpu.period:
        quota = str(cpu.quota) if (cpu.quota or -1) > 0 else "max"
        value_pair = f"{quota} {cpu.period or PERIOD}"
        steps.append(WriteCgroupFile(_quota(cpu), f"{directory}/cpu.max", value_pair, hint=QUOTA_HINT))
    if cpu.burst is not None:
        steps.append(WriteCgroupFile(_burst(cpu.burst), f"{directory}/cpu.max.burst", str(cpu.burst)))
    return steps


def _quota(cpu: Cpu) -> str:
    period = cpu.period or PERIOD
    if (cpu.quota or -1) <= 0:
        return "let processor time be unlimited"
    return f"limit processor time to {(cpu.quota or 0) / period:g} cpus ({cpu.quota} us in each {period} us)"


def _burst(burst: int) -> str:
    return f"let unused processor time be saved up to {burst} us"


def weight(shares: int) -> int:
    """cpu.weight for v1's shares: the two ranges laid over each other linearly, as runc 1.x and crun do.

    1024 shares, the default of version 1, become 39 and not 100, the default of version 2: the ratio between two
    containers is kept, the one to a cgroup that nobody weighted isn't. (runc 1.4 bends the line to mend that.)
    """
    if shares < 0:
        raise UsageError(f"invalid CPU shares: {shares}")
    inside = min(max(shares, 2), 262_144)
    return 1 + (inside - 2) * 9_999 // 262_142


def read(cgroup: Cgroup) -> dict[str, int | None]:
    """Microseconds used (`usage`, `user`, `system`), and of the quota: `periods`, `throttled`, `throttled_time`."""
    if cgroup.version("cpu") == 2 and cgroup.v2:
        stat = read_table(f"{cgroup.v2}/cpu.stat")
        return {
            "usage": stat.get("usage_usec"),
            "user": stat.get("user_usec"),
            "system": stat.get("system_usec"),
            "periods": stat.get("nr_periods"),
            "throttled": stat.get("nr_throttled"),
            "throttled_time": stat.get("throttled_usec"),
        }
    values: dict[str, int | None] = {}
    if (directory := cgroup.directory("cpuacct")) is not None:
        for name, file in (("usage", "usage"), ("user", "usage_user"), ("system", "usage_sys")):
            nanoseconds = read_number(f"{directory}/cpuacct.{file}")
            values[name] = None if nanoseconds is None else nanoseconds // 1000
    if (directory := cgroup.directory("cpu")) is not None:
        stat = read_table(f"{directory}/cpu.stat")
        throttled = stat.get("throttled_time")
        values |= {"periods": stat.get("nr_periods"), "throttled": stat.get("nr_throttled")}
        values["throttled_time"] = None if throttled is None else throttled // 1000
    return values


def quota(cgroup: Cgroup) -> float | None:
    """How many processors the cgroup may use at a time; None for all."""
    directory = cgroup.directory("cpu")
    if directory is None:
        return None
    if cgroup.version("cpu") == 2:
        words = (read_text(f"{directory}/cpu.max") or "max").split()
        return None if words[0] == "max" else int(words[0]) / int(words[1])
    allowed = read_number(f"{directory}/cpu.cfs_quota_us") or -1
    return None if allowed < 0 else allowed / (read_number(f"{directory}/cpu.cfs_period_us") or PERIOD)


def demo() -> None:
    """Spin for half a second of wall time with a tenth of a processor, and count what was used."""
    import time

    from minidock.kernel.cgroup_demo import inside

    def spin() -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pass
        print(f"half a second has passed; processor time used: {time.process_time():.2f} s", flush=True)

    inside(Resources(cpu=Cpu(quota=10_000, period=PERIOD)), spin, show=lambda cgroup: print(read(cgroup)))


if __name__ == "__main__":
    demo()
