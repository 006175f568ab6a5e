"""Manifest lists being put together, kept where and as Docker's client keeps them: either goes on with the other's.

    ~/.docker/manifests/LIST/IMAGE    of each image: its name, descriptor with platform, and the manifest itself

In file names ":" is "-" and "/" is "_". A list exists while its directory does; `push` makes it one document, first
bringing over what its images have in other repositories of the same registry.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from minidock import files
from minidock.errors import InvalidImage, MinidockError, NotFound, RegistryError
from minidock.paths import Layout

from .. import manifest as docs
from ..manifest import Descriptor
from ..reference import Reference, parse
from . import config
from .client import Repository, repositories
from .pull import closing

Entry = dict[str, Any]
"""Ref, Descriptor, Raw in base64, and SchemaV2Manifest or OCIManifest: what `manifest inspect -v` shows."""


class Lists:
    """All lists of this user."""

    def __init__(self) -> None:
        self.root = config.path().parent / "manifests"

    def _directory(self, name: Reference) -> Path:
        return self.root / _file_name(name)

    def exists(self, name: Reference) -> bool:
        return self._directory(name).is_dir()

    def entry(self, name: Reference, image: Reference) -> Entry:
        """One image's. Raises NotFound."""
        try:
            return _read(self._directory(name) / _file_name(image))
        except FileNotFoundError:
            raise NotFound(f"No such manifest: {image.full}") from None

    def entries(self, name: Reference) -> list[Entry]:
        """All, by file name. Raises NotFound."""
        if not self.exists(name):
            raise NotFound(f"No such manifest: {name.full}")
        return [_read(path) for path in sorted(self._directory(name).iterdir()) if not path.name.startswith(".")]

    def save(self, name: Reference, image: Reference, entry: Entry) -> None:
        self._directory(name).mkdir(parents=True, exist_ok=True, mode=0o755)
        files.write_atomic(self._directory(name) / _file_name(image), json.dumps(entry).encode())

    def remove(self, name: Reference) -> None:
        """Raises NotFound."""
        if not self.exists(name):
            raise NotFound(f"No such manifest: {name.full}")
        shutil.rmtree(self._directory(name))


def _read(path: Path) -> Entry:
    try:
        found: Entry = msgspec.json.decode(path.read_bytes(), type=Entry)
    except msgspec.MsgspecError as error:
        raise InvalidImage(f"{path}: not JSON that says what an image is: {error}") from None
    return found


def _file_name(name: Reference) -> str:
    return name.full.replace(":", "-").replace("/", "_")


def document(target: Reference, entries: list[Entry]) -> bytes:
    """The list itself, as Docker writes it. Raises MinidockError when its images are of another registry."""
    listed = []
    for entry in entries:
        domain, described = parse(entry["Ref"]).domain, entry["Descriptor"]
        if domain != target.domain:
            sentence = "cannot use source images from a different registry than the target image"
            raise MinidockError(f"{sentence}: {domain} != {target.domain}")
        listed.append({key: described[key] for key in ("mediaType", "size", "digest", "platform") if key in described})
    first = listed[0]["mediaType"] if listed else ""
    media_type = docs.OCI_INDEX if first == docs.OCI_MANIFEST else docs.DOCKER_INDEX
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": listed}, indent=3).encode()


def push(layout: Layout, target: Reference, entries: list[Entry], *, insecure: bool, say: Callable[[str], None]) -> str:
    """Put the list into the registry; its digest. Raises MinidockError, RegistryError."""
    for entry in entries:
        platform = entry["Descriptor"].get("platform") or {}
        if not platform.get("os") or not platform.get("architecture"):
            raise MinidockError(f"manifest {entry['Ref']} must have an OS and Architecture to be pushed to a registry")
    raw = document(target, entries)
    (repository,) = repositories(layout, target, insecure=insecure)
    with closing(repository):
        for entry in entries:
            source = parse(entry["Ref"])
            if source.path != target.path:
                digest = _bring_over(repository, source, entry)
                say(f"Pushed ref {target.name}@{digest} with digest: {digest}")
        repository.put_manifest(target.tag, json.loads(raw)["mediaType"], raw)
    return docs.digest_of(raw)


def _bring_over(repository: Repository, source: Reference, entry: Entry) -> str:
    """An image of another repository: its blobs without sending them, where the registry mounts; then its manifest."""
    raw, described = base64.b64decode(entry["Raw"]), entry["Descriptor"]
    if docs.digest_of(raw) != described["digest"]:
        raise InvalidImage(f"manifest {described['digest']} has the digest {docs.digest_of(raw)}")
    manifest = docs.parse_manifest(raw)
    for blob in (*manifest.layers, manifest.config):
        if "nondistributable" in blob.media_type or ".foreign." in blob.media_type or repository.has_blob(blob.digest):
            continue
        if location := repository.begin_upload(mount=blob.digest, origin=source.path):
            _copy(repository, source, blob, location)
    repository.put_manifest(described["digest"], described["mediaType"], raw)
    return str(described["digest"])


def _copy(repository: Repository, source: Reference, blob: Descriptor, location: str) -> None:
    """By way of us. The registry checks the digest."""

    def pieces() -> Iterator[bytes]:
        answer = Repository(repository.wire, source.path).blob(blob.digest)
        while data := answer.read(256 << 10):
            yield data

    try:
        repository.send_whole(location, blob.digest, blob.size, pieces)
    except RegistryError as error:
        raise RegistryError(f"{source.familiar}: {error.message}", status=error.status, code=error.code) from error
