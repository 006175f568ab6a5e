"""cdi generate: the CDI file of this host's GPUs, made by looking at the driver that is loaded.

`root` is where the host's /proc, /dev, /sys and /usr are: another directory for a driver that is itself installed in a
container's tree, and for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from minidock.engine import gpu_amd, gpu_nvidia
from minidock.engine.cdi_specs import CdiSpec
from minidock.errors import NotFound

LOOKED_AT = {"nvidia": f"/{gpu_nvidia.VERSION_FILE} and /{gpu_nvidia.GPUS}", "amd": "/dev/kfd"}
MAKERS: dict[str, Callable[[Path], CdiSpec | None]] = {"nvidia": gpu_nvidia.spec, "amd": gpu_amd.spec}


def generate(vendor: str = "", root: Path = Path("/")) -> CdiSpec:
    """The file for `nvidia` or `amd`, or for the one that is there. Raises NotFound that says what was looked for."""
    for name in [vendor] if vendor else MAKERS:
        made = MAKERS[name](root)
        if made:
            return made
    places = LOOKED_AT[vendor] if vendor else " and ".join(LOOKED_AT.values())
    raise NotFound(f"no driver of a GPU is loaded: {places} not found", hint="load it: modprobe nvidia, or amdgpu")


def present(root: Path = Path("/")) -> list[CdiSpec]:
    """One file for each vendor whose driver is loaded here."""
    return [made for maker in MAKERS.values() if (made := maker(root))]


def as_json(vendor: str, root: str) -> bytes:
    """The same as the bytes of a file."""
    return msgspec.json.format(msgspec.json.encode(generate(vendor, Path(root))), indent=2) + b"\n"
