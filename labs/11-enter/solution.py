"""Lab 11: one more process in a container that runs: what `exec` is.

python lab11_enter.py PID COMMAND [ARGUMENT...]
"""

import os
import sys

from lab01_process import become, exit_code

from minidock.kernel import cgroups, namespaces, syscalls
from minidock.kernel.cgroup_files import Cgroup
from minidock.kernel.namespaces import KINDS

ORDER = ["cgroup", "ipc", "uts", "network", "pid", "mount"]


def join_cgroup(pid: int) -> None:
    """Move ourselves to where the container is counted and limited."""
    found = cgroups.discover()
    path = cgroups.read(pid)["cgroup2"]
    # lab: begin  write our pid to cgroup.procs in each of Cgroup(path, found).directories
    for directory in Cgroup(path=path, hierarchies=found).directories:
        with open(f"{directory}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    # lab: end


def join_namespaces(pid: int) -> None:
    """Enter the namespaces of ORDER that aren't ours already."""
    # lab: begin  open all of /proc/PID/ns first (why?), then setns each, in the order of ORDER
    ours = namespaces.read(os.getpid())
    theirs = namespaces.read(pid)
    wanted = [KINDS[name] for name in ORDER if ours[name] != theirs[name]]
    opened = [(os.open(f"/proc/{pid}/ns/{kind.file}", os.O_RDONLY | os.O_CLOEXEC), kind.flag) for kind in wanted]
    for fd, flag in opened:
        syscalls.setns(fd, flag)
    # lab: end


def run(pid: int, command: list[str]) -> int:
    """Run the command beside the container's own; returns its exit code."""
    join_cgroup(pid)
    join_namespaces(pid)
    # lab: begin  setns(2) has moved us, but not into the pid namespace: only children are born there
    child = os.fork()
    if child == 0:
        os.chdir("/")
        become(command)
    return exit_code(os.waitpid(child, 0)[1])
    # lab: end


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))
