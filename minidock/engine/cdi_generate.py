"""cdi generate: the CDI file of this host's GPUs, made by looking at the driver that is loaded.

NVIDIA's user-space libraries have to be exactly of the kernel module's version, so they can't be in the image: they are
found on the host and mounted. Their makers' tool leaves the links between a library's names (libcuda.so.1) and the
loader's cache to hooks that run for each container; here each library is mounted under every name that the loader and
programs ask for, and no hook is needed. AMD's are in the image: nodes and groups are enough.

`root` is where the host's /proc, /dev and /usr are looked for: tests have a small tree there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from minidock.engine.cdi_specs import CdiDevice, CdiMount, CdiSpec, DeviceNode, Edits
from minidock.errors import NotFound

LIBRARY_PLACES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "lib64", "lib")
"""Debian's, then the others': the first that has the driver's library counts."""
PROGRAMS = (
    "nvidia-smi",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
)
READ_ONLY = ["ro", "nosuid", "nodev", "rbind", "rprivate"]
CONTROL, MODESET = 255, 254
"""Minors of /dev/nvidiactl and /dev/nvidia-modeset, whose major is that of the GPUs (NVIDIA's nv.h); nvidia-uvm has
a major of its own."""
DRM = 226
"""The major of /dev/dri/*; the number in the name renderD128 is the minor (include/uapi/drm/drm.h)."""


def generate(vendor: str = "", root: Path = Path("/")) -> CdiSpec:
    """The file for `nvidia` or `amd`, or for the one that is there. Raises NotFound that says what was looked for."""
    makers = {"nvidia": _nvidia, "amd": _amd}
    for name in [vendor] if vendor else makers:
        made = makers[name](root)
        if made:
            return made
    looked = {"nvidia": "/proc/driver/nvidia/version and /proc/driver/nvidia/gpus", "amd": "/dev/kfd"}
    places = looked[vendor] if vendor else " and ".join(looked.values())
    raise NotFound(f"no driver of a GPU is loaded: {places} not found", hint="load it: modprobe nvidia, or amdgpu")


def as_json(vendor: str, root: str) -> bytes:
    """The same as the bytes of a file."""
    return msgspec.json.format(msgspec.json.encode(generate(vendor, Path(root))), indent=2) + b"\n"


# NVIDIA


def _nvidia(root: Path) -> CdiSpec | None:
    version = _version(root)
    gpus = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    if not version or not gpus:
        return None
    majors = _majors(root)
    major = majors.get("nvidia-frontend", majors.get("nvidia", 195))
    nodes: dict[str, DeviceNode] = {}
    devices = []
    for path in gpus:
        facts = dict(line.partition(":")[::2] for line in path.read_text().splitlines())
        facts = {name.strip(): value.strip() for name, value in facts.items()}
        number = facts["Device Minor"]
        nodes[number] = _node(f"/dev/nvidia{number}", major, int(number))
        devices.append(CdiDevice(number, Edits(device_nodes=[nodes[number]])))
        if facts.get("GPU UUID", "").startswith("GPU-") and "?" not in facts["GPU UUID"]:
            devices.append(CdiDevice(facts["GPU UUID"], Edits(device_nodes=[nodes[number]])))
    devices.append(CdiDevice("all", Edits(device_nodes=list(nodes.values()))))
    common = [_node("/dev/nvidiactl", major, CONTROL)]
    if "nvidia-uvm" in majors:  # without it CUDA finds no device; `nvidia-modprobe -u` loads it
        common += [
            _node(f"/dev/{name}", majors["nvidia-uvm"], n) for n, name in enumerate(("nvidia-uvm", "nvidia-uvm-tools"))
        ]
    if (root / "dev/nvidia-modeset").exists():
        common.append(_node("/dev/nvidia-modeset", major, MODESET))
    # The makers' runtime would read NVIDIA_VISIBLE_DEVICES and add devices itself: `void` tells it not to.
    edits = Edits(env=["NVIDIA_VISIBLE_DEVICES=void"], device_nodes=common, mounts=[*_mounts(root, version)])
    return CdiSpec("0.5.0", "nvidia.com/gpu", devices, edits)


def _version(root: Path) -> str:
    """`NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue …`, of the open module too."""
    try:
        text = (root / "proc/driver/nvidia/version").read_text()
    except FileNotFoundError:
        return ""
    found = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return found[1] if found else ""


def _majors(root: Path) -> dict[str, int]:
    """Character devices of /proc/devices: a driver may get another number at each boot."""
    text = (root / "proc/devices").read_text().partition("Block devices:")[0]
    return {name: int(number) for number, name in re.findall(r"(?m)^\s*(\d+) (\S+)$", text)}


def _node(path: str, major: int, minor: int) -> DeviceNode:
    return DeviceNode(path, type="c", major=major, minor=minor, file_mode=0o666, permissions="rw")


def _mounts(root: Path, version: str) -> Iterable[CdiMount]:
    """Each library of the version under all its names; programs; firmware."""
    for place in LIBRARY_PLACES:
        directory = root / place
        files = sorted(directory.glob(f"*.so.{version}")) if directory.is_dir() else []
        for file in files:
            for name in [file.name, *_other_names(file)]:
                yield CdiMount(f"/{place}/{file.name}", f"/{place}/{name}", READ_ONLY)
        if files:
            break
    for name in PROGRAMS:
        if (root / "usr/bin" / name).exists():
            yield CdiMount(f"/usr/bin/{name}", f"/usr/bin/{name}", READ_ONLY)
    firmware = f"lib/firmware/nvidia/{version}"
    if (root / firmware).is_dir():
        yield CdiMount(f"/{firmware}", f"/{firmware}", READ_ONLY)


def _other_names(file: Path) -> list[str]:
    """The links in its directory that lead to it, libcuda.so by way of libcuda.so.1 too."""
    names = []
    for entry in sorted(file.parent.glob(f"{file.name.partition('.so')[0]}.so*")):
        if entry.is_symlink() and os.path.basename(os.path.realpath(entry)) == file.name:
            names.append(entry.name)
    return names


# AMD


def _amd(root: Path) -> CdiSpec | None:
    """Compute goes by /dev/kfd, which all GPUs share, and a render node each: only AMD's, by their PCI vendor."""
    if not (root / "dev/kfd").exists():
        return None
    nodes = []
    for path in sorted((root / "sys/class/drm").glob("renderD*"), key=lambda path: int(path.name[7:])):
        vendor = path / "device/vendor"
        if vendor.exists() and vendor.read_text().strip() == "0x1002":
            nodes.append(_node(f"/dev/dri/{path.name}", DRM, int(path.name[7:])))
    if not nodes:
        return None
    devices = [CdiDevice(str(number), Edits(device_nodes=[node])) for number, node in enumerate(nodes)]
    devices.append(CdiDevice("all", Edits(device_nodes=nodes)))
    kfd = root / "dev/kfd"
    shared = DeviceNode("/dev/kfd", permissions="rw")  # its major is dynamic: read off at each start
    owners = {path.stat().st_gid for path in (kfd, *(root / "dev/dri").glob("renderD*"))}
    return CdiSpec("0.7.0", "amd.com/gpu", devices, Edits(device_nodes=[shared], additional_gids=sorted(owners - {0})))
