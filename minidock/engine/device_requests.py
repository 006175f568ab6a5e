"""--gpus and DeviceRequests: from "two GPUs" to names of CDI devices, and on to the container's config.json.

The engine knows no vendor's hooks. A GPU comes into a container by the CDI files of its vendor (cdi_specs.py), whether
it was asked for by number, by name or by its full CDI name.
"""

from __future__ import annotations

from collections.abc import Sequence

from minidock import spec
from minidock.engine import cdi_edits, cdi_specs
from minidock.engine.cdi_specs import Registry
from minidock.engine.userns import settings
from minidock.errors import UsageError
from minidock.model import CdiListing, CdiOffer, DeviceRequest
from minidock.paths import Layout

VENDORS = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}


def directories(layout: Layout) -> list[str]:
    """Where this instance looks for CDI files, lowest priority first."""
    return settings(layout).cdi_spec_dirs or list(cdi_specs.DIRECTORIES)


def listing(layout: Layout, asked: list[str] | None = None) -> CdiListing:
    """What the files offer: `minidock cdi ls`."""
    registry = cdi_specs.read(asked or directories(layout))
    rows = []
    for name, found in sorted(registry.devices.items()):
        edits = (found.spec.container_edits, found.device.container_edits)
        counts = [sum(len(getattr(each, part)) for each in edits) for part in ("device_nodes", "mounts", "hooks")]
        rows.append(CdiOffer(name, str(found.file), *counts))
    return CdiListing(registry.directories, rows, registry.problems)


def inject(layout: Layout, config: spec.Spec, requests: Sequence[DeviceRequest]) -> spec.Spec:
    """The config with all devices that were asked for. Raises UsageError."""
    registry = cdi_specs.read(directories(layout))
    names = [name for request in requests for name in device_names(registry, request)]
    return cdi_edits.apply(config, cdi_specs.resolve(registry, names))


def device_names(registry: Registry, request: DeviceRequest) -> list[str]:
    """What one request means."""
    if request.count and request.device_ids:
        raise UsageError("cannot set both Count and DeviceIDs on device request")
    if request.driver == "cdi":
        return request.device_ids or []
    kind = _kind(registry, request)
    if request.device_ids:
        return [f"{kind}={name}" for name in request.device_ids]
    single = [name for name in registry.devices if name.startswith(f"{kind}=") and name.partition("=")[2].isdigit()]
    single.sort(key=lambda name: int(name.partition("=")[2]))
    if request.count < 0:
        return [f"{kind}=all"] if f"{kind}=all" in registry.devices or not single else single
    if request.count > len(single):
        raise UsageError(
            f"{request.count} GPUs were asked for, and {kind} has {len(single)}",
            hint=f"offered: {', '.join(sorted(registry.devices))}",
        )
    return single[: request.count]


def _kind(registry: Registry, request: DeviceRequest) -> str:
    """The vendor whose GPUs are meant. Raises UsageError, in Docker's words, and says what is missing."""
    offered = {name.partition("=")[0] for name in registry.devices}
    candidates = [VENDORS[request.driver]] if request.driver in VENDORS else [] if request.driver else VENDORS.values()
    for kind in candidates:
        if kind in offered and any("gpu" in alternative for alternative in request.capabilities):
            return kind
    asked = " ".join(f"[{' '.join(alternative)}]" for alternative in request.capabilities)
    files = ", ".join(map(str, registry.files)) or f"no file in {' and '.join(registry.directories)}"
    raise UsageError(
        f'could not select device driver "{request.driver}" with capabilities: [{asked}]',
        hint=f"read: {files}; none offers a GPU of that kind; {cdi_specs.ADVICE}",
    )
