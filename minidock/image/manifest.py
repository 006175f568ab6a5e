"""The documents of an image: index → manifest → config and layers, as OCI image-spec 1.1 and Docker schema 2 have them.

The two families differ in media types only. What is read here comes from strangers: digests are checked before
they become file names, sizes before anything is read, and JSON that doesn't fit raises InvalidImage.
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from typing import Any, TypeVar

import msgspec

from minidock.digests import hex_digest
from minidock.errors import InvalidImage
from minidock.model.container import Healthcheck

from .reference import is_digest

T = TypeVar("T")

MAX_DOCUMENT = 8 << 20
"""Bytes of the largest manifest, index or config that is read; registries stop at 4 MiB."""

# Media types: https://github.com/opencontainers/image-spec/blob/main/media-types.md

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"

INDEXES = (OCI_INDEX, DOCKER_INDEX)
MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
CONFIGS = (OCI_CONFIG, DOCKER_CONFIG)
LAYERS = {
    OCI_LAYER,
    OCI_LAYER + "+gzip",
    OCI_LAYER + "+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    DOCKER_LAYER,
    DOCKER_LAYER + ".gzip",
    DOCKER_LAYER + ".zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
}
"""What a layer may be called. How it is packed is seen from its first bytes, as Docker does."""


class Document(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base: camelCase on the wire; members that we don't know are passed over, as the spec asks."""


class Platform(Document, frozen=True):
    architecture: str = ""
    os: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: list[str] = msgspec.field(name="os.features", default=[])
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Document, frozen=True):
    """Where bytes are, and how to know them again: `size` in bytes, `digest` as sha256:…"""

    media_type: str
    digest: str
    size: int
    urls: list[str] = []
    annotations: dict[str, str] = {}
    platform: Platform | None = None


class Manifest(Document, frozen=True):
    config: Descriptor
    layers: list[Descriptor]
    schema_version: int = msgspec.field(name="schemaVersion", default=0)
    media_type: str = ""
    annotations: dict[str, str] = {}


class Index(Document, frozen=True):
    manifests: list[Descriptor]
    schema_version: int = msgspec.field(name="schemaVersion", default=0)
    media_type: str = ""
    annotations: dict[str, str] = {}


# The config: what to run, and which layers. Its digest is the image's id.


class RunConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """How to run the image; members that the JSON lacks or has as null are empty, or None for the commands."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] = {}
    env: list[str] = []
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    on_build: list[str] = []
    shell: list[str] | None = None


class RootFS(msgspec.Struct, frozen=True):
    """`diff_ids`: digests of the unpacked layer tars, lowest layer first."""

    type: str = "layers"
    diff_ids: list[str] = []


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """OCI image configuration. Times are RFC 3339."""

    architecture: str = ""
    os: str = ""
    rootfs: RootFS = RootFS()
    config: RunConfig = RunConfig()
    created: str = ""
    author: str = ""
    comment: str = ""
    variant: str = ""
    os_version: str = msgspec.field(name="os.version", default="")
    docker_version: str = ""
    history: list[History] = []


# Reading


def decode(raw: bytes, kind: type[T], what: str) -> T:
    """JSON from a stranger, checked against `kind`. Raises InvalidImage naming `what`."""
    if len(raw) > MAX_DOCUMENT:
        raise InvalidImage(f"{what} is larger than {MAX_DOCUMENT} bytes")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidImage(f"{what} can't be understood: {error}") from error


def parse_manifest(raw: bytes) -> Manifest:
    """An image manifest with only media types that we know. Raises InvalidImage."""
    manifest = decode(raw, Manifest, "image manifest")
    if manifest.media_type and manifest.media_type not in MANIFESTS:
        raise InvalidImage(f"unknown media type of an image manifest: {manifest.media_type}")
    if manifest.config.media_type not in CONFIGS:
        raise InvalidImage(
            f"unknown media type of an image config: {manifest.config.media_type}",
            hint="this is not a container image but another kind of artifact",
        )
    for layer in manifest.layers:
        if layer.media_type not in LAYERS:
            raise InvalidImage(f"unknown media type of a layer: {layer.media_type}")
    for descriptor in (manifest.config, *manifest.layers):
        check_descriptor(descriptor)
    return manifest


def parse_index(raw: bytes) -> Index:
    """An index or manifest list. Raises InvalidImage."""
    index = decode(raw, Index, "image index")
    if index.media_type and index.media_type not in INDEXES:
        raise InvalidImage(f"unknown media type of an image index: {index.media_type}")
    for descriptor in index.manifests:
        check_descriptor(descriptor)
    return index


def check_descriptor(descriptor: Descriptor) -> None:
    """A digest becomes a file name, a size the number of bytes that we read: neither is taken on trust."""
    if not is_digest(descriptor.digest):
        raise InvalidImage(f"not a sha256 digest: {descriptor.digest[:100]!r}")
    if descriptor.size < 0:
        raise InvalidImage(f"negative size of {descriptor.digest}")


def parse_config(raw: bytes) -> ImageConfig:
    """An image config; null counts as absent, as Go's encoder writes it. Raises InvalidImage."""
    document = decode(raw, dict[str, Any], "image config")
    kept = _without_null(document)
    if isinstance(kept.get("config"), dict):
        kept["config"] = _without_null(kept["config"])
    if isinstance(kept.get("rootfs"), dict):
        kept["rootfs"] = _without_null(kept["rootfs"])
    try:
        config = msgspec.convert(kept, ImageConfig)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidImage(f"image config can't be understood: {error}") from error
    if config.rootfs.type != "layers":
        raise InvalidImage(f"image config has a root file system of unknown type {config.rootfs.type!r}")
    for diff_id in config.rootfs.diff_ids:
        if not is_digest(diff_id):
            raise InvalidImage(f"not a sha256 digest: {diff_id[:100]!r}")
    return config


def _without_null(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}


def encode(document: msgspec.Struct) -> bytes:
    """As JSON that stays the same for the same values: digests are taken of it."""
    return msgspec.json.encode(document, order="deterministic")


def encode_config(config: ImageConfig) -> bytes:
    """An image config as JSON. `config` is there even when it is empty: Docker can't do without."""
    document = msgspec.to_builtins(config)
    document.setdefault("config", {})
    document.setdefault("rootfs", msgspec.to_builtins(config.rootfs))
    if config.config.healthcheck is not None:  # Docker leaves out what isn't set; 0 would mean the same
        kept = {key: value for key, value in document["config"]["Healthcheck"].items() if value}
        document["config"]["Healthcheck"] = kept
    return msgspec.json.encode(document, order="deterministic")


def digest_of(raw: bytes) -> str:
    return "sha256:" + hex_digest(raw)
