"""The config.json that `minidock-oci spec` writes: a shell with all namespaces and few rights."""

from __future__ import annotations

from minidock import spec
from minidock.engine import bundle
from minidock.kernel import cgroups, device_filter, masks

RIGHTS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def example() -> spec.Spec:
    """As runc's `spec`: a terminal, three capabilities, a read-only root."""
    # As runc: where there are v1 hierarchies, the container's cgroup is bound, and needs no namespace.
    kinds = [kind for kind in bundle.NAMESPACES if kind != "cgroup" or not cgroups.discover().v1]
    shm = spec.Mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"])
    return spec.Spec(
        oci_version="1.2.0",
        root=spec.Root(path="rootfs", readonly=True),
        process=spec.Process(
            cwd="/",
            args=["sh"],
            terminal=True,
            env=["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            capabilities=spec.Capabilities(bounding=RIGHTS, effective=RIGHTS, permitted=RIGHTS),
            rlimits=[spec.Rlimit(type="RLIMIT_NOFILE", soft=1024, hard=1024)],
            no_new_privileges=True,
        ),
        hostname="minidock",
        mounts=[bundle.PROC, bundle.DEV, bundle.PTS, shm, bundle.MQUEUE, bundle.SYS, bundle.CGROUP],
        linux=spec.Linux(
            namespaces=[spec.Namespace(type=kind) for kind in kinds],
            resources=spec.Resources(devices=[spec.DeviceRule(False), *device_filter.DEFAULT_DEVICE_RULES]),
            masked_paths=masks.MASKED,
            readonly_paths=masks.READONLY,
        ),
    )
