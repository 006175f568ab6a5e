"""The rdma controller: how many handles and objects of an RDMA adapter a container may hold.

One file, one line a device, the same in both versions: "mlx4_0 hca_handle=2 hca_object=2000". Man page: cgroups(7).
"""

from __future__ import annotations

from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_text
from minidock.spec import RdmaLimit
from minidock.steps import Step


def limits(cgroup: Cgroup, devices: dict[str, RdmaLimit]) -> list[Step]:
    steps: list[Step] = []
    for device, limit in devices.items():
        directory = cgroup.need("rdma", "limit RDMA resources")
        words = [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)]
        values = " ".join(f"{key}={value}" for key, value in words if value is not None)
        if values:
            steps.append(
                WriteCgroupFile(
                    f"limit RDMA device {device} to {values}", f"{directory}/rdma.max", f"{device} {values}"
                )
            )
    return steps


def read(cgroup: Cgroup) -> dict[str, str]:
    """By device, what rdma.max says of it."""
    directory = cgroup.directory("rdma")
    lines = (read_text(f"{directory}/rdma.max") or "").splitlines() if directory else []
    return {device: values for device, _, values in (line.partition(" ") for line in lines)}


def demo() -> None:
    """Show the adapters of this machine, and the line that would limit the first."""
    import os

    from minidock.kernel.cgroup_files import discover

    found = sorted(os.listdir("/sys/class/infiniband")) if os.path.isdir("/sys/class/infiniband") else []
    print(f"RDMA adapters here: {' '.join(found) or 'none'}")
    cgroup = Cgroup(path="/minidock-demo", hierarchies=discover())
    if cgroup.version("rdma") == 0:
        print("this kernel has no rdma controller")
        return
    for step in limits(cgroup, {(found or ["mlx4_0"])[0]: RdmaLimit(hca_handles=2, hca_objects=2000)}):
        print(f"{step.describe()}:  {step.shell()}")


if __name__ == "__main__":
    demo()
