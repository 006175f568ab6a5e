"""Lab 3: mounts that nobody else sees, and a /proc that shows the container's processes.

python lab03_mounts.py COMMAND [ARGUMENT...]
"""

import os
import sys

from lab01_process import exit_code
from lab02_namespaces import init, spawn

from minidock.kernel import mounts
from minidock.steps import Live

KINDS = ["uts", "ipc", "pid", "mount"]


def isolate() -> None:
    """In the child, first of all: from here on no mount travels between the host and us."""
    # lab: begin  a new mount namespace is a copy that still propagates: make every mount private
    mounts.IsolateMounts("private").apply(Live())
    # lab: end


def mount_proc(root: str) -> None:
    """A new /proc below `root`: it shows the processes of the pid namespace that mounts it."""
    # lab: begin  mount a new file system of type proc on /proc below root; nosuid, nodev and noexec are its options
    mounts.MountFilesystem(root, "/proc", "proc", "proc", ["nosuid", "nodev", "noexec"]).apply(Live())
    # lab: end


def run(command: list[str]) -> int:
    """Run the command on the host's files, but with mounts of its own."""

    def child() -> None:
        isolate()
        mount_proc("")
        init(command)

    pid = spawn(KINDS, child)
    return exit_code(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
