"""Lab 2: a process that sees a machine of its own: its host name, its process ids, its shared memory.

python lab02_namespaces.py HOSTNAME COMMAND [ARGUMENT...]
"""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from lab01_process import become, exit_code

from minidock.kernel import namespaces, syscalls, uts
from minidock.steps import Live

KINDS = ["uts", "ipc", "pid"]


def spawn(kinds: list[str], child: Callable[[], None], cgroup_fd: int = -1) -> int:
    """Make a child in new namespaces of these kinds, where it calls `child`; returns its process id."""
    # lab: begin  clone3 with the flags of these kinds (and the cgroup's descriptor, for lab 6)
    pid = syscalls.clone3(namespaces.flags(kinds), cgroup_fd)
    # lab: end
    if pid == 0:
        guarded(child)
    return pid


def guarded(child: Callable[[], None]) -> NoReturn:
    """Fail closed: if anything goes wrong in the child, it ends here and never runs on as a second copy of us."""
    try:
        child()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        traceback.print_exc()
        print(getattr(error, "hint", ""), file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(125)


def init(command: list[str]) -> NoReturn:
    """The first process of the container, which the kernel gives every orphan to.

    Starts the command as its child, buries whoever dies, and ends as the command does.
    """
    # lab: begin  fork the command, then wait(2) for *any* child until it was the command
    main = os.fork()
    if main == 0:
        become(command)
    while True:
        pid, status = os.wait()
        if pid == main:
            os._exit(exit_code(status))
    # lab: end


def run(hostname: str, command: list[str]) -> int:
    """Run the command under an init of its own, on a machine with another name."""

    def child() -> None:
        # lab: begin  set the host name (minidock.kernel.uts has the step), then become init
        uts.SetHostname(hostname).apply(Live())
        init(command)
        # lab: end

    pid = spawn(KINDS, child)
    return exit_code(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
