"""An image of the store → a name at its registry.

    each layer, top first, five at a time:  there already? ─→ mounted from another repository? ─→ sent
    ─→ the config ─→ the manifest, which makes it an image there

A layer that came from a registry goes out as it came. One that lies here as a plain tar is packed on the way, and the
manifest says so; what it became is remembered, so that the next push needn't pack it to know that it is there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

from minidock.errors import MinidockError, RegistryError
from minidock.model.events import Progress

from .. import manifest as docs
from ..manifest import Descriptor, Manifest
from ..reference import Reference
from ..reference import parse as parse_name
from ..store import Image, ImageStore
from .auth import Credentials
from .client import Repository, repositories
from .compress import PLAIN, PackedFile
from .pull import closing
from .sources import remember, sources
from .together import together
from .upload import send

AT_ONCE = 5
"""Docker's max-concurrent-uploads."""
TRIES = 3
"""Other repositories that a blob is asked for in; each question takes time, and sending may be quicker."""

Tell = Callable[[Progress], None]


def push(store: ImageStore, name: Reference, *, tell: Tell, credentials: Credentials | None = None) -> tuple[str, int]:
    """Digest and size of the manifest that the registry has now. Raises ImageNotFound, RegistryError."""
    image = store.find(name.full)
    (repository,) = repositories(store.layout, name, credentials=credentials)
    with store.bringing_in(), closing(repository):
        try:
            raw, media_type = _Push(store, repository, name, tell).run(image)
            repository.put_manifest(name.tag, media_type, raw)
        except RegistryError as error:
            raise _plain(error) from error
        digest = docs.digest_of(raw)
        store.tag(image, f"{name.name}@{digest}")
    tell(Progress("", f"{name.tag}: digest: {digest} size: {len(raw)}"))
    return digest, len(raw)


def _plain(error: RegistryError) -> RegistryError:
    """Who may not push is told that, without the address that said so, as Docker does."""
    if error.code not in ("UNAUTHORIZED", "DENIED"):
        return error
    message = error.message.rpartition('": ')[2]
    return RegistryError(message, status=error.status, code=error.code, hint="minidock login says who you are")


class _Push:
    def __init__(self, store: ImageStore, repository: Repository, name: Reference, tell: Tell) -> None:
        self.store = store
        self.repository = repository
        self.name = name
        self._tell_all = tell
        self._telling = threading.Lock()
        self._sent: dict[str, Descriptor] = {}

    def run(self, image: Image) -> tuple[bytes, str]:
        """Send all that the manifest lists; its bytes and media type."""
        manifest = self.store.manifest(image)
        layers = dict(reversed(list(zip(image.diff_ids, manifest.layers, strict=True))))
        for diff_id in layers:
            self.tell(diff_id, "Preparing")
        self.repository.wire.connect()
        jobs: list[Callable[[], None]] = [
            lambda diff_id=diff_id, blob=blob: self._layer(diff_id, blob)  # type: ignore[misc]
            for diff_id, blob in layers.items()
        ]
        for diff_id in list(layers)[AT_ONCE:]:
            self.tell(diff_id, "Waiting")
        together(jobs, AT_ONCE, self.repository.wire.stop)
        self._config(manifest.config)
        if all(self._sent[diff_id].digest == layers[diff_id].digest for diff_id in layers):
            return self.store.blob(image.manifest_digest), self.store.record(image.id).manifest.media_type
        return _packed(manifest, [self._sent[diff_id] for diff_id in image.diff_ids]), docs.DOCKER_MANIFEST

    def tell(self, diff_id: str, status: str, current: int = 0, total: int = 0) -> None:
        with self._telling:
            self._tell_all(Progress(diff_id.removeprefix("sha256:")[:12], status, current, total))

    def _config(self, config: Descriptor) -> None:
        if not self.repository.has_blob(config.digest):
            self._send(config, self.repository.begin_upload(), lambda done: None)

    # A layer's thread

    def _layer(self, diff_id: str, blob: Descriptor) -> None:
        if "nondistributable" in blob.media_type or ".foreign." in blob.media_type:
            self._sent[diff_id] = blob
            return self.tell(diff_id, "Skipped foreign layer")
        known = self._known(diff_id, blob)
        for candidate in [one for one, repository in known if repository == self.name.name][:TRIES]:
            if self.repository.has_blob(candidate.digest):
                return self._done(diff_id, candidate, "Layer already exists")
        location = ""
        for candidate, repository in [pair for pair in known if self._can_mount(pair[1])][:TRIES]:
            origin = parse_name(repository).path
            location = self.repository.begin_upload(mount=candidate.digest, origin=origin)
            if not location:
                shown = parse_name(repository).familiar_name if self.name.domain == "docker.io" else origin
                return self._done(diff_id, candidate, f"Mounted from {shown}")
        location = location or self.repository.begin_upload()
        if blob.media_type in PLAIN:
            sent = self._pack(diff_id, blob, location)
        else:
            sent = blob
            self._send(blob, location, lambda done: self.tell(diff_id, "Pushing", done, blob.size))
        return self._done(diff_id, sent, "Pushed")

    def _known(self, diff_id: str, blob: Descriptor) -> list[tuple[Descriptor, str]]:
        """Blobs that hold this layer, with the repositories that have them; what we would send always among them."""
        found = [(one.blob, one.repository) for one in sources(self.store, diff_id)]
        if blob.media_type in PLAIN:
            return [pair for pair in found if pair[0].media_type not in PLAIN]
        return [(blob, self.name.name), *(pair for pair in found if pair[0].digest == blob.digest)]

    def _can_mount(self, repository: str) -> bool:
        return repository != self.name.name and repository.startswith(f"{self.name.domain}/")

    def _done(self, diff_id: str, blob: Descriptor, status: str) -> None:
        self._sent[diff_id] = blob
        remember(self.store, diff_id, blob, self.name.name)
        self.tell(diff_id, status)

    def _send(self, blob: Descriptor, location: str, tell: Callable[[int], None]) -> None:
        path = self.store.blob_path(blob.digest)
        if not path.exists():
            raise MinidockError(f"blob {blob.digest} is missing from the store")
        send(self.repository, location, path, blob, tell)

    def _pack(self, diff_id: str, blob: Descriptor, location: str) -> Descriptor:
        """Packed while it is sent: the registry learns digest and size at the end."""
        packing = PackedFile(self.store.blob_path(blob.digest))

        def pieces() -> Iterator[bytes]:
            for piece in packing.pieces():
                yield piece
                self.tell(diff_id, "Pushing", packing.read, blob.size)

        location = self.repository.send_stream(location, pieces)
        self.repository.finish_upload(location, packing.blob.digest)
        return packing.blob


def _packed(manifest: Manifest, layers: list[Descriptor]) -> bytes:
    """A manifest for layers that have changed their packing, written the way Docker writes one."""

    def described(media_type: str, blob: Descriptor) -> dict[str, object]:
        return {"mediaType": media_type, "size": blob.size, "digest": blob.digest}

    types = {
        docs.OCI_LAYER + "+gzip": docs.DOCKER_LAYER + ".gzip",
        docs.OCI_LAYER + "+zstd": docs.DOCKER_LAYER + ".zstd",
    }
    document = {
        "schemaVersion": 2,
        "mediaType": docs.DOCKER_MANIFEST,
        "config": described(docs.DOCKER_CONFIG, manifest.config),
        "layers": [described(types.get(blob.media_type, blob.media_type), blob) for blob in layers],
    }
    return json.dumps(document, indent=3).encode()
