"""A name → an image of the store.

ask for the manifest; out of an index choose ours ─→ its config (small) ─→ its layers, three at a time:
    wait for whoever downloads the same ── download ─┬─ hash, unpack, hash again (image.layers) ── rename
                                                     └─ into a file that the unpacking follows
─→ the record that makes it an image ─→ its names
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import msgspec

from minidock.errors import InvalidImage, MinidockError, RegistryError
from minidock.model import Progress

from .. import manifest as docs
from .. import platforms
from ..manifest import Descriptor, Manifest, Platform
from ..reference import Reference
from ..store import Image, ImageStore
from . import words
from .auth import Credentials
from .client import SCHEMA_1, Found, Repository, repositories
from .layers import Fetching
from .sources import remember

MAX_DEPTH = 4
"""An index may list indexes; none that is honest goes deeper."""

Tell = Callable[[Progress], None]


class Pulled(msgspec.Struct, frozen=True):
    """`digest` is of what the tag means: the index, where there is one. `fresh`: the name meant another before."""

    image: Image
    digest: str
    fresh: bool


def pull(
    store: ImageStore, name: Reference, *, platform: str = "", tell: Tell, credentials: Credentials | None = None
) -> Pulled:
    """One image, by tag or digest. Raises RegistryError in Docker's words, InvalidImage."""
    wanted = platforms.parse_platform(platform) if platform else platforms.host_platform()
    last: MinidockError | None = None
    for repository in repositories(store.layout, name, mirrors=True, credentials=credentials):
        with closing(repository):
            try:
                return _Pull(store, repository, name, wanted, bool(platform), tell).run()
            except RegistryError as error:
                last = error
                if not repository.wire.server.mirror:
                    raise words.of_pull(error, name) from error
    assert last is not None
    raise last


def pull_all(
    store: ImageStore, name: Reference, *, platform: str = "", tell: Tell, credentials: Credentials | None = None
) -> list[Pulled]:
    """Every tag of the repository."""
    tags: list[str] = []
    for repository in repositories(store.layout, name, mirrors=True, credentials=credentials):
        with closing(repository):
            try:
                tags = repository.tags()
                break
            except RegistryError as error:
                if not repository.wire.server.mirror:
                    raise words.of_pull(error, name) from error
    pulled = []
    for tag in tags:
        one = msgspec.structs.replace(name, tag=tag)
        pulled.append(pull(store, one, platform=platform, tell=tell, credentials=credentials))
        tell(Progress("", f"Digest: {pulled[-1].digest}"))
    return pulled


@contextlib.contextmanager
def closing(repository: Repository) -> Iterator[None]:
    try:
        yield
    finally:
        repository.wire.close()


class _Pull:
    """One image from one repository."""

    def __init__(
        self, store: ImageStore, repository: Repository, name: Reference, wanted: Platform, asked: bool, tell: Tell
    ) -> None:
        self.store = store
        self.repository = repository
        self.name = name
        self.wanted = wanted
        self.asked = asked
        self.tell = tell

    def run(self) -> Pulled:
        with self.store.bringing_in():
            found = self._find()
            self.tell(Progress(self.name.tag or self.name.familiar, f"Pulling from {self.name.path}"))
            image = self._known(found.digest) or self._bring(found)
            fresh = self._give_names(image, found.digest)
        return Pulled(self.store.find(image.id), found.digest, fresh)

    def _find(self) -> Found:
        """Only what the tag means now, where that is enough: registries count manifests that are fetched."""
        which = self.name.digest or self.name.tag
        if found := self.repository.look(which):
            if self.name.digest and found.digest != self.name.digest:
                raise InvalidImage(f"manifest {self.name.digest} has the digest {found.digest}")
            if self._known(found.digest):
                return found
            which = found.digest
        return self.repository.manifest(which)

    def _known(self, digest: str) -> Image | None:
        """The image that a manifest's or index's digest was seen to mean, if it is the one for our platform."""
        image_id = self.store.read_tags().get(f"{self.name.name}@{digest}")
        image = self.store.find(image_id) if image_id else None
        if (
            image is not None
            and self.asked
            and (image.os, image.architecture) != (self.wanted.os, self.wanted.architecture)
        ):
            return None
        return image

    def _give_names(self, image: Image, digest: str) -> bool:
        """Only a name that was asked for is given; the digest is remembered with it."""
        before = self.store.read_tags().get(self.name.full)
        self.store.tag(image, f"{self.name.name}@{digest}")
        if self.name.tag:
            self.store.tag(image, msgspec.structs.replace(self.name, digest="").full)
        return before != image.id

    # From the manifest down

    def _bring(self, found: Found) -> Image:
        raw = self._choose(found.raw or self.repository.manifest(found.digest).raw, found.media_type, 0)
        manifest = docs.parse_manifest(raw)
        config = self._document(manifest.config)
        diff_ids = docs.parse_config(config).rootfs.diff_ids
        if len(manifest.layers) != len(diff_ids):
            raise InvalidImage(f"image manifest lists {len(manifest.layers)} layers, and its config {len(diff_ids)}")
        if manifest.config.digest in self.store.ids():
            self._remember(manifest, diff_ids)
            return self.store.find(manifest.config.digest)
        fetching = Fetching(self.store, self.repository, self.tell)
        layers = fetching.run(list(zip(manifest.layers, diff_ids, strict=True)))
        self._remember(manifest, diff_ids)
        return self.store.add_image(config, layers, manifest=raw)

    def _remember(self, manifest: Manifest, diff_ids: list[str]) -> None:
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
            remember(self.store, diff_id, layer, self.name.name)

    def _choose(self, raw: bytes, media_type: str, depth: int) -> bytes:
        """The image manifest itself, out of however many indexes are around it."""
        if media_type in SCHEMA_1:
            hint = "push the image again with a newer tool"
            raise InvalidImage(f"{self.name.familiar}: image manifests of schema 1 are not supported", hint=hint)
        if media_type in docs.MANIFESTS:
            return raw
        if media_type not in docs.INDEXES:
            raise InvalidImage(f"{self.name.familiar}: unknown media type of a manifest: {media_type[:100] or 'none'}")
        if depth >= MAX_DEPTH:
            raise InvalidImage(f"{self.name.familiar}: indexes within indexes, more than {MAX_DEPTH} deep")
        index = docs.parse_index(raw)
        best = platforms.choose(index.manifests, self.wanted)
        if best is None:
            offered = ", ".join(sorted({str(one.platform) for one in index.manifests if one.platform}))
            raise InvalidImage(
                f"no matching manifest for {self.wanted} in the manifest list entries",
                hint=f"it has {offered}" if offered else "it lists no platforms",
            )
        inner = self.repository.manifest(best.digest)
        _check_size(best, inner.raw)
        return self._choose(inner.raw, best.media_type, depth + 1)

    def _document(self, descriptor: Descriptor) -> bytes:
        """A config. It may be large for a document, never for our memory."""
        if descriptor.size > docs.MAX_DOCUMENT:
            raise InvalidImage(f"image config of {descriptor.size} bytes is larger than {docs.MAX_DOCUMENT} bytes")
        with contextlib.suppress(InvalidImage):
            return self.store.blob(descriptor.digest)
        raw = self.repository.blob(descriptor.digest).body(descriptor.size)
        _check_size(descriptor, raw)
        if (actual := docs.digest_of(raw)) != descriptor.digest:
            raise InvalidImage(f"image config {descriptor.digest} has the digest {actual}")
        return raw


def _check_size(descriptor: Descriptor, raw: bytes) -> None:
    if len(raw) != descriptor.size:
        raise InvalidImage(f"blob {descriptor.digest} has {len(raw)} bytes instead of {descriptor.size}")
