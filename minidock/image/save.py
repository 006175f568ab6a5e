"""`save`: images → one archive that says the same in both languages.

    blobs/sha256/HEX   configs, manifests and layers, byte for byte as they came
    index.json         OCI: which manifests there are, and their names     oci-layout says that this is one
    manifest.json      Docker: for each image the files of its config and layers, and its names
    repositories       Docker before 1.10, as it is still written: names only

The same images give the same bytes: members are sorted, and nobody's clock or user is in the headers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from minidock.errors import ImageNotFound, MinidockError

from . import manifest as docs
from . import reference
from .archive import DockerItem
from .compression import CHUNK
from .garbage import chain_ids
from .manifest import Index
from .store import Image, ImageStore
from .tarheader import BLOCK, DIRECTORY, REGULAR
from .tarwriter import RECORD


class Saved(msgspec.Struct, frozen=True):
    """An image that goes into the archive, under these full names; none when it was asked for by id."""

    image: Image
    names: list[str]


def save(store: ImageStore, names: list[str], out: BinaryIO) -> None:
    """Write an archive of the images. A repository without tag means all its tags. Raises ImageNotFound."""
    with store.bringing_in():  # so that nothing is collected while we read it
        chosen = _chosen(store, names)
        documents = {
            "index.json": docs.encode(_index(store, chosen)),
            "manifest.json": msgspec.json.encode([_docker_item(store, saved) for saved in chosen]),
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "repositories": msgspec.json.encode(_repositories(chosen), order="sorted"),
        }
        written = 0
        for name in ("blobs/", "blobs/sha256/"):
            written += out.write(header(name, DIRECTORY, 0))
        for digest in sorted({digest for saved in chosen for digest in _blobs(store, saved.image)}):
            written += _write_file(out, blob_name(digest), store.blob_path(digest))
        for name, raw in documents.items():
            written += _write(out, name, io.BytesIO(raw), len(raw))
        written += out.write(bytes(2 * BLOCK))
        out.write(bytes(-written % RECORD))


def _chosen(store: ImageStore, names: list[str]) -> list[Saved]:
    """The images in the order in which they were named first, each with all the names it was asked for by."""
    chosen: dict[str, Saved] = {}
    tags = store.read_tags()
    for text in names:
        for image, full in _meant(store, text, tags):
            saved = chosen.setdefault(image.id, Saved(image, []))
            if full and full not in saved.names:
                saved.names.append(full)
    return list(chosen.values())


def _meant(store: ImageStore, text: str, tags: dict[str, str]) -> Iterator[tuple[Image, str]]:
    if text.startswith(f"{reference.ALGORITHM}:"):  # an id, though it reads as a name and a tag
        yield store.find(text), ""
        return
    try:
        wanted = reference.parse(text)
    except MinidockError:
        wanted = None
    if wanted is not None and not wanted.tag and not wanted.digest:
        fulls = [full for full in tags if full.startswith(f"{wanted.name}:") and "@" not in full]
        if fulls:
            yield from ((store.find(tags[full]), full) for full in fulls)
            return
        try:
            yield store.find(text), ""
        except ImageNotFound:
            raise ImageNotFound(text) from None
        return
    if wanted is not None and wanted.tagged().full not in tags:
        raise MinidockError("reference does not exist")
    yield store.find(text), wanted.full if wanted is not None and wanted.tag else ""


def blob_name(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _blobs(store: ImageStore, image: Image) -> list[str]:
    layers = store.manifest(image).layers
    return [image.id, image.manifest_digest, *(layer.digest for layer in layers)]


# The documents


def _index(store: ImageStore, chosen: list[Saved]) -> Index:
    descriptors = []
    for saved in chosen:
        plain = store.record(saved.image.id).manifest
        for full in saved.names:
            annotations = {
                "io.containerd.image.name": full,
                "org.opencontainers.image.ref.name": reference.parse(full).tag,
            }
            descriptors.append(msgspec.structs.replace(plain, annotations=annotations))
        if not saved.names:
            descriptors.append(plain)
    return Index(schema_version=2, media_type=docs.OCI_INDEX, manifests=descriptors)


def _docker_item(store: ImageStore, saved: Saved) -> DockerItem:
    return DockerItem(
        config=blob_name(saved.image.id),
        repo_tags=[reference.familiar(full) for full in saved.names] or None,
        layers=[blob_name(layer.digest) for layer in store.manifest(saved.image).layers],
    )


def _repositories(chosen: list[Saved]) -> dict[str, dict[str, str]]:
    """Repository → tag → the name of the top layer, for which anything will do since Docker 1.10."""
    found: dict[str, dict[str, str]] = {}
    for saved in chosen:
        for full in saved.names:
            name = reference.parse(full)
            top = chain_ids(saved.image.diff_ids)[-1:] or [saved.image.id]
            found.setdefault(name.familiar_name, {})[name.tag] = top[0].removeprefix("sha256:")
    return found


# The tar


def header(name: str, kind: bytes, size: int) -> bytes:
    """A ustar header of a file or directory of root's, made at the beginning of time."""
    mode = b"0000755" if kind == DIRECTORY else b"0000644"
    fields = [
        name.encode().ljust(100, b"\0"),
        mode + b"\0",
        b"0000000\0" * 2,
        _size_field(size),
        b"00000000000\0",
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\00000",
        bytes(64),
        b"0000000\0" * 2,
    ]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _size_field(size: int) -> bytes:
    """Octal, or from 8 GiB on GNU's binary form, which everybody reads."""
    if size < 8 << 30:
        return b"%011o\0" % size
    return b"\x80" + size.to_bytes(11, "big")


def _write_file(out: BinaryIO, name: str, path: Path) -> int:
    try:
        with open(path, "rb") as file:
            return _write(out, name, file, path.stat().st_size)
    except FileNotFoundError:
        raise MinidockError(f"{name} is missing from the store") from None


def _write(out: BinaryIO, name: str, file: BinaryIO, size: int) -> int:
    """One member; returns how many bytes it took."""
    out.write(header(name, REGULAR, size))
    left = size
    while left:
        data = file.read(min(CHUNK, left))
        if not data:
            raise MinidockError(f"{name} in the store is shorter than it was")
        out.write(data)
        left -= len(data)
    padding = -size % BLOCK
    out.write(bytes(padding))
    return BLOCK + size + padding
