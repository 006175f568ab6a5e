"""NVIDIA_DRIVER_CAPABILITIES: which of the driver's libraries and programs a container gets.

An image says what it is for (`ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility`), `--gpus capabilities=` overrules it,
and without both it is utility and compute: CUDA and nvidia-smi, as with NVIDIA's own runtime. The lists are those of
libnvidia-container, src/nvc_info.c; a library that no list has comes in always, since a newer driver may need it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from minidock.errors import UsageError

VARIABLE = "NVIDIA_DRIVER_CAPABILITIES"
DEFAULT = frozenset({"utility", "compute"})
KNOWN = frozenset({"compute", "compat32", "graphics", "utility", "video", "display", "ngx"})

LIBRARIES = {
    "utility": "libnvidia-ml libnvidia-cfg libnvidia-nscq libnvidia-sandboxutils",
    "compute": "libcuda libcudadebugger libnvidia-opencl libnvidia-gpucomp libnvidia-ptxjitcompiler "
    "libnvidia-fatbinaryloader libnvidia-allocator libnvidia-compiler libnvidia-pkcs11 libnvidia-pkcs11-openssl3 "
    "libnvidia-nvvm libnvidia-nvvm70 libnvidia-tileiras",
    "video": "libvdpau_nvidia libnvidia-encode libnvidia-opticalflow libnvcuvid",
    "graphics": "libnvidia-eglcore libnvidia-glcore libnvidia-tls libnvidia-glsi libnvidia-fbc libnvidia-ifr "
    "libnvidia-rtcore libnvoptix libGLX_nvidia libEGL_nvidia libGLESv2_nvidia libGLESv1_CM_nvidia libnvidia-glvkspirv "
    "libnvidia-cbl libnvidia-egl-gbm libnvidia-egl-wayland libnvidia-vulkan-producer",
    "ngx": "libnvidia-ngx",
}
PROGRAMS = {
    "utility": "nvidia-smi nvidia-debugdump nvidia-persistenced nv-fabricmanager",
    "compute": "nvidia-cuda-mps-control nvidia-cuda-mps-server",
    "ngx": "nvidia-ngx-updater",
}
OWNER = {name: key for table in (LIBRARIES, PROGRAMS) for key, names in table.items() for name in names.split()}


def wanted(env: Sequence[str], asked: Iterable[Sequence[str]]) -> frozenset[str]:
    """What the container is to have. `asked` are its requests' capabilities. Raises UsageError for unknown ones."""
    named = {word for alternative in asked for word in alternative} & (KNOWN | {"all"})
    if not named:
        lines = dict(line.partition("=")[::2] for line in env)
        named = {word.strip() for word in lines.get(VARIABLE, "").split(",")} - {""}
    if "all" in named:
        return KNOWN
    if named == {"none"}:
        return frozenset()
    if unknown := named - KNOWN:
        raise UsageError(
            f"unsupported capabilities found in {VARIABLE}: {','.join(sorted(unknown))}",
            hint=f"there are: all, none, {', '.join(sorted(KNOWN))}",
        )
    return frozenset(named) or DEFAULT


def belongs(path: str, capabilities: frozenset[str]) -> bool:
    """Whether a file of the driver comes in: `libnvidia-ml.so.1` with utility."""
    name = os.path.basename(path).partition(".so")[0]
    owner = OWNER.get(name, "")
    if owner == "graphics":  # a window needs what draws in it
        return bool(capabilities & {"graphics", "display"})
    return not owner or owner in capabilities
