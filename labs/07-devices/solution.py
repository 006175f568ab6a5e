"""Lab 7: a /dev of the container's own, and a filter that makes every other device useless.

python lab07_devices.py ROOTFS COMMAND [ARGUMENT...]
"""

import os
import sys

from lab02_namespaces import init
from lab03_mounts import KINDS, isolate, mount_proc
from lab04_root import change_root
from lab06_cgroups import PATH, finish, start

from minidock.kernel import cgroups, device_filter, devices, mounts
from minidock.spec import Resources
from minidock.steps import Live


def make_devices(root: str) -> None:
    """In the child, before the root changes: /dev with the few nodes that every program expects."""
    live = Live()
    mounts.MountFilesystem(root, "/dev", "tmpfs", "tmpfs", ["nosuid", "mode=755", "size=64k"]).apply(live)
    # lab: begin  a MakeDevice for each of devices.DEFAULT (mode 0o666), then LinkDevices with devices.SYMLINKS
    for node in devices.DEFAULT:
        devices.MakeDevice(root, node.path, node.type, node.major, node.minor, 0o666).apply(live)
    devices.LinkDevices(root, devices.SYMLINKS).apply(live)
    # lab: end
    # lab: begin  a new devpts at /dev/pts: options newinstance, ptmxmode=0666, mode=0620 (nosuid and noexec too)
    options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    mounts.MountFilesystem(root, "/dev/pts", "devpts", "devpts", options).apply(live)
    # lab: end


def filtered(resources: Resources) -> Resources:
    """The same limits, with rules about devices: everything denied but what is harmless."""
    # lab: begin  a node is only a name; give Resources the `devices` that device_filter calls default
    rules = list(device_filter.DEFAULT_DEVICE_RULES)
    # lab: end
    return Resources(memory=resources.memory, pids=resources.pids, devices=rules)


def run(root: str, command: list[str]) -> int:
    """Run the command with devices of its own."""

    def child() -> None:
        isolate()
        mount_proc(root)
        make_devices(root)
        change_root(root)
        init(command)

    plan = cgroups.plan(cgroups.discover(), PATH, filtered(Resources()))
    return finish(start(KINDS, plan, child), plan)


if __name__ == "__main__":
    sys.exit(run(os.path.abspath(sys.argv[1]), sys.argv[2:]))
