"""minidock-oci --systemd-cgroup beside a real systemd: the first process of a container of ours, on this host's kernel.

That machine has this one's /usr, so its systemd, and this checkout. Its cgroup namespace makes it believe that it owns
the tree of cgroups, on version 1 and on version 2.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool
from tests.support.oci import bundle

__all__ = ["bundle"]
HERE = Path(__file__).resolve().parents[2]
SLICE = "/machine.slice/machine-mine.slice"


def skeleton() -> bytes:
    """A root with nothing in it but the places where the host's /usr and what systemd mounts are to be."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/lib", "var/tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name in ("bin", "lib", "lib64", "sbin"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(entry)
        for name in ("passwd", "group"):
            tar.add(f"/etc/{name}", f"etc/{name}")
        entry = tarfile.TarInfo("etc/machine-id")  # or systemd asks its questions of a first boot
        entry.size = 33
        tar.addfile(entry, io.BytesIO(b"5" * 32 + b"\n"))
    return raw.getvalue()


class Machine:
    """The container; `machine("systemctl", …)` runs a command in it."""

    def __init__(self, minidock: Minidock, bundle: Path) -> None:
        self.minidock, self.bundle = minidock, bundle

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.minidock("exec", "machine", *words, check=check, timeout=90)

    def oci(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        start = [sys.executable, "-I", "-S", str(HERE / "scripts" / "start_oci.py")]
        return self(*start, "--systemd-cgroup", *words, check=check)

    def configure(self, *command: str, path: str = "machine-mine.slice:minidock:one", **more: Any) -> None:
        """A fresh config.json; `more` goes into `linux.resources`."""
        (self.bundle / "config.json").unlink(missing_ok=True)
        self.oci("spec", "-b", str(self.bundle))
        config = json.loads((self.bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": list(command)}
        config["linux"]["cgroupsPath"] = path
        config["linux"]["resources"] |= more
        config["annotations"] = {"org.systemd.property.Description": "'a container of the test'"}
        (self.bundle / "config.json").write_text(json.dumps(config))

    def shown(self, *names: str) -> dict[str, str]:
        words = [word for name in names for word in ("-p", name)]
        lines = self("systemctl", "show", "minidock-one.scope", *words).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def machine(minidock: Minidock, bundle: Path, tmp_path: Path) -> Iterator[Machine]:
    require_root()
    require_tool("/usr/lib/systemd/systemd")
    (tmp_path / "root.tar").write_bytes(skeleton())
    minidock("import", str(tmp_path / "root.tar"), "machine", check=True)
    base = Path(sys.base_prefix).resolve()
    needed = {HERE, bundle, *([] if base.is_relative_to("/usr") else [base])}
    binds = [word for path in needed for word in ("-v", f"{path}:{path}")]
    minidock(
        "run", "-d", "--name", "machine", "--privileged", "--network", "none", "--tmpfs", "/run", "--tmpfs", "/tmp",
        "-e", "container=docker", "-v", "/usr:/usr:ro", *binds, "machine",
        "/usr/lib/systemd/systemd", "--unit=basic.target", check=True,
    )  # fmt: skip
    found = Machine(minidock, bundle)
    deadline = time.monotonic() + 120
    while found("systemctl", "is-system-running", check=False).stdout.strip() not in ("running", "degraded"):
        assert time.monotonic() < deadline, minidock("logs", "machine").stdout
        time.sleep(0.1)
    yield found


@pytest.mark.vm
def test_a_container_in_a_scope_of_systemds(machine: Machine) -> None:
    """One machine for all that differs between the versions: to boot it is what takes the time."""
    machine.configure("sleep", "1000", memory={"limit": 64 << 20}, pids={"limit": 33})
    machine.oci("run", "-d", "-b", str(machine.bundle), "one")
    limit = "MemoryMax" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "MemoryLimit"
    assert machine.shown("Description", "ControlGroup", "Delegate", "TasksMax", "DevicePolicy", limit) == {
        "Description": "a container of the test", "ControlGroup": f"{SLICE}/minidock-one.scope", "Delegate": "yes",
        "TasksMax": "33", "DevicePolicy": "strict", limit: str(64 << 20),
    }  # fmt: skip
    pid = json.loads(machine.oci("state", "one").stdout)["pid"]
    everywhere = {line.split(":", 2)[2] for line in machine("cat", f"/proc/{pid}/cgroup").stdout.splitlines()}
    assert everywhere == {f"{SLICE}/minidock-one.scope"}

    # What systemd writes at a reload is what we have written, and devices stay as they are.
    machine.oci("update", "--memory", str(32 << 20), "one")
    machine("systemctl", "daemon-reload")
    assert machine.shown(limit)[limit] == str(32 << 20)
    held = machine("sh", "-c", "cat $(find /sys/fs/cgroup -path '*minidock-one.scope/memory.*' "
                   r"\( -name memory.max -o -name memory.limit_in_bytes \))").stdout  # fmt: skip
    assert held.split() == [str(32 << 20)]
    tried = "mknod /dev/n c 1 3; mknod /dev/k c 1 11; echo >/dev/n && echo null; cat /dev/k"
    done = machine.oci("exec", "--cap", "CAP_MKNOD", "one", "/bin/busybox", "sh", "-c", tried, check=False)
    assert done.stdout == "null\n"
    assert "Operation not permitted" in done.stderr

    machine.oci("delete", "--force", "one")
    left(machine)


def test_what_cannot_be_run_leaves_nothing(machine: Machine) -> None:
    machine.configure("nosuch")
    failed = machine.oci("run", "-b", str(machine.bundle), "one", check=False)
    assert "executable file not found" in failed.stderr
    left(machine)

    # systemd's own words, and names that it doesn't take.
    machine.configure("true", path="/minidock/x")
    refused = machine.oci("run", "-b", str(machine.bundle), "one", check=False)
    assert 'expected cgroupsPath to be of format \\"slice:prefix:name\\"' in refused.stderr
    machine.configure("true")
    config = json.loads((machine.bundle / "config.json").read_text())
    config["annotations"]["org.systemd.property.NoSuchThing"] = "true"
    (machine.bundle / "config.json").write_text(json.dumps(config))
    refused = machine.oci("run", "-b", str(machine.bundle), "one", check=False)
    assert re.search(r"systemd refused StartTransientUnit: .*NoSuchThing", refused.stderr)
    left(machine)


def test_podman_where_systemd_has_the_cgroups(machine: Machine) -> None:
    """There podman asks for the scope of each container by itself, and passes --systemd-cgroup."""
    require_tool("podman")
    place = machine.bundle
    (place / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    start = f"exec {sys.executable} -I -S {HERE}/scripts/start_oci.py"
    (place / "runtime").write_text(f'#!/bin/sh\n{start} "$@"\n')
    (place / "runtime").chmod(0o755)
    machine("sh", "-c", f"mkdir -p /etc/containers && cp {place}/policy.json /etc/containers")

    def podman(*words: str) -> str:
        before = ["--storage-driver", "vfs", "--root", "/var/lib/p", "--runtime", str(place / "runtime")]
        return machine("podman", *before, *words).stdout

    machine("tar", "-C", str(place / "rootfs"), "-cf", str(place / "root.tar"), ".")
    podman("import", "-q", str(place / "root.tar"), "box")
    identity = podman(
        "run", "-d", "--network", "none", "--memory", "64m", "--name", "x", "box", "sleep", "1000"
    ).strip()
    unit = f"libpod-{identity}.scope"
    assert "ActiveState=active" in machine("systemctl", "show", unit, "-p", "ActiveState").stdout
    assert podman("exec", "x", "cat", "/proc/self/cgroup").splitlines()[-1].endswith(("::/", f"/{unit}"))
    podman("rm", "-f", "-t", "0", "x")
    assert unit not in machine("systemctl", "list-units", "--all", "--plain", "--full").stdout


def left(machine: Machine) -> None:
    """No unit, no cgroup, no state."""
    assert "could not be found" in machine("systemctl", "status", "minidock-one.scope", check=False).stderr
    assert machine("find", "/sys/fs/cgroup", "-name", "minidock-*").stdout == ""
    assert machine.oci("list", "-q").stdout == ""
