"""What a test needs of its machine, said by name.

Outside CI a test whose need is not met is skipped and says which. In CI (the variable CI is set) that is a failure,
except for the features listed in ALLOWED_SKIPS: a machine without skopeo must not look like a passed run.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

IN_CI = os.environ.get("CI", "") not in ("", "0", "false")
IN_VM = os.environ.get("MINIDOCK_VM", "") != ""
CONTROLLERS = Path("/sys/fs/cgroup/cgroup.controllers")
"""Exists where the unified hierarchy is mounted at /sys/fs/cgroup itself: a pure cgroup v2 machine."""


def require_root() -> None:
    """Skip without root; tests/unit never calls this."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


def require_tool(name: str) -> str:
    """Skip when the command is not installed; returns its path."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"needs the tool {name}: sudo scripts/setup test installs it")
    return path


def short_directory() -> str:
    """A directory of this process's own, gone at its end: podman refuses a --runroot of more than 50 bytes."""
    path = tempfile.mkdtemp(prefix="mdt-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def require_feature(name: str) -> None:
    """Skip when the kernel or host lacks a feature of FEATURES."""
    if not has_feature(name):
        pytest.skip(f"needs the feature {name}")


@functools.cache
def has_feature(name: str) -> bool:
    return FEATURES[name]()


def _capability(number: int) -> bool:
    """Whether the bounding set of capabilities(7) has it: what it lacks, root can't have."""
    line = re.search(r"^CapBnd:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert line is not None
    return bool(int(line[1], 16) >> number & 1)


def _link_kind(kind: str) -> bool:
    """Whether the kernel makes links of this kind: one is made and removed."""
    name = f"mdt{os.getpid()}"[:15]
    made = os.system(f"ip link add {name} type {kind} 2>/dev/null") == 0
    if made:
        os.system(f"ip link delete {name}")
    return made


def _sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def _resolves() -> bool:
    """Whether the package registry that apt is set up for can be found: containers may use the network then."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=False
    ).stdout.split()
    try:
        return bool(socket.getaddrinfo(urlsplit(listed[0]).hostname, 80)) if listed else False
    except OSError:
        return False


FEATURES: dict[str, Callable[[], bool]] = {
    "cgroup-v2": CONTROLLERS.exists,
    "cgroup-v1": Path("/sys/fs/cgroup/memory/cgroup.procs").exists,
    "cap-sys-resource": lambda: _capability(24),
    "apparmor": Path("/sys/kernel/security/apparmor/profiles").exists,
    "selinux": Path("/sys/fs/selinux/enforce").exists,
    "systemd": Path("/run/systemd/system").exists,
    "no-systemd": lambda: not Path("/run/systemd/system").exists(),
    "no-nfs": lambda: not re.search(r"\bnfs$", Path("/proc/filesystems").read_text(), re.MULTILINE),
    "kvm": lambda: os.access("/dev/kvm", os.R_OK | os.W_OK),
    "nvidia-gpu": Path("/dev/nvidiactl").exists,
    "time-namespace": Path("/proc/self/ns/time").exists,
    "ipv6": Path("/proc/net/if_inet6").exists,
    "dummy-link": lambda: _link_kind("dummy"),
    "sctp": _sctp,
    "network": _resolves,
    "swap": lambda: Path("/proc/swaps").read_text().count("\n") > 1,
}
"""Feature → whether this machine has it."""

ALLOWED_SKIPS = {
    "cgroup-v2": "CI's host is hybrid; the tests marked vm run again in scripts/vm, which is pure v2",
    "cgroup-v1": "scripts/vm has none; CI's host has it",
    "cap-sys-resource": "CI's bounding set lacks it",
    "apparmor": "not in CI's kernel",
    "selinux": "not in CI's kernel",
    "systemd": "CI's host has another PID 1",
    "kvm": "CI's /dev/kvm can't boot a kernel",
    "nvidia-gpu": "CI has no GPU",
    "dummy-link": "not in CI's kernel",
    "sctp": "not in CI's kernel; the test runs in scripts/vm",
    "swap": "CI has none",
}
"""Feature → why CI may skip tests that need it. Everything else that is skipped in CI fails."""


def allowed_in_ci(reason: str) -> bool:
    """Whether a skip with this reason is one of ALLOWED_SKIPS."""
    named = re.search(r"needs the feature (\S+)$", reason)
    return named is not None and named[1] in ALLOWED_SKIPS
