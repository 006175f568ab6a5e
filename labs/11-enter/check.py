"""Lab 11: one more process, of which the kernel says that it is in the same container."""

import os
from pathlib import Path

from minidock.kernel import cgroups
from minidock.labs.bench import Container, Host

KINDS = {"uts": "uts", "ipc": "ipc", "network": "net", "pid": "pid", "mount": "mnt"}


def check(host: Host) -> None:
    root = str(host.rootfs(etc_marker="inside\n"))
    container = Path(host.program.parent / "lab08_rights.py")
    with host.running(root, command=["sleep", "1001"], program=container) as first:
        said = host.run(str(first.pid), "cat", "/etc/marker")
        host.fact("the command sees the container's files", said.out == "inside\n", found=said.out or said.err)
        code = host.run(str(first.pid), "sh", "-c", "exit 9").code
        host.fact("its exit code comes through", code == 9, found=code)
        with host.running(str(first.pid)) as second:
            _same(host, first, second)


def _same(host: Host, first: Container, second: Container) -> None:
    for kind, file in KINDS.items():
        hint = "setns(2) for each kind that differs"
        if kind == "pid":
            hint = "setns(2) can't move a process to another pid namespace, only its children are born there: fork"
        host.fact(
            f"it is in the container's {kind} namespace",
            first.namespace(kind) == second.namespace(kind),
            look=f"readlink /proc/{first.pid}/ns/{file} /proc/{second.pid}/ns/{file}",
            man="setns(2)",
            hint=hint,
        )
    roots = [os.stat(f"/proc/{it.pid}/root") for it in (first, second)]
    host.fact("it has the same root", os.path.samestat(*roots), man="setns(2)")
    places = [cgroups.read(it.pid) for it in (first, second)]
    host.fact(
        "it is counted with the container",
        places[0] == places[1],
        found=f"{sorted(set(places[1].values()))} instead of {sorted(set(places[0].values()))}",
        look=f"cat /proc/{second.pid}/cgroup",
        man="cgroups(7)",
        hint=(
            "who isn't in the cgroup has no limits and no device filter: write your pid to each "
            "cgroup.procs, before you enter"
        ),
    )
