"""Lab 9: root to itself, nobody to the host.

python lab09_users.py COMMAND [ARGUMENT...]
"""

import os
import sys

from lab01_process import exit_code
from lab02_namespaces import init, spawn

from minidock.kernel import user, uts
from minidock.spec import IdMapping
from minidock.steps import Live

KINDS = ["user", "uts"]


def mapping() -> list[IdMapping]:
    """Users 0 to 65535 of the container are 100000 to 165535 of the host."""
    # lab: begin  one IdMapping(container_id, host_id, size)
    return [IdMapping(container_id=0, host_id=100000, size=65536)]
    # lab: end


def start(command: list[str]) -> int:
    """A child in a user namespace of its own, which runs the command once it is somebody; returns its pid."""
    ready, go = os.pipe()

    def child() -> None:
        os.close(go)
        os.read(ready, 1)
        # lab: begin  by now the namespace has a user 0: become it (minidock.kernel.user), and show what root may do
        user.BecomeRoot().apply(Live())
        uts.SetHostname("users").apply(Live())
        # lab: end
        init(command)

    pid = spawn(KINDS, child)
    os.close(ready)
    # lab: begin  the child is nobody and may not map itself: write its maps (MapIds, for users and groups), then `go`
    user.MapIds(mapping(), mapping()).apply(Live(pid))
    os.close(go)
    # lab: end
    return pid


def run(command: list[str]) -> int:
    """Run the command as such a root."""
    return exit_code(os.waitpid(start(command), 0)[1])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
