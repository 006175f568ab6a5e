"""What the demonstrations of the controllers share: run something in a cgroup of its own, and look at it after."""

from __future__ import annotations

import os
from collections.abc import Callable

from minidock.kernel import cgroups
from minidock.kernel.cgroup_files import Cgroup
from minidock.spec import Resources
from minidock.steps import Live, apply_all, undo_all


def inside(resources: Resources, work: Callable[[], None], *, show: Callable[[Cgroup], None]) -> int:
    """Fork a child that waits until it is in the cgroup, does `work` there and exits; returns its wait status.

    `show` is called with the cgroup before it is removed.
    """
    found = cgroups.discover()
    path = f"/minidock-demo/{os.getpid()}"
    plan = cgroups.plan(found, path, resources)
    live = Live()
    for step in plan.before:
        print(f"{step.describe()}:  {step.shell().splitlines()[0]}", flush=True)
    apply_all(plan.before, live)
    try:
        ready, go = os.pipe()
        live.pid = os.fork()
        if live.pid == 0:
            os.close(go)
            os.read(ready, 1)
            work()
            os._exit(0)
        apply_all(plan.joined, live)
        os.close(ready)
        os.close(go)
        status = os.waitpid(live.pid, 0)[1]
        show(Cgroup(path=path, hierarchies=found))
    finally:
        undo_all(plan.before, live)
    return status


def demo() -> None:
    """A cgroup without a limit, for as long as a child takes to end."""
    from minidock.kernel.cgroup_tree import processes

    path = f"/minidock-demo/{os.getpid()}"
    status = inside(Resources(), lambda: None, show=lambda cgroup: print("in it:", processes(path, cgroup.hierarchies)))
    print(f"the child ended with {status}, and its cgroup is gone")


if __name__ == "__main__":
    demo()
