"""net_cls and net_prio: marks and priorities on what a container sends. Version 1 only.

net_cls writes a class id on each packet, which tc(8) or nftables (`meta cgroup`) match; net_prio gives the traffic of
each interface a priority. Version 2 has neither: there a filter matches the cgroup's path itself.
"""

from __future__ import annotations

from minidock.errors import Unsupported
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_number
from minidock.spec import NetworkResources
from minidock.steps import Step


def limits(cgroup: Cgroup, network: NetworkResources | None) -> list[Step]:
    steps: list[Step] = []
    if network is None:
        return steps
    if network.class_id:
        what = f"mark the container's packets with class {network.class_id:#x}"
        steps.append(WriteCgroupFile(what, f"{_directory(cgroup, 'net_cls')}/net_cls.classid", str(network.class_id)))
    for entry in network.priorities:
        what = f"give traffic on {entry.name} priority {entry.priority}"
        file = f"{_directory(cgroup, 'net_prio')}/net_prio.ifpriomap"
        steps.append(WriteCgroupFile(what, file, f"{entry.name} {entry.priority}"))
    return steps


def _directory(cgroup: Cgroup, controller: str) -> str:
    if cgroup.version(controller) != 1:
        raise Unsupported(
            f"can't set network classes or priorities: this host has no v1 {controller} hierarchy, and v2 has none",
            hint="leave linux.resources.network out; nftables can match a cgroup2 path instead (socket cgroupv2)",
        )
    return cgroup.need(controller, "set network classes")


def read(cgroup: Cgroup) -> dict[str, int | None]:
    """The class id; empty where the hierarchy isn't mounted."""
    directory = cgroup.directory("net_cls") if cgroup.version("net_cls") == 1 else None
    return {} if directory is None else {"class_id": read_number(f"{directory}/net_cls.classid")}


def demo() -> None:
    """Mark a cgroup's packets, or learn why this host can't."""
    from minidock.kernel.cgroup_demo import inside
    from minidock.spec import Resources

    wanted = Resources(network=NetworkResources(class_id=0x100001))
    try:
        inside(wanted, lambda: None, show=lambda cgroup: print(read(cgroup)))
    except Unsupported as error:
        print(f"{error}\n{error.hint}")


if __name__ == "__main__":
    demo()
