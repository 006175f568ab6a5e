"""The rdma controller: how many handles and objects of an RDMA adapter a container may hold.

One file, one line a device, the same in both versions: "mlx4_0 hca_handle=2 hca_object=2000". Man page: cgroups(7).
"""

from __future__ import annotations

from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile
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
