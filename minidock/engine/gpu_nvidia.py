"""The CDI file of NVIDIA's GPUs: nodes with the majors that they have now, and the libraries of the loaded driver.

NVIDIA's user-space libraries have to be exactly of the kernel module's version, so they can't be in the image: they are
found on the host and mounted. Each comes in under every name that programs ask for (libcuda.so.1, its SONAME), where
the makers' tool leaves that to hooks. What can't stand in a file, because it depends on the container, is done at its
start: gpu_finish.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from minidock.engine import elf, gpu_mig
from minidock.engine.cdi_specs import CdiDevice, CdiMount, CdiSpec, DeviceNode, Edits, host_path
from minidock.engine.gpu_capabilities import PROGRAMS
from minidock.runtime import ldcache

KIND = "nvidia.com/gpu"
MADE_FOR = "minidock.driver"
"""The annotation of a file that minidock made: the driver's version. Such a file leaves the rest to minidock."""
VERSION_FILE, GPUS = "proc/driver/nvidia/version", "proc/driver/nvidia/gpus"
PARAMS = "proc/driver/nvidia/params"
LIBRARY_PLACES = (
    *("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "lib64", "lib"),
    *("usr/lib/x86_64-linux-gnu/nvidia/current", "usr/lib/aarch64-linux-gnu/nvidia/current"),
    *("usr/local/nvidia/lib64", "usr/local/nvidia/lib"),
)
"""Where libraries are looked for that the host's loader knows nothing of."""
PROGRAM_PLACES = ("usr/bin", "usr/local/nvidia/bin", "usr/local/bin", "opt/bin")
FURTHER_NAMES = {
    "libcuda": "libcuda.so",
    "libnvidia-opticalflow": "libnvidia-opticalflow.so",
    "libGLX_nvidia": "libGLX_indirect.so.0",
}
"""What programs open by a name that isn't the SONAME; packages for developers have such links, drivers don't."""
READ_ONLY = ["ro", "nosuid", "nodev", "rbind", "rprivate"]
CONTROL, MODESET = 255, 254
"""Minors of /dev/nvidiactl and /dev/nvidia-modeset, whose major is that of the GPUs (NVIDIA's nv.h); nvidia-uvm has
a major of its own."""


def spec(root: Path) -> CdiSpec | None:
    """None where the driver isn't loaded, or has found no GPU."""
    loaded, gpus = version(root), sorted((root / GPUS).glob("*/information"), key=_slot)
    if not loaded or not gpus:
        return None
    numbers = majors(root)
    devices = [device for number, path in enumerate(gpus) for device in _devices(root, numbers, number, path)]
    every = {node.path: node for device in devices for node in device.container_edits.device_nodes}
    devices.append(CdiDevice("all", Edits(device_nodes=list(every.values()))))
    # The makers' runtime would read NVIDIA_VISIBLE_DEVICES and add devices itself: `void` tells it not to.
    common = Edits(
        env=["NVIDIA_VISIBLE_DEVICES=void"], device_nodes=_common(root, numbers), mounts=[*_mounts(root, loaded)]
    )
    return CdiSpec("0.6.0", KIND, devices, common, {MADE_FOR: loaded})


def _slot(path: Path) -> list[int]:
    """The GPU's place on the bus, 0000:41:00.0: in that order the driver's library counts them."""
    return [int(word, 16) for word in re.split("[:.]", path.parent.name)]


def _devices(root: Path, numbers: dict[str, int], number: int, path: Path) -> list[CdiDevice]:
    """One GPU by its number and its UUID, and each of its MIG instances. The whole of one that is cut has all of them,
    for without an instance nobody can compute on it."""
    facts = dict(line.partition(":")[::2] for line in path.read_text().splitlines())
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    minor = int(facts["Device Minor"])  # as a rule the number, but not always
    nodes = [_node(root, f"nvidia{minor}", _frontend(numbers), minor), *_rendering(root, path.parent.name)]
    found = gpu_mig.instances(root, minor)
    caps_major = gpu_mig.major(numbers) if found else 0
    instances = [
        [_node(root, f"nvidia-caps/nvidia-cap{cap}", caps_major, cap) for cap in (each.gpu, each.compute)]
        for each in found
    ]
    caps = {node.path: node for pair in instances for node in pair}
    whole = Edits(device_nodes=[*nodes, *caps.values()])
    names = [str(number)]
    if facts.get("GPU UUID", "").startswith("GPU-") and "?" not in facts["GPU UUID"]:
        names.append(facts["GPU UUID"])
    parts = [CdiDevice(f"{number}:{n}", Edits(device_nodes=nodes + pair)) for n, pair in enumerate(instances)]
    return [*(CdiDevice(name, whole) for name in names), *parts]


def version(root: Path) -> str:
    """`NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue …`, of the open module too; empty without it."""
    try:
        text = (root / VERSION_FILE).read_text()
    except FileNotFoundError:
        return ""
    found = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return found[1] if found else ""


def majors(root: Path) -> dict[str, int]:
    """Character devices of /proc/devices: a driver may get another number at each boot."""
    text = (root / "proc/devices").read_text().partition("Block devices:")[0]
    return {name: int(number) for number, name in re.findall(r"(?m)^\s*(\d+) (\S+)$", text)}


def _frontend(numbers: dict[str, int]) -> int:
    return numbers.get("nvidia-frontend", numbers.get("nvidia", 195))


def _node(root: Path, name: str, major: int, minor: int) -> DeviceNode:
    """A node that the host has is looked at anew at each start: its number may be another after a reboot. The driver's
    own program makes nodes only when somebody needs them, so those that aren't there yet have the number of now."""
    if (root / "dev" / name).exists():
        return DeviceNode(f"/dev/{name}", host_path=host_path(root, name))
    return DeviceNode(f"/dev/{name}", type="c", major=major, minor=minor, file_mode=0o666, permissions="rw")


def _common(root: Path, numbers: dict[str, int]) -> list[DeviceNode]:
    rows = [_node(root, "nvidiactl", _frontend(numbers), CONTROL)]
    if "nvidia-uvm" in numbers:  # without it CUDA finds no device; `nvidia-modprobe -u` loads it
        rows += [
            _node(root, name, numbers["nvidia-uvm"], minor)
            for minor, name in enumerate(("nvidia-uvm", "nvidia-uvm-tools"))
        ]
    if (root / "dev/nvidia-modeset").exists():
        rows.append(_node(root, "nvidia-modeset", _frontend(numbers), MODESET))
    return rows


def _rendering(root: Path, slot: str) -> list[DeviceNode]:
    """The GPU's /dev/dri/card0 and renderD128, where its driver for rendering is loaded."""
    names = sorted(path.name for path in (root / "sys/bus/pci/devices" / slot / "drm").glob("*"))
    return [
        DeviceNode(f"/dev/dri/{name}", host_path=host_path(root, f"dri/{name}"))
        for name in names
        if (root / "dev/dri" / name).exists()
    ]


# files


def libraries(root: Path, loaded: str) -> list[Path]:
    """The driver's, each once: from the directories that the host's loader knows, then the usual ones."""
    found: dict[str, Path] = {}
    for directory in _directories(root):
        for path in sorted(directory.glob(f"*.so.{loaded}")):
            found.setdefault(path.name, path)
    return list(found.values())


def _directories(root: Path) -> list[Path]:
    places = [root / place for place in LIBRARY_PLACES]
    try:
        cache = ldcache.parse((root / "etc/ld.so.cache").read_bytes())
    except (OSError, ValueError):
        cache = ldcache.Cache()
    known = [root / os.path.dirname(entry.path).lstrip("/") for entry in cache.entries if entry.name == "libcuda.so.1"]
    return [place for place in dict.fromkeys([*known, *places]) if place.is_dir()]


def _mounts(root: Path, loaded: str) -> Iterator[CdiMount]:
    """Each library under all its names; programs; firmware."""
    for file in libraries(root, loaded):
        place = file.parent.relative_to(root)
        for name in dict.fromkeys([file.name, *_other_names(file)]):
            yield CdiMount(str(file), f"/{place}/{name}", READ_ONLY)
    for name in " ".join(PROGRAMS.values()).split():
        if found := program(root, name):
            yield CdiMount(str(found), f"/usr/bin/{name}", READ_ONLY)
    firmware = root / "lib/firmware/nvidia" / loaded
    if firmware.is_dir():
        yield CdiMount(str(firmware), f"/lib/firmware/nvidia/{loaded}", READ_ONLY)


def program(root: Path, name: str) -> Path | None:
    return next((root / place / name for place in PROGRAM_PLACES if (root / place / name).exists()), None)


def _other_names(file: Path) -> Iterator[str]:
    """The links in its directory that lead to it, libcuda.so by way of libcuda.so.1 too; and what it should have."""
    stem = file.name.partition(".so")[0]
    for entry in sorted(file.parent.glob(f"{stem}.so*")):
        if entry.is_symlink() and os.path.basename(os.path.realpath(entry)) == file.name:
            yield entry.name
    library = elf.read(file)
    if library and library.soname and "/" not in library.soname:
        yield library.soname
    if stem in FURTHER_NAMES:
        yield FURTHER_NAMES[stem]
