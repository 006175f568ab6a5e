"""Lab 6: limits that hold, the word about who died, and no directory left."""

import os

from minidock.kernel import cgroups, memory, pids
from minidock.kernel.cgroup_files import Cgroup
from minidock.labs.bench import Host


def check(host: Host) -> None:
    root = str(host.rootfs())
    cgroup = Cgroup(path=host.cgroup, hierarchies=cgroups.discover())
    with host.running(root, "64", "20") as it:
        places = cgroups.read(it.pid)
        host.fact(
            "the container is in its cgroup",
            set(places.values()) >= {host.cgroup} and places.get("memory", places.get("cgroup2")) == host.cgroup,
            found=f"/proc/{it.pid}/cgroup says {sorted(set(places.values()))}",
            look=f"cat /proc/{it.pid}/cgroup",
            man="cgroups(7)",
            hint="plan.joined is about the process of Live(pid): the child's pid, which spawn returned, not yours",
        )
        limit = memory.read(cgroup).get("limit")
        host.fact(
            "it may have 64 MiB of memory",
            limit == 64 << 20,
            found=f"{limit} bytes",
            look=(
                f"cat "
                f"{cgroup.directory('memory')}/memory.*{'max' if cgroup.version('memory') == 2 else 'limit_in_bytes'}"
            ),
            man="cgroups(7)",
            hint="the kernel counts bytes: a MiB is 1024 * 1024 of them; -1 means that there is no limit",
        )
        most = pids.read(cgroup).get("limit")
        host.fact(
            "it may have 20 processes",
            most == 20,
            found=most,
            look=f"cat {cgroup.directory('pids')}/pids.max",
            man="cgroups(7)",
            hint="Resources(pids=Pids(limit=…))",
        )
    left = [directory for directory in cgroup.directories if os.path.exists(directory)]
    host.fact(
        "afterwards the cgroup is gone",
        not left,
        found=" ".join(left[:2]),
        look=f"find /sys/fs/cgroup -name {host.name}",
        man="cgroups(7)",
        hint="a cgroup goes with rmdir(2), when its last process has gone: undo_all(plan.before, Live())",
    )
    bomb = " | ".join(["sleep 0.2"] * 40) + "; echo all 40"
    said = host.run(root, "64", "20", "sh", "-c", bomb)
    host.fact("a fork bomb stops at the edge", "fork" in said.err, found=said.out or said.err, man="cgroups(7)")
    hungry = host.run(root, "64", "20", "sh", "-c", "a=xxxxxxxx; while :; do a=$a$a; done")
    host.fact(
        "who takes too much is killed, and you say why",
        hungry.code == 137 and "memory" in hungry.err,
        found=f"exit code {hungry.code}, it said: {hungry.err.strip()}",
        man="cgroups(7)",
        hint="128 + SIGKILL is 137. Is swap limited, too? Memory(swap=…) is memory and swap together",
    )
