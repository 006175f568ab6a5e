"""MIG: a GPU of NVIDIA's cut into instances, each with memory and processors of its own.

What lets a program use an instance is no node of the GPU but two of the driver's *capabilities*: one for the GPU
instance, one for the compute instance in it. Which nodes those are stands in small files:

    /proc/driver/nvidia/capabilities/gpu0/mig/gi1/access          DeviceFileMinor: 12
    /proc/driver/nvidia/capabilities/gpu0/mig/gi1/ci0/access      DeviceFileMinor: 13
    /dev/nvidia-caps/nvidia-cap12, nvidia-cap13                   with the major `nvidia-caps` of /proc/devices

An instance's name is the GPU's number and its own, 0:1, in the order of these numbers, as `nvidia-smi` counts them.
Only the driver's library knows the UUIDs (MIG-…).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from minidock.errors import MinidockError

CAPABILITIES = "proc/driver/nvidia/capabilities"
MODULE = "nvidia-caps"


class Instance(msgspec.Struct, frozen=True):
    """One MIG device: minors of the two capabilities that open it."""

    gpu: int
    compute: int


def instances(root: Path, minor: int) -> list[Instance]:
    """Those of the GPU that is /dev/nvidia<minor>; none where it isn't cut."""
    found = []
    for gpu in _numbered(root / CAPABILITIES / f"gpu{minor}" / "mig", "gi"):
        found += [Instance(_minor(gpu), _minor(compute)) for compute in _numbered(gpu, "ci")]
    return found


def major(numbers: Mapping[str, int]) -> int:
    """The number of the capabilities' nodes, of /proc/devices."""
    if MODULE not in numbers:
        raise MinidockError(f"a GPU is cut into MIG instances, and /proc/devices has no {MODULE} to open them by")
    return numbers[MODULE]


def _numbered(directory: Path, prefix: str) -> list[Path]:
    """gi1, gi2, gi10."""
    paths = [path for path in directory.glob(f"{prefix}*") if path.name.removeprefix(prefix).isdecimal()]
    return sorted(paths, key=lambda path: int(path.name.removeprefix(prefix)))


def _minor(directory: Path) -> int:
    file = directory / "access"
    text = file.read_text() if file.exists() else ""
    found = re.search(r"(?m)^DeviceFileMinor: (\d+)$", text)
    if not found:
        raise MinidockError(f"{file} names no DeviceFileMinor: the node of this MIG instance can't be known")
    return int(found[1])
