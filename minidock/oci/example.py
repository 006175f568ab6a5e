"""The config.json that `minidock-oci spec` writes: a shell with all namespaces and few rights."""

from __future__ import annotations

import os

from msgspec import structs

from minidock import spec
from minidock.engine import bundle
from minidock.kernel import cgroups, device_filter, masks

RIGHTS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def rootless(config: spec.Spec) -> spec.Spec:
    """As runc's `spec --rootless`: for whoever makes user namespaces without being root. He is root inside and there is
    nobody else, so no mount may name another owner; a new sysfs takes a network namespace of his own; no limits."""
    keep = [entry for entry in config.linux.namespaces if entry.type not in ("network", "user")]
    sys = spec.Mount("/sys", "none", "/sys", ["rbind", "nosuid", "noexec", "nodev", "ro"])
    mounts = [sys if mount.destination == "/sys" else _without_owners(mount) for mount in config.mounts]
    linux = structs.replace(
        config.linux,
        namespaces=[*keep, spec.Namespace(type="user")],
        uid_mappings=[spec.IdMapping(0, os.geteuid(), 1)],
        gid_mappings=[spec.IdMapping(0, os.getegid(), 1)],
        resources=None,
    )
    return structs.replace(config, mounts=mounts, linux=linux)


def _without_owners(mount: spec.Mount) -> spec.Mount:
    kept = [word for word in mount.options if not word.startswith(("uid=", "gid="))]
    return structs.replace(mount, options=kept)


def example() -> spec.Spec:
    """As runc's `spec`: a terminal, three capabilities, a read-only root."""
    # As runc: where there are v1 hierarchies, the container's cgroup is bound, and needs no namespace.
    kinds = [kind for kind in bundle.NAMESPACES if kind != "cgroup" or not cgroups.discover().v1]
    shm = spec.Mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"])
    return spec.Spec(
        oci_version="1.3.0",
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
