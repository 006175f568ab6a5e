"""Which of an index's images runs on a machine: names of platforms, as people and Go write them."""

from __future__ import annotations

import os

from minidock.errors import UsageError

from .manifest import Descriptor, Platform

MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
}
"""uname(2) machine → the names of Go, which OCI uses: GOARCH and variant."""

# fmt: off
ARCHITECTURES = frozenset((
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc", "ppc64", "ppc64le", "loong64",
    "mips", "mipsle", "mips64", "mips64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm",
))
SYSTEMS = frozenset((
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl",
    "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
))
# fmt: on
"""What Go knows (containerd/platforms, database.go)."""

ALIASES = {
    "macos": "darwin",
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "armhf": "arm",
    "armel": "arm",
}


def host_platform() -> Platform:
    machine = os.uname().machine
    architecture, variant = MACHINES.get(machine, (machine, ""))
    return Platform(architecture, "linux", variant=variant)


def parse_platform(text: str) -> Platform:
    """`os`, `architecture`, `os/arch` or `os/arch/variant` as in --platform. Raises UsageError."""
    parts = text.lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise UsageError(f'"{text}": invalid platform: write it as linux/amd64 or linux/arm/v7')
    host = host_platform()
    if len(parts) == 1:
        return _parse_one(text, parts[0], host)
    return Platform(ALIASES.get(parts[1], parts[1]), parts[0], variant=parts[2] if len(parts) == 3 else "")


def _parse_one(text: str, word: str, host: Platform) -> Platform:
    """The other half is the host's. As by Docker, only here an unknown word is refused."""
    name = ALIASES.get(word, word)
    if name in ARCHITECTURES:
        return Platform(name, "linux")
    if name not in SYSTEMS:
        raise UsageError(f'"{text}": unknown operating system or architecture: invalid argument')
    return Platform(host.architecture, name, variant=host.variant)


def choose(descriptors: list[Descriptor], wanted: Platform) -> Descriptor | None:
    """The best manifest of an index for a platform, or None. One that names no platform fits any, but last."""
    ranked = [(rank, descriptor) for descriptor in descriptors if (rank := _fitness(descriptor, wanted)) > 0]
    # max() keeps the first of equals: the order of an index is its author's preference.
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _fitness(descriptor: Descriptor, wanted: Platform) -> int:
    """0 doesn't run here; else the higher the better."""
    if "vnd.docker.reference.type" in descriptor.annotations:  # an attestation about another manifest
        return 0
    offered = descriptor.platform
    if offered is None:
        return 1
    if (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return 0
    mine, theirs = _variant(wanted), _variant(offered)
    if mine == theirs:
        return 100
    # A newer ARM runs programs for an older one: v7 runs v6 and v5, never the other way.
    return 50 + theirs if wanted.architecture == "arm" and theirs < mine else 0


def _variant(platform: Platform) -> int:
    """The variant as a number; what goes without saying is v7 on arm, v8 on arm64, v1 on amd64."""
    assumed = {"arm": 7, "arm64": 8, "amd64": 1}.get(platform.architecture, 0)
    digits = platform.variant.removeprefix("v")
    return int(digits) if digits.isdigit() else assumed
