"""linux.netDevices: a device of the host's moves into the container."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.oci import COUNT, Run, bundle, configure, oci

__all__ = ["bundle", "oci"]


@pytest.fixture
def cable() -> Iterator[str]:
    """One end of a cable on the host, with addresses."""
    name = f"mdt{os.getpid() % 100000}n{next(COUNT)}"
    for line in (
        f"link add {name} mtu 1400 address 02:aa:00:00:00:01 type veth peer name {name}p",
        f"addr add 192.0.2.7/24 dev {name}",
        f"addr add 2001:db8::7/64 dev {name}",
        f"addr add 169.254.9.9/16 scope link dev {name}",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", f"{name}p"], check=False, capture_output=True)


@pytest.mark.parametrize("joined", [False, True])
def test_a_network_device_moves_in_with_what_it_has(oci: Run, bundle: Path, cable: str, joined: bool) -> None:
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 100"], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"\n"

    def change(config: dict) -> None:
        config["process"]["args"] = ["sleep", "100"]
        config["linux"]["netDevices"] = {cable: {"name": "card0"}}
        if joined:
            entries = [entry for entry in config["linux"]["namespaces"] if entry["type"] != "network"]
            config["linux"]["namespaces"] = [*entries, {"type": "network", "path": f"/proc/{holder.pid}/ns/net"}]

    configure(oci, bundle, change)
    try:
        oci("run", "-d", "-b", str(bundle), "box")
        pid = json.loads(oci("state", "box").stdout)["pid"]
        shown = subprocess.run(
            ["nsenter", "-t", str(pid), "-n", "ip", "addr", "show", "card0"], capture_output=True, text=True, check=True
        ).stdout
    finally:
        holder.kill()
        holder.wait()
    for part in ("mtu 1400", "02:aa:00:00:00:01", "192.0.2.7/24", "2001:db8::7/64", ",UP"):
        assert part in shown
    assert "169.254.9.9" not in shown
    assert not Path(f"/sys/class/net/{cable}").exists()


@pytest.mark.parametrize(
    "devices, said",
    [
        ({"mdtnone0": {}}, "there is no network device mdtnone0"),
        ({"lo": {"name": "a/b"}}, "invalid network device name"),
        ({"mdta": {"name": "same"}, "mdtb": {"name": "same"}}, "the same name"),
    ],
)
def test_a_network_device_that_can_t_be_moved(oci: Run, bundle: Path, devices: dict, said: str) -> None:
    configure(oci, bundle, lambda config: config["linux"].update(netDevices=devices))
    result = oci("run", "-b", str(bundle), "box", check=False)
    assert result.returncode == 1
    assert said in result.stderr
    assert oci("list", "-q").stdout == ""
