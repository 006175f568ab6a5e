"""What C gives up before it touches anything that an image or a container made.

From pivot_root on (for `exec`: from setns on) every path leads to the container's files. Three things would let them
reach us while we still have all rights:

- an import: Python would load the *container's* file of that name. So no module is looked for any more
  (minidock/imports.py);
- /proc/PID/ of us, seen by processes that are in there already: a process that is not dumpable shows its memory,
  descriptors and program to nobody without CAP_SYS_PTRACE (prctl(2), PR_SET_DUMPABLE);
- /proc/self/exe: see native/exec.c.
"""

from __future__ import annotations

import os

from minidock import imports
from minidock.kernel import mounts, syscalls

PR_SET_DUMPABLE = 4  # linux/prctl.h
EXEC = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin", "minidock-exec")

NEEDED = ("fcntl", "stat", "struct", "minidock.kernel.execute")
"""Modules that steps of the child import when they are applied."""
TERMINAL = ("socket", "termios", "minidock.kernel.pty")
"""And those of a container with a terminal."""


def seal(*, terminal: bool = False) -> int:
    """Give it all up; the descriptor of minidock-exec, on a read-only mount of its own, for become()."""
    program = syscalls.open_tree(syscalls.AT_FDCWD, EXEC, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC)
    mounts.make_readonly(program)
    imports.end(NEEDED + TERMINAL if terminal else NEEDED)
    syscalls.prctl(PR_SET_DUMPABLE, 0)
    return program
