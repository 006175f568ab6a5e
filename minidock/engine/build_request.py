"""What `build` is asked for, and what came of it: plain values between the command line and the engine."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from minidock.model.host import HostConfig


class SecretSource(msgspec.Struct, frozen=True):
    """--secret: a file, or a variable of the environment."""

    file: str = ""
    env: str = ""


class Output(msgspec.Struct, frozen=True):
    """-o: `kind` is image, local, tar, oci or docker; `dest` a path, `-` for standard output; `names` as with -t."""

    kind: str = "image"
    dest: str = ""
    names: list[str] = []


class BuildRequest(msgspec.Struct, frozen=True):
    """`limits` are those of all RUNs; `epoch` is SOURCE_DATE_EPOCH."""

    context: str
    file: str = ""
    tags: list[str] = []
    build_args: dict[str, str] = {}
    labels: dict[str, str] = {}
    target: str = ""
    platform: str = ""
    pull: bool = False
    no_cache: bool = False
    no_cache_stages: list[str] = []
    cache_from: list[str] = []
    only_cache_from: bool = False
    """Use nothing of the cache but what has led to one of these images, and pull none: the classic builder's way."""
    inline_cache: bool = False
    network: str = "default"
    contexts: dict[str, str] = {}
    """--build-context: name → directory, docker-image://NAME, or an address."""
    allow: list[str] = []
    """Entitlements (minidock.build.entitlements)."""
    limits: HostConfig = HostConfig()
    secrets: dict[str, SecretSource] = {}
    ssh: dict[str, list[str]] = {}
    """Id → an agent's socket, or files of keys (build_agents.py)."""
    outputs: list[Output] = []
    squash: bool = False
    epoch: int | None = None
    auths: dict[str, dict[str, str]] | None = None
    """API `AuthConfig`s by registry, from a client; None asks config.json."""


class Finding(msgspec.Struct, frozen=True):
    """One finding of the lint rules."""

    rule: str
    message: str
    line: int
    excerpt: str


class Checked(msgspec.Struct, frozen=True):
    findings: list[Finding]


class Built(msgspec.Struct, frozen=True):
    """`image_id` is empty when only files were asked for."""

    image_id: str
    manifest_digest: str = ""
    names: list[str] = []
    unused_args: list[str] = []
    findings: list[Finding] = []
