"""Lab 4: another tree of files becomes `/`, and the host's is gone.

python lab04_root.py ROOTFS COMMAND [ARGUMENT...]
"""

import os
import sys

from lab01_process import exit_code
from lab02_namespaces import init, spawn
from lab03_mounts import KINDS, isolate, mount_proc

from minidock.kernel import pivot
from minidock.steps import Live


def change_root(root: str) -> None:
    """In the child, after its mounts: make `root` the root of this mount namespace."""
    # lab: begin  make root a mount point, then pivot (minidock.kernel.pivot has both steps)
    pivot.BindRoot(root).apply(Live())
    pivot.PivotRoot(root).apply(Live())
    # lab: end


def run(root: str, command: list[str]) -> int:
    """Run the command with `root` as its whole world."""

    def child() -> None:
        isolate()
        mount_proc(root)
        change_root(root)
        init(command)

    pid = spawn(KINDS, child)
    return exit_code(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(run(os.path.abspath(sys.argv[1]), sys.argv[2:]))
