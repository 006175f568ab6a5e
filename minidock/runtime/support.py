"""What of the runtime specification is honoured; the rest is refused by name, never left out in silence."""

from __future__ import annotations

from minidock.errors import Unsupported
from minidock.spec import Spec

KINDS = ("mount", "network", "uts", "pid", "ipc", "cgroup", "user", "time")


def check(spec: Spec) -> None:
    """Raises Unsupported with every member of config.json that would have to be ignored."""
    process, linux = spec.process, spec.linux
    present = {
        "linux.intelRdt": linux.intel_rdt is not None,
        "linux.personality": linux.personality is not None,
        "linux.netDevices": bool(linux.net_devices),
        "linux.mountLabel": bool(linux.mount_label),
        "linux.rootfsPropagation": linux.rootfs_propagation not in ("", "private", "rprivate", "slave", "rslave"),
        "process.apparmorProfile": bool(process and process.apparmor_profile),
        "process.selinuxLabel": bool(process and process.selinux_label),
        "process.scheduler": bool(process and process.scheduler),
        "process.ioPriority": bool(process and process.io_priority),
        "process.execCPUAffinity": bool(process and process.exec_cpu_affinity),
        "mounts[].uidMappings": any(mount.uid_mappings or mount.gid_mappings for mount in spec.mounts),
        "mounts[].options: tmpcopyup": any("tmpcopyup" in mount.options for mount in spec.mounts),
        "mounts[].options: idmap": any({"idmap", "ridmap"} & set(mount.options) for mount in spec.mounts),
    }
    present |= {f"linux.namespaces: {entry.type}": entry.type not in KINDS for entry in linux.namespaces}
    missing = [name for name, found in present.items() if found]
    if missing:
        raise Unsupported(f"this config.json asks for what is not honoured yet: {', '.join(missing)}")
