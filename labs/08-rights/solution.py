"""Lab 8: root, but with few rights: masks, capabilities, no new privileges, and a filter for system calls.

python lab08_rights.py ROOTFS COMMAND [ARGUMENT...]
"""

import os
import sys

from lab02_namespaces import init
from lab03_mounts import KINDS, isolate, mount_proc
from lab04_root import change_root
from lab06_cgroups import PATH, finish, start
from lab07_devices import filtered, make_devices

from minidock.kernel import capabilities, cgroups, masks, no_new_privs, seccomp
from minidock.kernel.seccomp import LoadFilter
from minidock.spec import Resources
from minidock.steps import Live

SETS = capabilities.resolve([], [], False)
"""What Docker gives to every container."""


def hide() -> None:
    """In the child, after the root has changed: what of /proc tells about the whole machine."""
    # lab: begin  MaskPath for masks.MASKED, ReadonlyPath for masks.READONLY
    for path in masks.MASKED:
        masks.MaskPath(path).apply(Live())
    for path in masks.READONLY:
        masks.ReadonlyPath(path).apply(Live())
    # lab: end


def call_filter() -> LoadFilter:
    """Docker's filter for system calls, compiled; on the host, where the compiler's files are."""
    # lab: begin  seccomp.for_container("", the 14 capabilities) gives a profile, seccomp.load_filter the step for it
    profile = seccomp.for_container("", SETS.bounding)
    assert profile is not None
    return seccomp.load_filter(profile)
    # lab: end


def give_up(filter: LoadFilter) -> None:
    """In the child, last of all: Docker's 14 capabilities and not one more, for this process and all that come."""
    # lab: begin  no new privileges; the bounding set, the others; the filter, under which everything after it runs
    no_new_privs.SetNoNewPrivs().apply(Live())
    capabilities.DropBoundingSet(SETS.bounding).apply(Live())
    capabilities.set_capabilities(SETS).apply(Live())
    filter.apply(Live())
    # lab: end


def run(root: str, command: list[str]) -> int:
    """Run the command with few rights."""
    filter = call_filter()

    def child() -> None:
        isolate()
        mount_proc(root)
        make_devices(root)
        change_root(root)
        hide()
        give_up(filter)
        init(command)

    plan = cgroups.plan(cgroups.discover(), PATH, filtered(Resources()))
    return finish(start(KINDS, plan, child), plan)


if __name__ == "__main__":
    sys.exit(run(os.path.abspath(sys.argv[1]), sys.argv[2:]))
