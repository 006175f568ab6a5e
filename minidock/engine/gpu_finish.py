"""What an NVIDIA container needs and a CDI file can't say, since it depends on the container: done at each start.

The makers' files leave it to hooks, programs that run in the container's root. Files that minidock made have no hooks,
and are known by their annotation; for those it

- leaves out the libraries of capabilities that the container doesn't want (gpu_capabilities.py),
- covers /proc/driver/nvidia/params with a copy that says ModifyDeviceFiles: 0, or else the driver's libraries would
  make nodes in the container for GPUs that it hasn't got,
- puts the libraries into the cache of the image's loader (runtime/ldcache.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from minidock import spec
from minidock.engine import elf, gpu_capabilities, gpu_nvidia
from minidock.engine.cdi_specs import CdiSpec, Edits
from minidock.engine.environment import merge_env
from minidock.engine.generated import WriteText
from minidock.model.host import DeviceRequest
from minidock.runtime.ldcache import AddLibraries, Entry
from minidock.steps import Step

PARAMS = f"/{gpu_nvidia.PARAMS}"
LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
LOADER_FLAGS = {"x86_64": 0x303, "aarch64": 0xA03}
"""glibc's sysdeps/generic/dl-cache.h and ldconfig.h: FLAG_ELF_LIBC6 and the machine."""
COVERED = ["bind", "ro", "nosuid", "nodev", "noexec"]


def is_ours(made: CdiSpec) -> bool:
    return made.kind == gpu_nvidia.KIND and gpu_nvidia.MADE_FOR in made.annotations


def trim(made: CdiSpec, edits: Edits, capabilities: frozenset[str]) -> Edits:
    """The edits without what the capabilities don't ask for; those of somebody else's file as they are."""
    if not is_ours(made):
        return edits
    mounts = [mount for mount in edits.mounts if gpu_capabilities.belongs(mount.container_path, capabilities)]
    return msgspec.structs.replace(edits, mounts=mounts)


def environment(config: spec.Spec, requests: Sequence[DeviceRequest], names: Sequence[str]) -> spec.Spec:
    """The variables that Docker sets for --gpus: what was asked for, in the words of NVIDIA's runtime."""
    shown = [name.partition("=")[2] for name in names if name.partition("=")[0] == gpu_nvidia.KIND]
    asked = {word for request in requests for words in request.capabilities for word in words}
    lines = [f"NVIDIA_VISIBLE_DEVICES={','.join(dict.fromkeys(shown))}"] if shown else []
    if known := asked & (gpu_capabilities.KNOWN | {"all"}):
        lines.append(f"{gpu_capabilities.VARIABLE}={','.join(sorted(known))}")
    process = config.process
    if process is None or not lines:
        return config
    return msgspec.structs.replace(config, process=msgspec.structs.replace(process, env=merge_env(process.env, lines)))


def params(config: spec.Spec, run_dir: Path, root: Path = Path("/")) -> tuple[spec.Spec, list[Step]]:
    """The config with the driver's parameters covered, and the host's step that writes what covers them."""
    try:
        text = (root / gpu_nvidia.PARAMS).read_text()
    except FileNotFoundError:
        return config, []
    cover = run_dir / "nvidia-params"
    changed = re.sub(r"(?m)^ModifyDeviceFiles: 1$", "ModifyDeviceFiles: 0", text)
    mount = spec.Mount(destination=PARAMS, type="bind", source=str(cover), options=COVERED)
    return msgspec.structs.replace(config, mounts=[*config.mounts, mount]), [WriteText(str(cover), changed)]


def loader(rootfs: str, added: Iterable[Edits]) -> list[Step]:
    """The child's step for the libraries among the mounts that were added, by machine: one, as a rule."""
    found: dict[str, dict[tuple[str, str], Entry]] = {}
    for mount in (mount for edits in added for mount in edits.mounts):
        name = os.path.basename(mount.container_path)
        if ".so" not in name:
            continue
        library = elf.read(Path(mount.host_path))
        if library is None:
            continue
        entry = Entry(name, mount.container_path, LOADER_FLAGS[library.machine])
        found.setdefault(library.machine, {})[(name, mount.container_path)] = entry
    return [AddLibraries(rootfs, list(rows.values()), LOADERS[machine]) for machine, rows in found.items()]
