"""The CDI file of AMD's GPUs. Their libraries (ROCm) are in the image: nodes and the groups that own them are enough.

Compute goes by /dev/kfd, which all GPUs share, and a node of /dev/dri each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from minidock.engine.cdi_specs import CdiDevice, CdiSpec, DeviceNode, Edits, host_path

KIND = "amd.com/gpu"
PCI_VENDOR = "0x1002"
DRM = 226
"""The major of /dev/dri/*; the number in the name renderD128 is the minor (include/uapi/drm/drm.h)."""


def spec(root: Path) -> CdiSpec | None:
    """None where the driver isn't loaded, or has found no GPU."""
    gpus = [[*_nodes(root, path)] for path in render_nodes(root)]
    if not gpus or not (root / "dev/kfd").exists():
        return None
    devices = [CdiDevice(str(number), Edits(device_nodes=nodes)) for number, nodes in enumerate(gpus)]
    devices.append(CdiDevice("all", Edits(device_nodes=[node for nodes in gpus for node in nodes])))
    # Its major is dynamic: read off at each start.
    shared = DeviceNode("/dev/kfd", host_path=host_path(root, "kfd"), permissions="rw")
    owners = {path.stat().st_gid for path in (root / "dev/kfd", *(root / "dev/dri").glob("renderD*"))}
    return CdiSpec("0.7.0", KIND, devices, Edits(device_nodes=[shared], additional_gids=sorted(owners - {0})))


def render_nodes(root: Path) -> list[Path]:
    """/sys/class/drm/renderD128 and so on, AMD's only, by their PCI vendor."""
    found = []
    for path in sorted((root / "sys/class/drm").glob("renderD*"), key=lambda path: int(path.name[7:])):
        vendor = path / "device/vendor"
        if vendor.exists() and vendor.read_text().strip() == PCI_VENDOR:
            found.append(path)
    return found


def _nodes(root: Path, render: Path) -> Iterator[DeviceNode]:
    """The render node, and card0, by which some programs know the GPU."""
    cards = sorted(path.name for path in (render / "device/drm").glob("card*") if path.name[4:].isdigit())
    for name, minor in [(render.name, int(render.name[7:])), *((card, int(card[4:])) for card in cards)]:
        if (root / "dev/dri" / name).exists():
            yield DeviceNode(f"/dev/dri/{name}", host_path=host_path(root, f"dri/{name}"), permissions="rw")
        else:
            numbers = {"type": "c", "major": DRM, "minor": minor}
            yield DeviceNode(f"/dev/dri/{name}", **numbers, file_mode=0o666, permissions="rw")  # type: ignore[arg-type]
