"""What of the runtime specification is honoured; the rest is refused by name, never left out in silence."""

from __future__ import annotations

from minidock.errors import Unsupported, UsageError
from minidock.runtime.rules import check as check_rules
from minidock.runtime.rules import own
from minidock.spec import Spec

KINDS = ("mount", "network", "uts", "pid", "ipc", "cgroup", "user", "time")


def check(spec: Spec) -> None:
    """Raises Unsupported with every member of config.json that would have to be ignored, and UsageError for what
    contradicts itself."""
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
    check_rules(spec)
    if linux.net_devices and not own(spec, "network"):
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
            if not own(spec, "uts"):
                raise UsageError(f'sysctl "{name}" is not allowed in the hosts UTS namespace')
        elif name in IPC or name.startswith("fs.mqueue."):
            if not own(spec, "ipc"):
                raise UsageError(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
        elif name.startswith("net."):
            if not own(spec, "network"):
                raise UsageError(f'sysctl "{name}" not allowed in host network namespace')
        else:
            raise UsageError(f'sysctl "{name}" is not in a separate kernel namespace')
