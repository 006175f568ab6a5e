"""CDI, the Container Device Interface: files in which vendors say what their device needs inside a container.

    /etc/cdi/*.json, *.yaml        written by people and packages
    /var/run/cdi/*.json, *.yaml    written by programs that have looked at the machine; wins over the first

A file has one kind, `vendor.com/class`, and devices with names: together `vendor.com/class=name`. This module reads
the files and finds the device that a name means; cdi_edits.py does what it says. The rules are those of the
specification, 1.1.0 (github.com/cncf-tags/container-device-interface, SPEC.md, and its schema).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from minidock.errors import UsageError

DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
"""Lowest priority first."""
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
KIND = re.compile(r"([A-Za-z](?:[\w.-]*[A-Za-z0-9])?)/([A-Za-z](?:[\w.-]*[A-Za-z0-9])?)", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?", re.ASCII)
ADVICE = "minidock cdi generate -o /etc/cdi/gpu.json makes a file for the driver of NVIDIA or AMD that is loaded"


class Cdi(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What a later version adds must not be left out in silence: an unknown member makes the file invalid."""


class DeviceNode(Cdi, frozen=True):
    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class CdiMount(Cdi, frozen=True):
    host_path: str
    container_path: str
    options: list[str] = []
    type: str = ""


class CdiHook(Cdi, frozen=True):
    hook_name: str
    path: str
    args: list[str] = []
    env: list[str] | None = None
    timeout: int | None = None


class NetDevice(Cdi, frozen=True):
    host_interface_name: str
    name: str


class Edits(Cdi, frozen=True):
    """containerEdits: what is added to a container's config.json."""

    env: list[str] = []
    device_nodes: list[DeviceNode] = []
    mounts: list[CdiMount] = []
    hooks: list[CdiHook] = []
    additional_gids: list[int] = []
    net_devices: list[NetDevice] = []
    intel_rdt: dict[str, Any] | None = None


class CdiDevice(Cdi, frozen=True):
    name: str
    container_edits: Edits
    annotations: dict[str, str] = {}


class CdiSpec(Cdi, frozen=True):
    """One file."""

    cdi_version: str
    kind: str
    devices: list[CdiDevice]
    container_edits: Edits = Edits()
    annotations: dict[str, str] = {}


class Found(msgspec.Struct, frozen=True):
    """A device, with the file that it comes from."""

    file: Path
    spec: CdiSpec
    device: CdiDevice


Change = Callable[[CdiSpec, Edits], Edits]


class Registry(msgspec.Struct, frozen=True):
    """All that the directories offer: devices by their whole name, and what is wrong by file."""

    directories: list[str]
    files: list[Path]
    devices: dict[str, Found]
    problems: dict[str, str]


def host_path(root: Path, name: str) -> str:
    """hostPath of a node of /dev below another root; empty for the host's own, which is at the same path."""
    return "" if root == Path("/") else str(root / "dev" / name)


def is_name(word: str) -> bool:
    """Whether a value of --device means a CDI device: `vendor.com/class=name`, and no path."""
    kind, equals, name = word.partition("=")
    return bool(equals and KIND.fullmatch(kind) and NAME.fullmatch(name))


def read(directories: Sequence[str] = DIRECTORIES) -> Registry:
    """Every file of every directory. One that is invalid is left out and remembered: others may not need it.

    Two files that offer the same device: the later directory wins; within one directory nobody does, for it would
    depend on the order of names.
    """
    files: list[Path] = []
    devices: dict[str, Found] = {}
    problems: dict[str, str] = {}
    for directory in directories:
        here: dict[str, Found] = {}
        torn: set[str] = set()
        for path in _files(directory):
            files.append(path)
            try:
                spec = load(path)
            except UsageError as error:
                problems[str(path)] = error.message
                continue
            for device in spec.devices:
                name = f"{spec.kind}={device.name}"
                if name in here:
                    torn.add(name)
                    problems[name] = f"both {here[name].file} and {path} have {name}"
                here[name] = Found(path, spec, device)
        devices.update(here)
        for name in torn:
            del devices[name]
    return Registry(list(directories), files, devices, problems)


def _files(directory: str) -> Iterator[Path]:
    """Those directly in it: the specification knows no subdirectories."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = Path(directory, name)
        if path.suffix in (".json", ".yaml") and path.is_file():
            yield path


def load(path: Path) -> CdiSpec:
    """Raises UsageError with the first thing that is wrong with a file."""
    try:
        raw = path.read_bytes()
        spec = msgspec.convert(without_nulls(_parse(path, raw)), CdiSpec)
    except OSError as error:
        raise UsageError(f"can't be read: {os.strerror(error.errno or 0).lower()}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # YAML can hold itself
        raise UsageError(f"not a CDI specification: {error}") from error
    check(spec)
    return spec


def _parse(path: Path, raw: bytes) -> Any:  # noqa: ANN401 - whatever the file holds
    if path.suffix == ".json":
        return msgspec.json.decode(raw)
    import yaml

    try:
        return yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are the safe one
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def without_nulls(value: Any) -> Any:  # noqa: ANN401
    """Programs in Go write null for what isn't there."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def check(spec: CdiSpec) -> None:
    """What the schema can't say. Raises UsageError."""
    version = spec.cdi_version.removeprefix("v")
    if version not in VERSIONS:
        raise UsageError(f'unknown cdiVersion "{spec.cdi_version}": known are {VERSIONS[0]} to {VERSIONS[-1]}')
    needed = needed_version(spec)
    if VERSIONS.index(version) < VERSIONS.index(needed):
        raise UsageError(f"cdiVersion {version} hasn't all that the file uses: it must be at least {needed}")
    if not KIND.fullmatch(spec.kind):
        raise UsageError(f'"{spec.kind}" is not a kind: it would be vendor.com/class')
    if not spec.devices:
        raise UsageError("it has no devices")
    names = [device.name for device in spec.devices]
    for name in names:
        if not NAME.fullmatch(name):
            raise UsageError(f'"{name}" is not a name for a device')
        if names.count(name) > 1:
            raise UsageError(f"it has the device {name} twice")
    for device in spec.devices:
        if device.container_edits == Edits():
            raise UsageError(f"device {device.name} has empty containerEdits")
    for edits in _all_edits(spec):
        _check_edits(edits)


def _check_edits(edits: Edits) -> None:
    for line in edits.env:
        if line.find("=") <= 0:
            raise UsageError(f'"{line}" is not a variable')
    for node in edits.device_nodes:
        if not node.path:
            raise UsageError("a device node has no path")
        if node.type not in ("", "b", "c", "u", "p"):
            raise UsageError(f'"{node.type}" is not a type of device ({node.path})')
        if node.permissions != "none" and set(node.permissions) - set("rwm"):
            raise UsageError(f'"{node.permissions}" are not permissions ({node.path})')
    for mount in edits.mounts:
        if not mount.host_path or not mount.container_path:
            raise UsageError("a mount lacks hostPath or containerPath")
    for hook in edits.hooks:
        if hook.hook_name not in HOOKS:
            raise UsageError(f'there is no hook "{hook.hook_name}"')
        if not hook.path.startswith("/") or any(line.find("=") <= 0 for line in hook.env or []):
            raise UsageError(f"the hook {hook.path or hook.hook_name} has no absolute path, or no variables for env")
    for names in zip(*((device.host_interface_name, device.name) for device in edits.net_devices), strict=True):
        if "" in names or len(set(names)) < len(names):
            raise UsageError(f"net devices without name, or with one twice: {', '.join(names)}")


def _all_edits(spec: CdiSpec) -> list[Edits]:
    return [spec.container_edits, *(device.container_edits for device in spec.devices)]


def needed_version(spec: CdiSpec) -> str:
    """The first version of the specification that has everything a file uses."""
    edits = _all_edits(spec)
    rdt = [each.intel_rdt for each in edits if each.intel_rdt is not None]
    uses = {
        "1.1.0": any(each.net_devices for each in edits) or any({"schemata", "enableMonitoring"} & set(x) for x in rdt),
        "0.7.0": bool(rdt) or any(each.additional_gids for each in edits),
        "0.6.0": bool(spec.annotations)
        or any(device.annotations for device in spec.devices)
        or "." in spec.kind.partition("/")[2],
        "0.5.0": any(node.host_path for each in edits for node in each.device_nodes)
        or any(device.name[:1].isdigit() for device in spec.devices),
        "0.4.0": any(mount.type for each in edits for mount in each.mounts),
    }
    return next((version for version, used in uses.items() if used), "0.3.0")


def resolve(registry: Registry, names: Sequence[str], change: Change | None = None) -> list[Edits]:
    """The edits of the devices, in the order in which they were asked for; those of a whole file once, and first.

    `change` is asked for each, with the file that it is of.

    Raises UsageError that says what was read and what it offers.
    """
    missing = [name for name in names if name not in registry.devices]
    if missing:
        raise UsageError(
            f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}",
            hint=_offer(registry, missing),
        )
    rows: list[Edits] = []
    used: list[Path] = []
    for name in dict.fromkeys(names):
        found = registry.devices[name]
        added = [found.device.container_edits]
        if found.file not in used:
            used.append(found.file)
            added.insert(0, found.spec.container_edits)
        rows += [change(found.spec, edits) for edits in added] if change else added
    return rows


def _offer(registry: Registry, missing: Sequence[str]) -> str:
    """What a user needs to know to go on."""
    read = f"read: {', '.join(map(str, registry.files)) or 'no file'} in {' and '.join(registry.directories)}"
    offered = f"they offer {', '.join(sorted(registry.devices))}" if registry.devices else "no device is offered"
    wrong = [f"{where}: {what}" if where.startswith("/") else what for where, what in registry.problems.items()]
    unknown = {name.partition("=")[0] for name in missing} - {name.partition("=")[0] for name in registry.devices}
    return "; ".join([read, offered, *wrong, *([ADVICE] if unknown else [])])
