"""CDI files made by looking at a driver: on small trees that have what the drivers of NVIDIA and AMD show."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from minidock.engine import cdi_generate, cdi_specs, gpu_nvidia
from minidock.errors import MinidockError, NotFound
from minidock.runtime import ldcache

VERSION = "550.54.15"
BANNER = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {VERSION}  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc\n"
OPEN_BANNER = (
    f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {VERSION}  Release Build  (root@host)  Tue Mar  5\n"
)


@pytest.fixture
def nvidia(tmp_path: Path) -> Path:
    """Two GPUs, minors 0 and 1; libraries as Debian lays them out, with another version's beside them."""
    put(tmp_path, "proc/driver/nvidia/version", BANNER)
    for number, slot in enumerate(("0000:01:00.0", "0000:41:00.0")):
        text = f"Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-{number}aaa\nDevice Minor: \t {number}\n"
        put(tmp_path, f"proc/driver/nvidia/gpus/{slot}/information", text)
    put(
        tmp_path,
        "proc/devices",
        "Character devices:\n  1 mem\n195 nvidia-frontend\n511 nvidia-uvm\n\nBlock devices:\n  8 sd\n",
    )
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    for name in (f"libcuda.so.{VERSION}", f"libnvidia-ml.so.{VERSION}", "libcuda.so.470.1.1"):
        put(tmp_path, f"usr/lib/x86_64-linux-gnu/{name}", "")
    os.symlink(f"libcuda.so.{VERSION}", libraries / "libcuda.so.1")
    os.symlink("libcuda.so.1", libraries / "libcuda.so")
    put(tmp_path, "usr/bin/nvidia-smi", "")
    return tmp_path


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize("banner", [BANNER, OPEN_BANNER])
def test_nvidia(nvidia: Path, banner: str) -> None:
    put(nvidia, "proc/driver/nvidia/version", banner)
    made = cdi_generate.generate(root=nvidia)
    assert [device.name for device in made.devices] == ["0", "GPU-0aaa", "1", "GPU-1aaa", "all"]
    nodes = {node.path: (node.major, node.minor) for node in made.container_edits.device_nodes}
    assert nodes == {"/dev/nvidiactl": (195, 255), "/dev/nvidia-uvm": (511, 0), "/dev/nvidia-uvm-tools": (511, 1)}
    assert [node.minor for node in made.devices[-1].container_edits.device_nodes] == [0, 1]
    assert made.container_edits.env == ["NVIDIA_VISIBLE_DEVICES=void"]
    assert not made.container_edits.hooks


def test_the_instances_of_a_gpu_that_is_cut(nvidia: Path) -> None:
    """MIG: by the GPU's number and theirs, in the order of the driver's numbers; the GPU itself has all of them."""
    put(nvidia, "proc/devices", "Character devices:\n195 nvidia-frontend\n511 nvidia-uvm\n510 nvidia-caps\n\n")
    for name, minor in {"gi2": 39, "gi2/ci0": 40, "gi11": 102, "gi11/ci0": 103, "gi11/ci1": 104}.items():
        text = f"DeviceFileMinor: {minor}\nDeviceFileMode: 256\nDeviceFileModify: 1\n"
        put(nvidia, f"proc/driver/nvidia/capabilities/gpu1/mig/{name}/access", text)
    put(nvidia, "proc/driver/nvidia/capabilities/mig/config", "DeviceFileMinor: 1\n")
    made = cdi_generate.generate(root=nvidia)
    nodes = {
        each.name: [node.path.rpartition("/")[2] for node in each.container_edits.device_nodes] for each in made.devices
    }
    cap = [f"nvidia-cap{minor}" for minor in (39, 40, 102, 103, 104)]
    assert nodes == {
        "0": ["nvidia0"],
        "GPU-0aaa": ["nvidia0"],
        "1": ["nvidia1", *cap],
        "GPU-1aaa": ["nvidia1", *cap],
        "1:0": ["nvidia1", cap[0], cap[1]],
        "1:1": ["nvidia1", cap[2], cap[3]],
        "1:2": ["nvidia1", cap[2], cap[4]],
        "all": ["nvidia0", "nvidia1", *cap],
    }
    node = made.devices[-1].container_edits.device_nodes[-1]
    assert (node.path, node.major, node.minor) == ("/dev/nvidia-caps/nvidia-cap104", 510, 104)
    cdi_specs.check(made)
    put(nvidia, "proc/devices", "Character devices:\n195 nvidia-frontend\n511 nvidia-uvm\n\n")
    with pytest.raises(MinidockError, match="has no nvidia-caps"):
        cdi_generate.generate(root=nvidia)
    put(nvidia, "proc/driver/nvidia/capabilities/gpu1/mig/gi2/access", "nothing\n")
    with pytest.raises(MinidockError, match="gi2/access names no DeviceFileMinor"):
        cdi_generate.generate(root=nvidia)


def test_gpus_are_counted_by_their_place_on_the_bus(nvidia: Path) -> None:
    """As the driver's library does it, and so nvidia-smi and --gpus device=1; the number of the node may be another."""
    for slot, minor in (("0000:01:00.0", 1), ("0000:41:00.0", 0), ("10000:01:00.0", 2)):
        put(nvidia, f"proc/driver/nvidia/gpus/{slot}/information", f"Device Minor: \t {minor}\n")
    made = cdi_generate.generate(root=nvidia)
    nodes = {each.name: each.container_edits.device_nodes[0].path for each in made.devices}
    assert nodes == {"0": "/dev/nvidia1", "1": "/dev/nvidia0", "2": "/dev/nvidia2", "all": "/dev/nvidia1"}


def test_a_library_is_mounted_under_each_of_its_names(nvidia: Path) -> None:
    """And those of another version aren't: mixed with the module they fail to start."""
    mounts = cdi_generate.generate("nvidia", nvidia).container_edits.mounts
    shown = {mount.container_path: mount.host_path for mount in mounts}
    place = "/usr/lib/x86_64-linux-gnu"
    library, other = f"{place}/libcuda.so.{VERSION}", f"{place}/libnvidia-ml.so.{VERSION}"
    assert shown == {
        library: f"{nvidia}{library}",
        f"{place}/libcuda.so": f"{nvidia}{library}",
        f"{place}/libcuda.so.1": f"{nvidia}{library}",
        other: f"{nvidia}{other}",
        "/usr/bin/nvidia-smi": f"{nvidia}/usr/bin/nvidia-smi",
    }
    assert all("ro" in mount.options for mount in mounts)


def test_nodes_that_are_there_are_looked_at_anew_at_each_start(nvidia: Path) -> None:
    """Their numbers may be others after a reboot; those that aren't there yet have the number of now."""
    put(nvidia, "dev/nvidiactl", "")
    put(nvidia, "dev/dri/renderD128", "")
    (nvidia / "sys/bus/pci/devices/0000:01:00.0/drm/renderD128").mkdir(parents=True)
    made = cdi_generate.generate(root=nvidia)
    nodes = {node.path: node for node in made.container_edits.device_nodes}
    assert nodes["/dev/nvidiactl"].major is None and nodes["/dev/nvidiactl"].host_path == f"{nvidia}/dev/nvidiactl"
    assert nodes["/dev/nvidia-uvm"].major == 511
    devices = {device.name: [node.path for node in device.container_edits.device_nodes] for device in made.devices}
    assert devices["0"] == ["/dev/nvidia0", "/dev/dri/renderD128"]
    assert devices["all"] == ["/dev/nvidia0", "/dev/dri/renderD128", "/dev/nvidia1"]


def test_libraries_where_the_hosts_loader_finds_them_come_first(nvidia: Path) -> None:
    """Debian's alternatives lead to a directory of their own; NixOS and container systems have stranger ones."""
    put(nvidia, f"opt/driver/lib/libcuda.so.{VERSION}", "")
    entry = ldcache.Entry("libcuda.so.1", "/opt/driver/lib/libcuda.so.1", 0x303)
    (nvidia / "etc").mkdir()
    (nvidia / "etc/ld.so.cache").write_bytes(ldcache.build(ldcache.Cache([entry])))
    found = {path.name: path for path in gpu_nvidia.libraries(nvidia, VERSION)}
    assert found[f"libcuda.so.{VERSION}"].parent == nvidia / "opt/driver/lib"
    assert found[f"libnvidia-ml.so.{VERSION}"].parent == nvidia / "usr/lib/x86_64-linux-gnu"


def test_amd(tmp_path: Path) -> None:
    """A render node of another maker's is left out; the group of the nodes comes in."""
    put(tmp_path, "dev/kfd", "")
    for number, vendor in ((128, "0x1002"), (129, "0x8086"), (130, "0x1002")):
        put(tmp_path, f"sys/class/drm/renderD{number}/device/vendor", vendor + "\n")
    (tmp_path / "sys/class/drm/renderD130/device/drm/card1").mkdir(parents=True)
    made = cdi_generate.generate(root=tmp_path)
    assert made.kind == "amd.com/gpu"
    paths = {device.name: [node.path for node in device.container_edits.device_nodes] for device in made.devices}
    assert paths == {
        "0": ["/dev/dri/renderD128"],
        "1": ["/dev/dri/renderD130", "/dev/dri/card1"],
        "all": ["/dev/dri/renderD128", "/dev/dri/renderD130", "/dev/dri/card1"],
    }
    assert [node.path for node in made.container_edits.device_nodes] == ["/dev/kfd"]
    group = (tmp_path / "dev/kfd").stat().st_gid
    assert made.container_edits.additional_gids == ([group] if group else [])


def test_what_is_made_can_be_read_back(nvidia: Path, tmp_path: Path) -> None:
    made = cdi_generate.generate(root=nvidia)
    file = tmp_path / "nvidia.json"
    file.write_bytes(msgspec.json.encode(made))
    assert cdi_specs.load(file) == made
    assert "hooks" not in json.loads(file.read_bytes())["containerEdits"]


@pytest.mark.parametrize(
    ("vendor", "words"), [("", "/dev/kfd"), ("nvidia", "/proc/driver/nvidia"), ("amd", "/dev/kfd")]
)
def test_without_a_driver_it_says_where_it_looked(tmp_path: Path, vendor: str, words: str) -> None:
    with pytest.raises(NotFound, match=words):
        cdi_generate.generate(vendor, tmp_path)
