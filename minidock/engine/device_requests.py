"""--gpus and DeviceRequests: from "two GPUs" to names of CDI devices, and on to the container's config.json.

The engine knows no vendor's hooks. A GPU comes into a container by the CDI files of its vendor (cdi_specs.py), whether
it was asked for by number, by name or by its full CDI name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from minidock import spec
from minidock.engine import cdi_edits, cdi_specs, gpu_capabilities, gpu_finish, gpu_runtime
from minidock.engine.cdi_specs import Found, Registry
from minidock.engine.record import Record
from minidock.engine.userns import settings
from minidock.errors import UsageError
from minidock.model.cdi import CdiListing, CdiOffer
from minidock.model.host import DeviceRequest
from minidock.paths import Layout
from minidock.steps import Step

VENDORS = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}


DIRECTORIES_VARIABLE = "MINIDOCK_CDI_SPEC_DIRS"
"""How `minidock daemon --cdi-spec-dir` tells those processes that make containers for it; a colon between two."""


def directories(layout: Layout) -> list[str]:
    """Where this instance looks for CDI files, lowest priority first."""
    told = [place for place in os.environ.get(DIRECTORIES_VARIABLE, "").split(":") if place]
    return told or settings(layout).cdi_spec_dirs or list(cdi_specs.DIRECTORIES)


SPEC_DIRECTORIES = "cdi-spec-dirs"
"""Of a request's options: `run --cdi-spec-dir`, several with colons between them."""


def asked_directories(requests: Sequence[DeviceRequest]) -> list[str]:
    given = [request.options.get(SPEC_DIRECTORIES, "") for request in requests]
    return list(dict.fromkeys(place for words in given for place in words.split(":") if place))


def listing(layout: Layout, asked: list[str] | None = None) -> CdiListing:
    """What the files offer: `minidock cdi ls`."""
    registry = cdi_specs.read(asked or directories(layout))
    rows = []
    for name, found in sorted(registry.devices.items()):
        edits = (found.spec.container_edits, found.device.container_edits)
        counts = [sum(len(getattr(each, part)) for each in edits) for part in ("device_nodes", "mounts", "hooks")]
        rows.append(CdiOffer(name, str(found.file), *counts))
    return CdiListing(registry.directories, rows, registry.problems)


class Injected(msgspec.Struct, frozen=True):
    """The config with the devices in it, and the steps that they take besides."""

    config: spec.Spec
    before: list[Step] = []
    """The host's."""
    root: list[Step] = []
    """The child's, once its layers are mounted."""


def inject(layout: Layout, config: spec.Spec, record: Record) -> Injected:
    """All devices that were asked for. Raises UsageError."""
    run_dir = layout.container_run(record.id)
    requests = gpu_runtime.requests(record.host_config, config.process.env if config.process else [])
    if not requests:
        return Injected(config)
    registry = with_drivers(cdi_specs.read(asked_directories(requests) or directories(layout)), requests)
    registry = with_none(registry, requests)
    names = [name for request in requests for name in device_names(registry, request)]
    capabilities: list[frozenset[str]] = []

    def trim(made: cdi_specs.CdiSpec, edits: cdi_specs.Edits) -> cdi_specs.Edits:
        if gpu_finish.is_ours(made) and not capabilities:
            env = config.process.env if config.process else []
            capabilities.append(gpu_capabilities.wanted(env, [c for request in requests for c in request.capabilities]))
        return gpu_finish.trim(made, edits, capabilities[0]) if capabilities else edits

    edits = cdi_specs.resolve(registry, names, trim)
    made = cdi_edits.apply(config, edits)
    gpus = [name for r in requests if r.driver != "cdi" for name in device_names(registry, r)]
    made = gpu_finish.environment(made, requests, gpus)
    if not capabilities:
        return Injected(made)
    made, before = gpu_finish.params(made, run_dir)
    return Injected(made, before, gpu_finish.loader(str(run_dir / "rootfs"), edits))


def with_drivers(registry: Registry, requests: Sequence[DeviceRequest], root: Path = Path("/")) -> Registry:
    """With what `cdi generate` would write, for GPUs of a kind that no file offers: --gpus needs none then."""
    offered = {name.partition("=")[0] for name in registry.devices}
    wanted = {name.partition("=")[0] for request in requests for name in request.device_ids or []}
    wanted |= {VENDORS[request.driver] for request in requests if request.driver in VENDORS}
    by_count = any(request.driver != "cdi" for request in requests)
    if not (wanted & set(VENDORS.values()) - offered) and not (by_count and not offered & set(VENDORS.values())):
        return registry
    from minidock.engine import cdi_generate

    devices = dict(registry.devices)
    for made in cdi_generate.present(root):
        if made.kind not in offered:
            found = [Found(Path(f"the driver of {made.kind}"), made, device) for device in made.devices]
            devices.update({f"{made.kind}={each.device.name}": each for each in found})
    return msgspec.structs.replace(registry, devices=devices)


def with_none(registry: Registry, requests: Sequence[DeviceRequest]) -> Registry:
    """And the device `none` where it is asked for, as NVIDIA's runtime knows it: what all GPUs share, and no GPU."""
    kind, name = VENDORS["nvidia"], gpu_runtime.DRIVER_ALONE
    shared = next((found for device, found in registry.devices.items() if device.startswith(f"{kind}=")), None)
    if shared is None or not any(name in (request.device_ids or []) for request in requests):
        return registry
    nothing = Found(shared.file, shared.spec, cdi_specs.CdiDevice(name, cdi_specs.Edits()))
    return msgspec.structs.replace(registry, devices={f"{kind}={name}": nothing} | registry.devices)


def device_names(registry: Registry, request: DeviceRequest) -> list[str]:
    """What one request means."""
    if request.count and request.device_ids:
        raise UsageError("cannot set both Count and DeviceIDs on device request")
    if request.driver == "cdi":
        return request.device_ids or []
    kind = _kind(registry, request)
    if request.device_ids:
        return [name if cdi_specs.is_name(name) else f"{kind}={name}" for name in request.device_ids]
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
