"""A name → an image of the store.

ask for the manifest; out of an index choose ours ─→ its config (small) ─→ its layers, three at a time:
    wait for whoever downloads the same ── download ─┬─ hash, unpack, hash again (image.layers) ── rename
                                                     └─ into a file that the unpacking follows
─→ the record that makes it an image ─→ its names
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from minidock.errors import InvalidImage, MinidockError, RegistryError
from minidock.model.events import Progress
from minidock.steps import SILENT, Collector, Narrator, Step

from .. import manifest as docs
from .. import platforms
from ..manifest import Descriptor, Manifest, Platform
from ..reference import Reference
from ..store import Image, ImageStore
from . import moves, words
from .auth import Credentials
from .client import SCHEMA_1, Found, Repository, repositories
from .layers import Fetching
from .sources import remember

MAX_DEPTH = 4
"""An index may list indexes; none that is honest goes deeper."""

Tell = Callable[[Progress], None]
Result = TypeVar("Result")


class Pulled(msgspec.Struct, frozen=True):
    """`digest` is of what the tag means: the index, where there is one. `fresh`: the name meant another before."""

    image: Image
    digest: str
    fresh: bool


def pull(
    store: ImageStore,
    name: Reference,
    *,
    platform: str = "",
    tell: Tell,
    credentials: Credentials | None = None,
    narrator: Narrator = SILENT,
) -> Pulled:
    """One image, by tag or digest. Raises RegistryError in Docker's words, InvalidImage."""
    return _somewhere(store, name, platform, tell, credentials, narrator, _Pull.run)


def foretell(store: ImageStore, name: Reference, *, platform: str = "") -> list[Step]:
    """What pull() would do now: the registry is asked for documents, and nothing is written. Raises the same."""
    collector = Collector()
    _somewhere(store, name, platform, lambda progress: None, None, collector, _Pull.foretell)
    return collector.steps


def _somewhere(
    store: ImageStore,
    name: Reference,
    platform: str,
    tell: Tell,
    credentials: Credentials | None,
    narrator: Narrator,
    act: Callable[[_Pull], Result],
) -> Result:
    """At the first server that has it: the mirrors, then the registry itself."""
    wanted = platforms.parse_platform(platform) if platform else platforms.host_platform()
    last: MinidockError | None = None
    for repository in repositories(store.layout, name, mirrors=True, credentials=credentials):
        with closing(repository):
            try:
                return act(_Pull(store, repository, name, wanted, bool(platform), tell, narrator))
            except RegistryError as error:
                last = error
                if not repository.wire.server.mirror:
                    raise words.of_pull(error, name) from error
    assert last is not None
    raise last


def pull_all(
    store: ImageStore,
    name: Reference,
    *,
    platform: str = "",
    tell: Tell,
    credentials: Credentials | None = None,
    narrator: Narrator = SILENT,
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
        pulled.append(pull(store, one, platform=platform, tell=tell, credentials=credentials, narrator=narrator))
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
        self,
        store: ImageStore,
        repository: Repository,
        name: Reference,
        wanted: Platform,
        asked: bool,
        tell: Tell,
        narrator: Narrator,
    ) -> None:
        self.store = store
        self.repository = repository
        self.name, self.which = name, name.digest or name.tag
        self.wanted = wanted
        self.asked = asked
        self.tell = tell
        self.narrator = narrator

    def run(self) -> Pulled:
        with self.store.bringing_in():
            with self._told(lambda: moves.AskForManifest(self.repository.address(f"manifests/{self.which}"))):
                found = self._find()
            self.tell(Progress(self.name.tag or self.name.familiar, f"Pulling from {self.name.path}"))
            image = self._known(found.digest) or self._bring(found)
            with self._told(lambda: moves.GiveName(self.name.full)):
                fresh = self._give_names(image, found.digest)
        return Pulled(self.store.find(image.id), found.digest, fresh)

    def foretell(self) -> None:
        """Tell the narrator all that run() would, with what only the registry knows filled in."""
        found = self.repository.manifest(self.which)
        whole = found.media_type in docs.MANIFESTS
        url = self.repository.address(f"manifests/{self.which}")
        self.narrator.done(moves.AskForManifest(url, found.media_type, found.digest if whole else ""), 0)
        raw = self._choose(found.raw, found.media_type, 0)
        manifest = docs.parse_manifest(raw)
        narrator, self.narrator = self.narrator, SILENT
        config = docs.parse_config(self._document(manifest.config))
        self.narrator = narrator
        self.narrator.done(self._fetched(manifest.config, "configuration"), 0)
        for blob, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True):
            here = self.store.layer(diff_id) is not None and self.store.blob_path(blob.digest).exists()
            self.narrator.done(self._had(blob) if here else self._fetched(blob, "layer"), 0)
        self.narrator.done(moves.UnpackLayers(config.rootfs.diff_ids), 0)
        self.narrator.done(moves.FileImage(manifest.config.digest), 0)
        kind = manifest.media_type or found.media_type
        self.narrator.done(moves.GiveName(self.name.full, docs.digest_of(raw), kind, len(raw)), 0)

    @contextlib.contextmanager
    def _told(self, step: Callable[[], Step]) -> Iterator[None]:
        """Say to the narrator what is done meanwhile; whoever doesn't listen pays nothing for the words."""
        if self.narrator is SILENT:
            yield
            return
        move, begun = step(), time.perf_counter()
        self.narrator.started(move)
        try:
            yield
        except BaseException as error:
            self.narrator.failed(move, error)
            raise
        self.narrator.done(move, time.perf_counter() - begun)

    def _had(self, blob: Descriptor) -> Step:
        return moves.HaveAlready(blob.digest, str(self.store.blob_path(blob.digest)))

    def _fetched(self, blob: Descriptor, what: str) -> Step:
        return moves.FetchBlob(self.repository.address(f"blobs/{blob.digest}"), blob.digest, blob.size, what)

    def _find(self) -> Found:
        """Only what the tag means now, where that is enough: registries count manifests that are fetched."""
        which = self.which
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
        fetching = Fetching(self.store, self.repository, self.tell, self._tell_layer)
        with self._told(lambda: moves.UnpackLayers(diff_ids)):
            layers = fetching.run(list(zip(manifest.layers, diff_ids, strict=True)))
        self._remember(manifest, diff_ids)
        with self._told(lambda: moves.FileImage(manifest.config.digest)):
            return self.store.add_image(config, layers, manifest=raw)

    def _tell_layer(self, blob: Descriptor, seconds: float) -> None:
        """Called by one layer's thread after the other. A layer that was here has taken no time."""
        if self.narrator is not SILENT:
            step = self._fetched(blob, "layer") if seconds else self._had(blob)
            self.narrator.started(step)
            self.narrator.done(step, seconds)

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
        url = self.repository.address(f"manifests/{best.digest}")
        with self._told(lambda: moves.AskForManifest(url, best.media_type, best.digest)):
            inner = self.repository.manifest(best.digest)
        _check_size(best, inner.raw)
        return self._choose(inner.raw, best.media_type, depth + 1)

    def _document(self, descriptor: Descriptor) -> bytes:
        """A config. It may be large for a document, never for our memory."""
        if descriptor.size > docs.MAX_DOCUMENT:
            raise InvalidImage(f"image config of {descriptor.size} bytes is larger than {docs.MAX_DOCUMENT} bytes")
        with contextlib.suppress(InvalidImage):
            return self.store.blob(descriptor.digest)
        with self._told(lambda: self._fetched(descriptor, "configuration")):
            raw = self.repository.blob(descriptor.digest).body(descriptor.size)
        _check_size(descriptor, raw)
        if (actual := docs.digest_of(raw)) != descriptor.digest:
            raise InvalidImage(f"image config {descriptor.digest} has the digest {actual}")
        return raw


def _check_size(descriptor: Descriptor, raw: bytes) -> None:
    if len(raw) != descriptor.size:
        raise InvalidImage(f"blob {descriptor.digest} has {len(raw)} bytes instead of {descriptor.size}")
