"""What of the runtime specification is honoured; the rest is refused by name, never left out in silence."""

from __future__ import annotations

import os

from minidock.errors import Unsupported, UsageError
from minidock.spec import Spec

KINDS = ("mount", "network", "uts", "pid", "ipc", "cgroup", "user", "time")


def check(spec: Spec) -> None:
    """Raises Unsupported with every member of config.json that would have to be ignored."""
    process, linux = spec.process, spec.linux
    present = {
        "linux.intelRdt": linux.intel_rdt is not None,
        "linux.mountLabel": bool(linux.mount_label),
        "process.apparmorProfile": bool(process and process.apparmor_profile),
        "process.selinuxLabel": bool(process and process.selinux_label),
    }
    present |= {f"linux.namespaces: {entry.type}": entry.type not in KINDS for entry in linux.namespaces}
    missing = [name for name, found in present.items() if found]
    if missing:
        raise Unsupported(f"this config.json asks for what is not honoured yet: {', '.join(missing)}")
    if linux.net_devices and not _own(spec, "network"):
        raise UsageError("unable to move network devices without a private NET namespace")
    users = linux.namespace("user")
    if users and not users.path and not (linux.uid_mappings and linux.gid_mappings):
        raise UsageError("user namespaces enabled, but linux.uidMappings or linux.gidMappings not found")
    _check_sysctls(spec)


def _check_sysctls(spec: Spec) -> None:
    """Raises UsageError, in runc's words, for a setting that would be the host's, or that a member of its own sets."""
    if not spec.linux.sysctl:
        return
    from minidock.kernel.sysctl import IPC

    for name, value in spec.linux.sysctl.items():
        name = name.replace("/", ".")
        if name == "kernel.hostname":
            raise UsageError(f'sysctl "{name}" is not allowed as it conflicts with the OCI "hostname" field')
        if name == "kernel.domainname":
            if spec.domainname not in ("", value):
                raise UsageError(f'sysctl "{name}" is not allowed as it conflicts with the OCI "domainname" field')
            if not _own(spec, "uts"):
                raise UsageError(f'sysctl "{name}" is not allowed in the hosts UTS namespace')
        elif name in IPC or name.startswith("fs.mqueue."):
            if not _own(spec, "ipc"):
                raise UsageError(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
        elif name.startswith("net."):
            if not _own(spec, "network"):
                raise UsageError(f'sysctl "{name}" not allowed in host network namespace')
        else:
            raise UsageError(f'sysctl "{name}" is not in a separate kernel namespace')


def _own(spec: Spec, kind: str) -> bool:
    """Whether the namespace is another than ours."""
    entry = spec.linux.namespace(kind)
    if entry is None:
        return False
    file = "net" if kind == "network" else kind
    return not entry.path or not os.path.exists(entry.path) or not os.path.samefile(entry.path, f"/proc/self/ns/{file}")
