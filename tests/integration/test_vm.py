"""The tests marked `vm`, run once more on a machine with a pure cgroup v2 hierarchy (scripts/vm)."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.needs import IN_VM, require_root

REPOSITORY = Path(__file__).resolve().parents[2]
CLOSING = re.compile(r"^=+ (.*\b\d+ (?:passed|failed|error).*) =+$", re.MULTILINE)


@pytest.mark.skipif(IN_VM, reason="this is the VM")
@pytest.mark.timeout(3600)
def test_what_is_marked_vm_passes_on_a_cgroup2_machine(
    record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    require_root()
    # Everything else is through before it: it goes before those beside it, who wait for others half of their time.
    result = subprocess.run(
        ["nice", "-n", "-10", REPOSITORY / "scripts" / "test", "vm"],
        capture_output=True, text=True, errors="replace", env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 0, f"scripts/test vm: exit {result.returncode}\n{result.stdout}{result.stderr}"
    closing = CLOSING.findall(result.stdout)
    assert closing, result.stdout
    record_property("in the VM", "; once more: ".join(closing))


@pytest.mark.vm
def test_the_vm_is_what_it_promises(tmp_path: Path) -> None:
    if not IN_VM:
        pytest.skip("needs the feature cgroup-v2")
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= set(controllers)
    assert not [line for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup"]
    for name in ("lower", "upper", "work", "top"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", tmp_path / "top"], check=True)
    subprocess.run(["umount", tmp_path / "top"], check=True)
    subprocess.run(["sh", "-c", "ip link add vt0 type veth && ip link delete vt0"], check=True)
    subprocess.run(["nft", "add table ip t; add chain ip t c { type nat hook postrouting priority 100; }"], check=True)
