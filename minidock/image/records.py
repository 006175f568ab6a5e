"""What the store writes down about layers and images, and the image as it shows it to others."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from .manifest import Descriptor, ImageConfig


class Layer(msgspec.Struct, frozen=True):
    """A layer that the store has, blob and unpacked: what add_image needs to know of it."""

    diff_id: str
    blob: Descriptor


class LayerRecord(msgspec.Struct, frozen=True):
    """layer.json. `size` in bytes of its files; `opaque`: nothing below this layer shows through."""

    size: int
    entries: int
    opaque: bool = False


class ImageRecord(msgspec.Struct, frozen=True):
    """records/HEX.json."""

    id: str
    manifest: Descriptor
    size: int
    created: str
    parent: str = ""
    """Id of the image that this one was made from on this machine; empty when it came from elsewhere."""


class Image(msgspec.Struct, frozen=True):
    """An image of the store, as everybody else sees it."""

    id: str
    """sha256:… of the config."""
    tags: list[str]
    """Familiar names with tags: busybox:latest."""
    digests: list[str]
    """Familiar names with the digests of manifests: busybox@sha256:…"""
    config: ImageConfig
    """The OCI image config; how to run it is in `config.config`."""
    diff_ids: list[str]
    """Lowest layer first."""
    size: int
    """Bytes of the files of all layers."""
    created: str
    """RFC 3339."""
    manifest_digest: str
    architecture: str
    os: str
    variant: str = ""
    parent: str = ""

    @property
    def platform(self) -> str:
        """linux/amd64, linux/arm/v7"""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
