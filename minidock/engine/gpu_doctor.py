"""doctor gpu: what is between a container and this host's GPUs. Looked at, never changed.

In the order in which a program would fail: the card, its driver, the nodes, the libraries, the CDI files, the filter.
`root` is where the host's /proc, /dev, /sys and /usr are, for tests.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from minidock.engine import cdi_specs, gpu_amd, gpu_nvidia
from minidock.engine.cdi_specs import CdiSpec, DeviceNode, Registry
from minidock.errors import MinidockError
from minidock.kernel import bpf, cgroups, device_filter
from minidock.network.doctor import Finding

NVIDIA_PCI = "0x10de"
DISPLAY = ("0x0300", "0x0302", "0x0380", "0x1200")
"""PCI classes, without the interface: VGA, 3D and other display controllers, processing accelerators."""
MAKE_ANEW = "minidock cdi generate -o FILE writes it anew"


def examine(directories: Sequence[str], root: Path = Path("/")) -> list[Finding]:
    """`bad` is what keeps a container from computing on a GPU of this host."""
    loaded = gpu_nvidia.version(root)
    nvidia, amd = gpu_nvidia.spec(root), gpu_amd.spec(root)
    rows = [*_cards(root, loaded)]
    if loaded:
        rows += [*_nvidia_nodes(root), *_nvidia_libraries(root, loaded)]
    if amd:
        rows += _amd_nodes(root)
    registry = cdi_specs.read(directories)
    rows += _specs(registry, [made for made in (nvidia, amd) if made], root)
    return [*rows, *_filter()]


# the card and its driver


def _cards(root: Path, loaded: str) -> Iterator[Finding]:
    cards = [*_pci(root)]
    gpus = len([*(root / gpu_nvidia.GPUS).glob("*/information")])
    amd, kfd = [slot for slot, vendor in cards if vendor == gpu_amd.PCI_VENDOR], (root / "dev/kfd").exists()
    nvidia = [slot for slot, vendor in cards if vendor == NVIDIA_PCI]
    if not cards and not loaded and not kfd:
        yield Finding("bad", "card", "there is no GPU of NVIDIA or AMD on this host's PCI bus", "none can be given")
    if loaded and gpus:
        yield Finding("ok", "driver", f"NVIDIA's {loaded} is loaded and has {gpus} GPUs")
    elif loaded:
        yield Finding(
            "bad", "driver", f"NVIDIA's {loaded} is loaded and has found no GPU", "dmesg | grep NVRM says why"
        )
    elif nvidia:
        advice = "install the driver (nvidia-driver), or modprobe nvidia"
        yield Finding("bad", "driver", f"{', '.join(nvidia)}: NVIDIA's, and no driver of theirs is loaded", advice)
    if kfd and gpu_amd.render_nodes(root):
        yield Finding("ok", "driver", f"amdgpu is loaded and has {len(gpu_amd.render_nodes(root))} GPUs")
    elif amd and not kfd:
        advice = "modprobe amdgpu; its firmware is in firmware-amd-graphics"
        yield Finding("bad", "driver", f"{', '.join(amd)}: AMD's, and there is no /dev/kfd", advice)


def _pci(root: Path) -> Iterator[tuple[str, str]]:
    """(slot, vendor) of what draws or computes."""
    for path in sorted((root / "sys/bus/pci/devices").glob("*")):
        try:
            vendor, kind = ((path / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:  # gone while we look
            continue
        if vendor in (NVIDIA_PCI, gpu_amd.PCI_VENDOR) and kind[:6] in DISPLAY:
            yield path.name, vendor


# nodes and libraries


def _nvidia_nodes(root: Path) -> Iterator[Finding]:
    majors = gpu_nvidia.majors(root)
    if "nvidia-uvm" not in majors:
        advice = "nvidia-modprobe -u, or modprobe nvidia-uvm; then make CDI files anew"
        yield Finding("bad", "nodes", "the module nvidia-uvm isn't loaded: CUDA will find no device", advice)
    missing, wrong = [], []
    made = gpu_nvidia.spec(root)
    nodes = [*made.container_edits.device_nodes, *made.devices[-1].container_edits.device_nodes] if made else []
    known = {majors.get(name) for name in ("nvidia", "nvidia-frontend", "nvidia-uvm", "nvidia-caps")}
    for node in nodes:
        if not node.path.startswith("/dev/nvidia"):
            continue
        facts = _device(root / node.path[1:])
        if facts is None:
            missing.append(node.path)
        elif os.major(facts.st_rdev) not in known:
            wrong.append(node.path)
    if wrong:
        text = f"{', '.join(wrong)}: of a number that no driver has now"
        yield Finding("bad", "nodes", text, f"rm {' '.join(wrong)}; nvidia-modprobe -u -c=0 makes them anew")
    if missing:
        text = f"{', '.join(missing)}: not made yet on the host; containers get them by number"
        yield Finding("note", "nodes", text, "nvidia-modprobe -u -c=0 makes them")
    if nodes and not missing and not wrong:
        yield Finding("ok", "nodes", f"{len(nodes)} nodes are there, with the driver's numbers")


def _device(path: Path) -> os.stat_result | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts if stat.S_ISCHR(facts.st_mode) else None


def _nvidia_libraries(root: Path, loaded: str) -> Iterator[Finding]:
    found = gpu_nvidia.libraries(root, loaded)
    names = {path.name.partition(".so")[0] for path in found}
    lacking = [name for name in ("libcuda", "libnvidia-ml") if name not in names]
    if lacking:
        others = sorted({version for version in _versions(root) if version != loaded})
        if others:
            text = f"the libraries are of version {', '.join(others)}, the loaded module is {loaded}"
            advice = "reboot, or unload and load the module: the driver was updated under it"
        else:
            text = f"{' and '.join(lacking)} of version {loaded} not found"
            advice = "install the driver's libraries (Debian: libcuda1, libnvidia-ml1)"
        yield Finding("bad", "libraries", text, advice)
    else:
        places = ", ".join(sorted({str(path.parent) for path in found}))
        yield Finding("ok", "libraries", f"{len(found)} of version {loaded} in {places}")
    if not gpu_nvidia.program(root, "nvidia-smi"):
        yield Finding("note", "libraries", "there is no nvidia-smi on the host: none comes into containers")


def _versions(root: Path) -> Iterator[str]:
    for place in gpu_nvidia.LIBRARY_PLACES:
        for path in (root / place).glob("libcuda.so.*.*"):
            yield path.name.removeprefix("libcuda.so.")


def _amd_nodes(root: Path) -> Iterator[Finding]:
    nodes = [root / "dev/kfd", *(root / "dev/dri" / path.name for path in gpu_amd.render_nodes(root))]
    missing = [f"/{path.relative_to(root)}" for path in nodes if not path.exists()]
    if missing:
        yield Finding("note", "nodes", f"{', '.join(missing)}: not made on the host; containers get them by number")
    else:
        yield Finding("ok", "nodes", f"{len(nodes)} nodes of AMD's are there")


# CDI files


def _specs(registry: Registry, present: Sequence[CdiSpec], root: Path) -> Iterator[Finding]:
    for where, what in registry.problems.items():
        text = f"{where}: {what}" if where.startswith("/") else what
        yield Finding("bad", "CDI files", text, "mend or remove it: nothing of it can be used")
    for made in present:
        mine = {found.file: found.spec for found in registry.devices.values() if found.spec.kind == made.kind}
        for file, spec in mine.items():
            problems = [*_stale(spec, made, root)]
            for problem in problems:
                yield Finding("bad", "CDI files", f"{file}: {problem}", MAKE_ANEW.replace("FILE", str(file)))
            if not problems:
                yield Finding("ok", "CDI files", f"{file} offers {len(spec.devices)} devices of {made.kind}")
        if not mine:
            yield Finding("ok", "CDI files", f"none offers {made.kind}: --gpus looks at the driver at each start")
    if not present and not registry.problems:
        yield Finding("note", "CDI files", f"{len(registry.files)} in {' and '.join(registry.directories)}")


def _stale(spec: CdiSpec, now: CdiSpec, root: Path) -> Iterator[str]:
    """What a file says that isn't true any more."""
    loaded, written = (made.annotations.get(gpu_nvidia.MADE_FOR, "") for made in (now, spec))
    if written and written != loaded:
        yield f"made for version {written}, and {loaded} is loaded"
        return
    edits = [spec.container_edits, *(device.container_edits for device in spec.devices)]
    paths = {mount.host_path for each in edits for mount in each.mounts}
    paths |= {hook.path for each in edits for hook in each.hooks}
    gone = sorted(path for path in paths if not os.path.exists(path))
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        yield f"there is no {gone[0]}{more}"
    numbers = {node.path: node for each in (now.container_edits, *(d.container_edits for d in now.devices))
               for node in each.device_nodes}  # fmt: skip
    for node in {node.path: node for each in edits for node in each.device_nodes}.values():
        if problem := _wrong_number(node, numbers.get(node.path), root):
            yield problem


def _wrong_number(node: DeviceNode, now: DeviceNode | None, root: Path) -> str:
    facts = _device(Path(node.host_path or root / node.path.lstrip("/")))
    if node.major is None:
        return "" if facts else f"there is no {node.host_path or node.path}"
    major = os.major(facts.st_rdev) if facts else now.major if now else None
    return "" if major in (None, node.major) else f"{node.path} has the major {major} now, and not {node.major}"


# the device filter


def _filter() -> Iterator[Finding]:
    found = cgroups.discover()
    if found.v2_mount:
        try:
            os.close(bpf.load(device_filter.program(device_filter.DEFAULT_DEVICE_RULES), "minidock_device"))
        except MinidockError as error:
            yield Finding("bad", "device filter", f"the kernel takes no program for it: {error}", "run it as root")
        else:
            yield Finding("ok", "device filter", f"a BPF program on the cgroup, below {found.v2_mount}")
    elif "devices" in found.v1:
        yield Finding("ok", "device filter", f"version 1 of cgroups, {found.v1['devices']}/…/devices.allow")
    else:
        advice = "mount -t cgroup2 none /sys/fs/cgroup"
        yield Finding("bad", "device filter", "no cgroup hierarchy is mounted that can filter devices", advice)
