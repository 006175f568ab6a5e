"""features: what this runtime knows, in the shape of runtime-spec features.md."""

from __future__ import annotations

import msgspec

from minidock import __version__
from minidock.kernel import capabilities, mempolicy, mount_options, seccomp, seccomp_arch, seccomp_bpf
from minidock.runtime import support

HOOKS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def features() -> int:
    told = {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": HOOKS,
        "mountOptions": mount_options.known(),
        "linux": {
            "namespaces": sorted(support.KINDS),
            "capabilities": capabilities.NAMES,
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted(seccomp_bpf.ACTIONS),
                "operators": sorted(seccomp_bpf.CONDITIONS),
                "archs": sorted(seccomp_arch.ARCHES),
                "knownFlags": sorted(seccomp.FLAGS),
                "supportedFlags": sorted(seccomp.FLAGS),
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False, "schemata": False, "monitoring": False},
            "netDevices": {"enabled": True},
            "memoryPolicy": {"modes": list(mempolicy.MODES), "flags": list(mempolicy.FLAGS)},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"org.minidock.version": __version__},
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property.", "run.oci."],
    }
    print(msgspec.json.format(msgspec.json.encode(told), indent=4).decode())
    return 0
