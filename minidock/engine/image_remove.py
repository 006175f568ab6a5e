"""rmi and the pruning of images: names go first, the image with its last, its layers when nobody needs them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from minidock import files
from minidock.engine import events
from minidock.engine.image_list import Filters, flag, summaries
from minidock.engine.record import Record, Records
from minidock.errors import Conflict, ImageInUse, ImageNotFound, UsageError
from minidock.image import reference
from minidock.image.store import Image, ImageStore
from minidock.paths import Layout

Rows = list[tuple[str, str]]


def remove(layout: Layout, ref: str, *, force: bool, prune: bool = True) -> Rows:
    """Rows of ("Untagged" | "Deleted", what). A name goes; with the last one the image, and what it was made from.

    Raises ImageInUse, ImageNotFound.
    """
    # Who creates a container holds this lock, shared, from its look at the image to the written record: so we see
    # either no container and the image may go, or the container.
    with files.locked(layout.lock("creating")):
        return _remove(layout, ref, force, prune)


def _remove(layout: Layout, ref: str, force: bool, prune: bool) -> Rows:
    store = ImageStore(layout)
    image = store.find(ref)
    names = [*image.tags, *image.digests]
    if _is_id(ref, image):
        if _one_repository(names):
            _refuse(layout, store, image, force=force, named=False)
        elif not force:
            _refuse(layout, store, image, force=False, named=True)
        return _delete(layout, store, image, force=force, prune=prune)
    if _one_repository(names) and not force and (users := _users(layout, image)):
        raise ImageInUse(
            f'conflict: unable to remove repository reference "{ref}" (must force) - container {users[0].id[:12]} '
            f"is using its referenced image {_short(image)}"
        )
    rows = _untag(layout, store, image, [ref])
    rows += _untag(layout, store, image, _orphans(rows[0][1], store.find(image.id)))
    left = store.find(image.id)
    if left.tags or left.digests:
        return rows
    try:
        return rows + _delete(layout, store, store.find(image.id), force=force, prune=prune)
    except Conflict:
        return rows  # the name was what was asked for


def _orphans(gone: str, left: Image) -> list[str]:
    """Names by digest that came with the tag that has gone, when it was the last one of its repository."""
    repository = gone.rpartition(":")[0]
    if "@" in gone or any(tag.rpartition(":")[0] == repository for tag in left.tags):
        return []
    return [name for name in left.digests if name.partition("@")[0] == repository]


def _untag(layout: Layout, store: ImageStore, image: Image, names: list[str]) -> Rows:
    rows: Rows = []
    for name in names:
        rows.append(("Untagged", store.untag(name)))
        events.image(layout, "untag", image.id, labels=image.config.config.labels)
    return rows


def _is_id(ref: str, image: Image) -> bool:
    plain = ref.removeprefix("sha256:")
    return bool(plain) and reference.is_identifier(ref) and image.id.removeprefix("sha256:").startswith(plain)


def _one_repository(names: list[str]) -> bool:
    """At most one tag, and digests of the same repository."""
    tags = [name for name in names if "@" not in name]
    repositories = {name.partition("@")[0] for name in names if "@" in name}
    if len(names) <= 1:
        return True
    return len(tags) <= 1 and repositories == {tags[0].rpartition(":")[0] if tags else names[0].partition("@")[0]}


def _users(layout: Layout, image: Image) -> list[Record]:
    """Containers that are made from it, or have it as a mount."""
    return [record for record in Records(layout).all() if image.id in record.images]


def _refuse(layout: Layout, store: ImageStore, image: Image, *, force: bool, named: bool) -> None:
    """Raises ImageInUse for what hangs on the image; `named`: its names are a reason too."""
    users = _users(layout, image)
    running = next((record for record in users if record.state.running), None)
    reason, forced = "", "cannot be forced"
    if any(other.parent == image.id for other in store.images()):
        reason = "image has dependent child images"
    elif running:
        reason = f"image is being used by running container {running.id[:12]}"
    elif not force:
        forced = "must be forced"
        if named:
            reason = "image is referenced in multiple repositories"
        elif users:
            reason = f"image is being used by stopped container {users[0].id[:12]}"
    if reason:
        raise ImageInUse(f"conflict: unable to delete {_short(image)} ({forced}) - {reason}")


def _short(image: Image) -> str:
    return image.id.removeprefix("sha256:")[:12]


def _delete(layout: Layout, store: ImageStore, image: Image, *, force: bool, prune: bool) -> Rows:
    """The image with all its names; then what it was made from, as far as that has no name and no use."""
    _refuse(layout, store, image, force=force, named=False)
    rows = _untag(layout, store, image, [*image.tags, *image.digests])
    rows += [("Deleted", digest) for digest in store.delete(image.id, keep=lambda: layers_in_use(layout))]
    events.image(layout, "delete", image.id)
    if prune and image.parent:
        try:
            parent = store.find(image.parent)
            if not parent.tags and not parent.digests:
                rows += _delete(layout, store, parent, force=False, prune=True)
        except (ImageNotFound, ImageInUse):
            return rows
    return rows


def layers_in_use(layout: Layout) -> set[str]:
    """Diff ids of the layers that containers lie on, whatever has become of their images."""
    paths = (Path(path) for record in Records(layout).all() for path in record.directories)
    return {f"sha256:{path.parent.name}" for path in paths if path.parent.parent == layout.images / "layers"}


def let_go(layout: Layout, image_ids: Iterable[str]) -> None:
    """Called when a container has gone: where one of its images went before it, that one's layers go now."""
    store = ImageStore(layout)
    if not {*image_ids} <= {*store.ids()}:
        store.gc(keep=lambda: layers_in_use(layout))


def prune(layout: Layout, filters: Filters) -> tuple[Rows, int]:
    """All images without a name, or with dangling=false all that no container is made from; and the bytes freed."""
    unknown = set(filters) - {"dangling", "label", "label!", "until"}
    if unknown:
        raise UsageError(f"Invalid filter '{min(unknown)}'")
    dangling = flag("dangling", filters.get("dangling", ["true"]))
    rest = {name: values for name, values in filters.items() if name != "dangling"}
    before = layers_size(layout)
    rows: Rows = []
    for row in summaries(layout, everything=False, filters=rest):
        if row.containers or (dangling and (row.repo_tags or row.repo_digests)):
            continue
        rows += _prune_one(layout, [*row.repo_tags, *row.repo_digests] or [row.id])
    space = before - layers_size(layout) + ImageStore(layout).gc(keep=lambda: layers_in_use(layout))
    events.emit(layout, "image", "prune", "", {"reclaimed": str(space)})
    return rows, space


def _prune_one(layout: Layout, names: Iterable[str]) -> Rows:
    rows: Rows = []
    for name in names:
        try:
            rows += remove(layout, name, force=False)
        except (ImageInUse, ImageNotFound):  # somebody uses it since, or has removed it
            continue
    return rows


def layers_size(layout: Layout) -> int:
    """Bytes of the files of all layers that images have, each once."""
    store = ImageStore(layout)
    diff_ids = {diff_id for image in store.images() for diff_id in image.diff_ids}
    return sum(record.size for diff_id in diff_ids if (record := store.layer(diff_id)))
