"""Lab 6: how much of the machine a container may have, and who dies when it wants more.

python lab06_cgroups.py ROOTFS MEGABYTES PROCESSES COMMAND [ARGUMENT...]
"""

import os
import sys
from collections.abc import Callable

from lab01_process import exit_code
from lab02_namespaces import init, spawn
from lab03_mounts import KINDS, isolate, mount_proc
from lab04_root import change_root

from minidock.kernel import cgroups, oom
from minidock.kernel.cgroups import CgroupPlan
from minidock.spec import Memory, Pids, Resources
from minidock.steps import Live, apply_all, undo_all

PATH = "/minidock-lab/" + os.environ.get("MINI_NAME", "mini")


def limits(megabytes: int, processes: int) -> Resources:
    """The limits as OCI's config.json has them: bytes, and a number of processes. No swap beyond the memory."""
    # lab: begin  Resources with a Memory (limit and swap, in bytes) and Pids
    size = megabytes * 1024 * 1024
    return Resources(memory=Memory(limit=size, swap=size), pids=Pids(limit=processes))
    # lab: end


def start(kinds: list[str], plan: CgroupPlan, child: Callable[[], None]) -> int:
    """Make the cgroup, and a child that does nothing before it lives in there; returns the child's pid."""
    ready, go = os.pipe()

    def held() -> None:
        os.close(go)
        os.read(ready, 1)
        child()

    # lab: begin  apply plan.before; spawn `held`; apply plan.joined, which is about Live(pid); then close `go`
    apply_all(plan.before, Live())
    pid = spawn(kinds, held)
    apply_all(plan.joined, Live(pid))
    os.close(go)
    # lab: end
    os.close(ready)
    return pid


def finish(pid: int, plan: CgroupPlan) -> int:
    """Wait for the end, say why it was if memory was the reason, and remove the cgroup."""
    code = exit_code(os.waitpid(pid, 0)[1])
    report = oom.explain(PATH, cgroups.discover())
    if report is not None:
        print(report.sentence(), file=sys.stderr)
    # lab: begin  a cgroup is a directory that somebody has to remove: undo what was applied before
    undo_all(plan.before, Live())
    # lab: end
    return code


def run(root: str, resources: Resources, command: list[str]) -> int:
    """Run the command within limits."""

    def child() -> None:
        isolate()
        mount_proc(root)
        change_root(root)
        init(command)

    plan = cgroups.plan(cgroups.discover(), PATH, resources)
    return finish(start(KINDS, plan, child), plan)


if __name__ == "__main__":
    megabytes, processes = int(sys.argv[2]), int(sys.argv[3])
    sys.exit(run(os.path.abspath(sys.argv[1]), limits(megabytes, processes), sys.argv[4:]))
