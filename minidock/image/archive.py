"""`load`: images out of an archive, as docker save (old and new), skopeo, buildah, podman and umoci write them.

Two families. An OCI layout has an index.json that leads by digests to manifests, configs and layers below blobs/.
Docker's own archive has a manifest.json that names files. Newer Dockers write both into one archive; the OCI part is
the one that has digests to check, so it is preferred.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from minidock.errors import InvalidImage, MinidockError

from . import manifest as docs
from . import platforms, reference
from .layers import workplace
from .manifest import Descriptor, Platform
from .members import Archive, opened, read_document, shown

if TYPE_CHECKING:
    from .store import Image, ImageStore, Layer

MAX_INDEX_DEPTH = 4
"""An index may list indexes; none that is honest goes deeper."""

Say = Callable[[str], None]


class DockerItem(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of Docker's manifest.json."""

    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


def load(store: ImageStore, source: BinaryIO | Path, *, say: Say, platform: str | None = None) -> list[str]:
    """Take in all images of an archive; returns the lines that `docker load` prints, and says them as they come.

    Raises InvalidImage for what can't be trusted or understood, MinidockError when reading or writing fails.
    Images before the one that fails stay.
    """
    wanted = platforms.parse_platform(platform) if platform else platforms.host_platform()
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    with contextlib.ExitStack() as stack:
        stack.enter_context(store.bringing_in())
        place = stack.enter_context(workplace(store))
        archive = stack.enter_context(opened(source, lambda: tempfile.TemporaryFile(dir=place)))  # noqa: SIM115
        if archive.has("index.json") and archive.has("oci-layout"):
            _load_layout(store, archive, wanted, platform is not None, tell)
        elif archive.has("manifest.json"):
            _load_docker(store, archive, tell)
        else:
            raise InvalidImage(
                "not an archive of images: it has neither manifest.json nor index.json",
                hint="minidock import makes an image of a plain root file system",
            )
    return lines


def _name(store: ImageStore, image: Image, names: Iterable[str], tell: Say) -> None:
    """Give the image its names and tell them, or its id when it has none."""
    named = False
    for name in names:
        before = store.tag(image, name)
        shown_name = reference.parse(name).tagged().familiar
        if before is not None:
            tell(f"The image {shown_name} already exists, renaming the old one with ID {before} to empty string")
        tell(f"Loaded image: {shown_name}")
        named = True
    if not named:
        tell(f"Loaded image ID: {image.id}")


# Docker's own archives


def _load_docker(store: ImageStore, archive: Archive, tell: Say) -> None:
    items = docs.decode(read_document(archive, "manifest.json"), list[DockerItem], "manifest.json")
    if not items:
        raise InvalidImage("the archive has no image: its manifest.json is empty")
    for item in items:
        for name in item.repo_tags or ():
            reference.parse(name)  # before anything is written
    for item in items:
        config = read_document(archive, item.config)
        diff_ids = docs.parse_config(config).rootfs.diff_ids
        names = item.layers or []
        if len(names) != len(diff_ids):
            raise InvalidImage(f"manifest.json lists {len(names)} layers, and the image config {len(diff_ids)}")
        layers = [_docker_layer(store, archive, name, diff) for name, diff in zip(names, diff_ids, strict=True)]
        _name(store, store.add_image(config, layers), item.repo_tags or (), tell)


def _docker_layer(store: ImageStore, archive: Archive, name: str, diff_id: str) -> Layer:
    read, size = archive.open(name)
    # Where the tar itself is filed already, its digest is its diff id, and nothing needs to be read.
    return store.add_layer(read, size=size, diff_id=diff_id)


# OCI layouts


def _load_layout(store: ImageStore, archive: Archive, wanted: Platform, asked: bool, tell: Say) -> None:
    layout = docs.decode(read_document(archive, "oci-layout"), dict[str, Any], "oci-layout")
    version = layout.get("imageLayoutVersion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise InvalidImage(f"OCI layout has the unknown version {version!r}")
    index = docs.parse_index(read_document(archive, "index.json"))
    groups = _groups(index.manifests, wanted, asked)
    if not groups:
        raise InvalidImage(f"the archive has no image for {wanted}")
    for names, descriptor in groups:
        _name(store, _layout_image(store, archive, descriptor, wanted, asked, 0), names, tell)


def _groups(descriptors: list[Descriptor], wanted: Platform, asked: bool) -> list[tuple[list[str], Descriptor]]:
    """The images to load: descriptors of one name for several platforms are one image, those of one digest too."""
    by_name: dict[str, list[Descriptor]] = {}
    for descriptor in descriptors:
        if "vnd.docker.reference.type" in descriptor.annotations:
            continue
        name = _annotated_name(descriptor)
        # Without names, what differs in platform is one image; what says no platform is an image of its own.
        key = name or ("" if descriptor.platform else descriptor.digest)
        by_name.setdefault(key, []).append(descriptor)
    chosen: dict[str, tuple[list[str], Descriptor]] = {}
    for same in by_name.values():
        best = platforms.choose(same, wanted) or (None if asked or len(same) > 1 else same[0])
        if best is None:
            raise InvalidImage(f"the archive has no image for {wanted}: {_offered(same)}")
        name = _annotated_name(best)
        chosen.setdefault(best.digest, ([], best))[0].extend([name] if name else [])
    return list(chosen.values())


def _annotated_name(descriptor: Descriptor) -> str:
    """containerd's annotation has the full name. The OCI's may be only a tag, and then names nothing by itself."""
    full = descriptor.annotations.get("io.containerd.image.name", "")
    name = full or descriptor.annotations.get("org.opencontainers.image.ref.name", "")
    if not full and ":" not in name and "/" not in name:
        return ""
    try:
        return reference.parse(name).tagged().full
    except MinidockError:
        if full:
            raise
        return ""


def _offered(descriptors: list[Descriptor]) -> str:
    return "it has " + ", ".join(str(each.platform) for each in descriptors if each.platform)


def _layout_image(
    store: ImageStore, archive: Archive, descriptor: Descriptor, wanted: Platform, asked: bool, depth: int
) -> Image:
    raw = _document(archive, descriptor)
    if descriptor.media_type in docs.INDEXES:
        if depth >= MAX_INDEX_DEPTH:
            raise InvalidImage(f"indexes within indexes, more than {MAX_INDEX_DEPTH} deep")
        index = docs.parse_index(raw)
        best = platforms.choose(index.manifests, wanted)
        if best is None:
            raise InvalidImage(f"the image has nothing for {wanted}: {_offered(index.manifests)}")
        return _layout_image(store, archive, best, wanted, asked, depth + 1)
    if descriptor.media_type not in docs.MANIFESTS:
        raise InvalidImage(f"unknown media type in an image index: {descriptor.media_type}")
    manifest = docs.parse_manifest(raw)
    config = _document(archive, manifest.config)
    parsed = docs.parse_config(config)
    if asked and (parsed.os or "linux", parsed.architecture) != (wanted.os, wanted.architecture):
        raise InvalidImage(f"the image is for {parsed.os}/{parsed.architecture}, not {wanted}")
    diff_ids = parsed.rootfs.diff_ids
    if len(manifest.layers) != len(diff_ids):
        raise InvalidImage(f"image manifest lists {len(manifest.layers)} layers, and its config {len(diff_ids)}")
    layers = [_layout_layer(store, archive, layer, diff) for layer, diff in zip(manifest.layers, diff_ids, strict=True)]
    return store.add_image(config, layers, manifest=raw)


def _blob_name(digest: str) -> str:
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _document(archive: Archive, descriptor: Descriptor) -> bytes:
    """A manifest or config that is as long and has the digest that its descriptor says."""
    docs.check_descriptor(descriptor)
    raw = read_document(archive, _blob_name(descriptor.digest))
    if len(raw) != descriptor.size:
        raise InvalidImage(f"blob {descriptor.digest} has {len(raw)} bytes instead of {descriptor.size}")
    if (actual := docs.digest_of(raw)) != descriptor.digest:
        raise InvalidImage(f"blob {shown(descriptor.digest)} has the digest {actual}")
    return raw


def _layout_layer(store: ImageStore, archive: Archive, layer: Descriptor, diff_id: str) -> Layer:
    read, _ = archive.open(_blob_name(layer.digest))
    return store.add_layer(read, media_type=layer.media_type, digest=layer.digest, size=layer.size, diff_id=diff_id)
