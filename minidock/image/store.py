"""The image store: bytes filed under their own digest, layers unpacked once, and two kinds of small files on top.

    images/
      blobs/sha256/HEX        configs, manifests and layers exactly as they came, so that their digests stay theirs
      layers/HEX/diff/        a layer unpacked, under the digest of its tar (its diff id): overlayfs's lower directory
      layers/HEX/layer.json   what is known of it
      records/HEX.json        one an image, under the digest of its config (its id): an image exists when this does
      tags.json               full name → image id
      partial/HEX             a blob on its way from a registry, to be gone on with (image.registry.download)
      build-cache/            what builds know of layers that they have made (minidock.build.cache)
      tmp/                    what is not finished; nothing there is ever looked at

Everything is made in tmp/ and renamed to its place when it is whole and its digest is right. What a killed process
leaves behind is therefore garbage, never damage, and gc() takes it away. Whoever brings an image in holds the lock
`images-in-use` shared until its record is written, so that gc doesn't take its blobs for garbage.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from minidock import files
from minidock.errors import ImageNotFound, InvalidImage, InvalidReference, MinidockError
from minidock.paths import Layout

from . import manifest as docs
from . import reference
from .manifest import Descriptor, Manifest
from .records import Image, ImageRecord, Layer, LayerRecord
from .tags import Tags

__all__ = ["Image", "ImageRecord", "ImageStore", "Layer", "LayerRecord"]


class ImageStore:
    """The images of one instance. Any number of processes may use it at once."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.root = layout.images
        self.blobs = self.root / "blobs" / "sha256"
        self.layers = self.root / "layers"
        self.records = self.root / "records"
        self.partial = self.root / "partial"
        self.tmp = self.root / "tmp"
        self.tags = Tags(self.root / "tags.json", layout.lock("images-tags"))

    # Finding

    def find(self, name_or_id: str) -> Image:
        """By tag, digest, full id or the unique beginning of one. Raises ImageNotFound, MinidockError."""
        tags = self.read_tags()
        image_id = self._by_name(name_or_id, tags) or self._by_id(name_or_id)
        if image_id is None:
            raise ImageNotFound(reference.looked_for(name_or_id))
        return self._image(image_id, tags)

    def images(self) -> list[Image]:
        """All images, newest first, as `docker images` has them."""
        tags = self.read_tags()
        images = [self._image(image_id, tags) for image_id in self.ids()]
        return sorted(images, key=lambda image: image.created, reverse=True)

    def ids(self) -> list[str]:
        """Ids of all images."""
        try:
            names = os.listdir(self.records)
        except FileNotFoundError:
            return []
        return sorted("sha256:" + name.removesuffix(".json") for name in names if not name.startswith("."))

    def _by_name(self, text: str, tags: dict[str, str]) -> str | None:
        if reference.is_digest(text):
            return text if self._record_path(text).exists() else None
        if len(text) == 64 and reference.is_identifier(text):
            return f"sha256:{text}" if self._record_path(f"sha256:{text}").exists() else None
        try:
            wanted = reference.parse(text).tagged()
        except MinidockError:
            if reference.is_identifier(text):  # sha256:abc, the beginning of an id
                return None
            raise
        found = tags.get(wanted.full)
        if found is None and wanted.digest:  # name:tag@digest is found by its digest
            found = tags.get(f"{wanted.name}@{wanted.digest}")
        return found

    def _by_id(self, text: str) -> str | None:
        if not reference.is_identifier(text):
            return None
        prefix = "sha256:" + text.removeprefix("sha256:")
        matches = [image_id for image_id in self.ids() if image_id.startswith(prefix)]
        if len(matches) > 1:
            raise MinidockError(f"multiple IDs found with provided prefix: {text}")
        return matches[0] if matches else None

    def _image(self, image_id: str, tags: dict[str, str]) -> Image:
        record = self.record(image_id)
        config = docs.parse_config(self.blob(image_id))
        names = sorted(reference.familiar(name) for name, target in tags.items() if target == image_id)
        return Image(
            id=image_id,
            tags=[name for name in names if "@" not in name],
            digests=[name for name in names if "@" in name],
            config=config,
            diff_ids=config.rootfs.diff_ids,
            size=record.size,
            created=record.created,
            manifest_digest=record.manifest.digest,
            architecture=config.architecture,
            os=config.os or "linux",
            variant=config.variant,
            parent=record.parent,
        )

    def record(self, image_id: str) -> ImageRecord:
        try:
            return files.read_json(self._record_path(image_id), ImageRecord)
        except FileNotFoundError:
            raise ImageNotFound(image_id) from None

    def manifest(self, image: Image) -> Manifest:
        """The manifest that the image came with, or was given when it came without."""
        return docs.parse_manifest(self.blob(image.manifest_digest))

    def lower_dirs(self, image: Image) -> list[Path]:
        """The unpacked layers, top first, which is overlayfs's order for lowerdir."""
        dirs: list[Path] = []
        for diff_id in reversed(image.diff_ids):
            record = self.layer(diff_id)
            if record is None:
                raise InvalidImage(f"layer {diff_id} of image {image.id} is missing from the store")
            path = self.layer_path(diff_id) / "diff"
            # The same layer twice is ELOOP to overlayfs. Its upper occurrence alone gives the same tree: all that
            # the lower one had, the upper one has again, and hides what is between them just as well.
            if path not in dirs:
                dirs.append(path)
            if record.opaque:  # overlayfs doesn't look for the mark on the root of a layer
                break
        return dirs

    # Names

    def read_tags(self) -> dict[str, str]:
        """Full name (with tag or digest) → image id."""
        return self.tags.read()

    def tag(self, image: Image, name: str) -> str | None:
        """Let the name mean this image; returns the id of the one that it meant before. Raises InvalidReference."""
        wanted = reference.parse(name).tagged()
        if wanted.familiar_name == reference.ALGORITHM:
            raise InvalidReference("refusing to create an ambiguous tag using digest algorithm as name")
        full = wanted.full
        with self.tags.changing() as tags:
            if not self._record_path(image.id).exists():
                raise ImageNotFound(image.id)
            before = tags.get(full)
            tags[full] = image.id
        return before if before != image.id else None

    def untag(self, name: str) -> str:
        """Forget the name; returns it in full familiar form (busybox:latest). The image stays. Raises ImageNotFound."""
        wanted = reference.parse(name).tagged()
        with self.tags.changing() as tags:
            if tags.pop(wanted.full, None) is None:
                raise ImageNotFound(wanted.familiar)
        return wanted.familiar

    # Blobs and layers

    def blob_path(self, digest: str) -> Path:
        if not reference.is_digest(digest):
            raise InvalidImage(f"not a sha256 digest: {digest[:100]!r}")
        return self.blobs / digest.removeprefix("sha256:")

    def blob(self, digest: str) -> bytes:
        """A small blob whole: a config or a manifest. Raises InvalidImage when the store lacks it."""
        try:
            return self.blob_path(digest).read_bytes()
        except FileNotFoundError:
            raise InvalidImage(f"blob {digest} is missing from the store") from None

    def put_blob(self, raw: bytes) -> str:
        """File a small blob; returns its digest."""
        digest = docs.digest_of(raw)
        if not (path := self.blob_path(digest)).exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(path, raw)
        return digest

    def layer_path(self, diff_id: str) -> Path:
        return self.layers / diff_id.removeprefix("sha256:")

    def layer(self, diff_id: str) -> LayerRecord | None:
        """What is known of an unpacked layer; None when the store doesn't have it."""
        try:
            return files.read_json(self.layer_path(diff_id) / "layer.json", LayerRecord)
        except FileNotFoundError:
            return None

    def add_layer(
        self,
        read: Callable[[int], bytes],
        *,
        media_type: str = "",
        digest: str = "",
        size: int | None = None,
        diff_id: str = "",
        kept: Path | None = None,
        give_up: Callable[[], None] | None = None,
    ) -> Layer:
        """Take in a layer, packed or plain: file its bytes, unpack them, check what is claimed (image.layers)."""
        from .layers import take_in

        claimed = Descriptor(media_type, digest, -1 if size is None else size)
        return take_in(self, read, claimed, diff_id, kept=kept, give_up=give_up)

    def commit_layer(
        self, upper: Path, *, packing: str = "gzip", move: bool = False, clamp: int | None = None
    ) -> Layer:
        """Make a layer of an overlay's upper directory (image.diff): blob, diff id and tree. Within bringing_in().

        `move` gives the directory away, for a build step that is through; else it is copied, and its container lives
        on. `packing` is gzip, zstd or "" for none; `clamp` the latest time of a file, in seconds since 1970.
        """
        from .layers import commit

        return commit(self, upper, packing=packing, move=move, clamp=clamp)

    # Images

    @contextlib.contextmanager
    def bringing_in(self) -> Iterator[None]:
        """Around everything that adds blobs or layers before the record that refers to them."""
        with files.locked(self.layout.lock("images-in-use"), shared=True):
            yield

    def add_image(
        self, config: bytes, layers: list[Layer], *, manifest: bytes | None = None, parent: str = ""
    ) -> Image:
        """Write the record that makes blobs and layers an image. Call it within bringing_in().

        Without `manifest` it is given one that says exactly what is here. `parent` is the id of the image that it was
        made from, here. Raises InvalidImage when parts don't fit.
        """
        parsed = docs.parse_config(config)
        if [layer.diff_id for layer in layers] != parsed.rootfs.diff_ids:
            raise InvalidImage(
                f"image config lists {len(parsed.rootfs.diff_ids)} layers, and they are not the {len(layers)} that came"
            )
        image_id = self.put_blob(config)
        if manifest is None:
            manifest = docs.encode(
                Manifest(
                    schema_version=2,
                    media_type=docs.OCI_MANIFEST,
                    config=Descriptor(docs.OCI_CONFIG, image_id, len(config)),
                    layers=[layer.blob for layer in layers],
                )
            )
        media_type = docs.parse_manifest(manifest).media_type or docs.OCI_MANIFEST
        described = Descriptor(media_type, self.put_blob(manifest), len(manifest))
        known = [self.layer(diff_id) for diff_id in parsed.rootfs.diff_ids]
        size = sum(record.size for record in known if record is not None)
        path = self._record_path(image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            files.write_json(path, ImageRecord(image_id, described, size, parsed.created, parent))
        return self._image(image_id, self.read_tags())

    def _record_path(self, image_id: str) -> Path:
        return self.records / f"{image_id.removeprefix('sha256:')}.json"

    def delete(self, image_id: str, *, keep: Callable[[], Collection[str]] = frozenset) -> list[str]:
        """Forget an image with all its names, and what neither another image needs nor a container (`keep`: diff ids).

        Returns what `docker rmi` lists as deleted: the id, and the chain ids of layers that are gone, top first.
        """
        from .garbage import collect, referenced, released

        image = self.find(image_id)
        with self.tags.changing() as tags:
            for name in [name for name, target in tags.items() if target == image.id]:
                del tags[name]
            self._record_path(image.id).unlink(missing_ok=True)
        left = referenced(self).chains
        collect(self, keep)
        return [image.id, *released(image.diff_ids, left, keep())]

    def gc(self, *, keep: Callable[[], Collection[str]] = frozenset) -> int:
        """Remove blobs and layers that no image refers to, but layers of `keep`, and unfinished work of the dead.

        Returns how many bytes that freed; 0 while somebody brings an image in, for then nothing is garbage for sure.
        """
        from .garbage import collect

        return collect(self, keep)
