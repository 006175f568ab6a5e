"""Images, as the commands want them: the store's verbs in Docker's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from minidock.engine import events
from minidock.engine.durations import unix
from minidock.engine.record import Record, Records
from minidock.errors import ImageInUse, ImageNotFound, UsageError
from minidock.image import reference
from minidock.image.store import Image, ImageStore
from minidock.model import ImageSummary
from minidock.paths import Layout


def summaries(layout: Layout, *, filters: dict[str, list[str]]) -> list[ImageSummary]:
    """Newest first."""
    used = [record.image_id for record in Records(layout).all()]
    rows = [
        ImageSummary(
            id=image.id,
            repo_tags=image.tags,
            repo_digests=image.digests,
            created=unix(image.created),
            size=image.size,
            labels=image.config.config.labels,
            containers=used.count(image.id),
        )
        for image in ImageStore(layout).images()
    ]
    named = [_only_named(row, filters["reference"]) for row in rows] if "reference" in filters else rows
    kept = [row for row in named if _matches(row, filters, rows)]
    return sorted(kept, key=lambda row: row.created, reverse=True)


def _only_named(row: ImageSummary, patterns: list[str]) -> ImageSummary:
    """With only those of its names that fit: NAME or NAME:TAG, with wildcards."""
    import fnmatch

    def fits(tag: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in (tag, tag.rpartition(":")[0]))

    return msgspec.structs.replace(row, repo_tags=[tag for tag in row.repo_tags if fits(tag)])


def _matches(row: ImageSummary, filters: dict[str, list[str]], rows: list[ImageSummary]) -> bool:
    for key, values in filters.items():
        if key == "dangling":
            wanted = values[-1].lower() in ("1", "true")
            ok = bool(row.repo_tags) != wanted
        elif key == "label":
            ok = all(_has_label(row.labels, value) for value in values)
        elif key == "reference":
            ok = bool(row.repo_tags)
        elif key in ("before", "since"):
            name = values[-1]
            other = next((item for item in rows if name in item.repo_tags or item.id.startswith(name)), None)
            if other is None:
                raise ImageNotFound(values[-1])
            ok = row.created < other.created if key == "before" else row.created > other.created
        else:
            raise UsageError(f"invalid filter '{key}'")
        if not ok:
            return False
    return True


def _has_label(labels: dict[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def inspect(layout: Layout, ref: str) -> dict[str, Any]:
    """API `ImageInspect`."""
    store = ImageStore(layout)
    image = store.find(ref)
    layers = [str(path) for path in store.lower_dirs(image)]
    data = {"UpperDir": layers[0] if layers else "", "LowerDir": ":".join(layers[1:])}
    config = msgspec.to_builtins(image.config.config)
    last = image.config.history[-1] if image.config.history else None
    return {
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Parent": "",
        "Comment": image.config.comment or (last.comment if last else ""),
        "Created": image.created,
        "DockerVersion": image.config.docker_version,
        "Author": image.config.author,
        "Config": {**_EMPTY_CONFIG, **config},
        "Architecture": image.config.architecture,
        "Variant": image.config.variant,
        "Os": image.config.os,
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": data},
        "RootFS": {"Type": "layers", "Layers": image.config.rootfs.diff_ids},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


_EMPTY_CONFIG: dict[str, Any] = {
    "User": "",
    "ExposedPorts": None,
    "Env": [],
    "Entrypoint": None,
    "Cmd": None,
    "Volumes": None,
    "WorkingDir": "",
    "Labels": None,
}


def tag(layout: Layout, source: str, target: str) -> None:
    """Raises ImageNotFound, and UsageError for a name that can't be one."""
    store = ImageStore(layout)
    image = store.find(source)
    try:
        store.tag(image, target)
    except UsageError as error:
        raise UsageError(f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from error
    _tell(layout, "tag", image, reference.familiar(reference.normalise(target)))


def _tell(layout: Layout, action: str, image: Image, name: str = "") -> None:
    events.image(layout, action, image.id, name=name, labels=image.config.config.labels)


def remove(layout: Layout, ref: str, *, force: bool) -> list[tuple[str, str]]:
    """A tag goes; the image with its last tag, unless a container needs it. Raises ImageInUse, ImageNotFound."""
    store = ImageStore(layout)
    image = store.find(ref)
    users = [record for record in Records(layout).all() if record.image_id == image.id]
    by_id = ref.removeprefix("sha256:") and image.id.removeprefix("sha256:").startswith(ref.removeprefix("sha256:"))
    tags = image.tags if by_id else [reference.familiar(reference.normalise(ref))]
    if by_id and len(image.tags) > 1 and not force:
        raise ImageInUse(
            f"conflict: unable to delete {ref[:12]} (must be forced) - image is referenced in multiple repositories"
        )
    last = len(image.tags) <= len(tags)
    if last:
        _refuse_used(ref, image, users, by_id=bool(by_id), force=force)
    rows = []
    for name in tags:
        store.untag(name)
        _tell(layout, "untag", image)
        rows.append(("Untagged", name))
    if last and not users:
        rows += [("Deleted", digest) for digest in store.delete(image.id)]
        store.gc()
        events.image(layout, "delete", image.id)
    return rows


def _refuse_used(ref: str, image: Image, users: list[Record], *, by_id: bool, force: bool) -> None:
    running = next((record for record in users if record.state.running), None)
    short = image.id.removeprefix("sha256:")[:12]
    if running and (by_id or not force):
        verb = "cannot be forced" if by_id else "must force"
        what = f"unable to delete {short} ({verb}) - image is" if by_id else "unable to remove repository reference"
        if by_id:
            raise ImageInUse(f"conflict: {what} being used by running container {running.id[:12]}")
        raise ImageInUse(
            f'conflict: {what} "{ref}" (must force) - container {running.id[:12]} is using its referenced image {short}'
        )
    if users and not force:
        holder = users[0].id[:12]
        if by_id:
            raise ImageInUse(
                f"conflict: unable to delete {short} (must be forced) - "
                f"image is being used by stopped container {holder}"
            )
        raise ImageInUse(
            f'conflict: unable to remove repository reference "{ref}" (must force) - '
            f"container {holder} is using its referenced image {short}"
        )


def load(layout: Layout, source: BinaryIO | Path, *, platform: str, say: Callable[[str], None]) -> list[str]:
    """Lines as `docker load` prints them, each handed to `say` as soon as its image is there."""
    from minidock.image import archive

    store = ImageStore(layout)
    lines = archive.load(store, source, platform=platform or None, say=say)
    for image_id in dict.fromkeys(store.find(line.partition(": ")[2]).id for line in lines):
        _tell(layout, "load", store.find(image_id))
    return lines


def save(layout: Layout, names: list[str], out: BinaryIO) -> None:
    from minidock.image import save as saving

    store = ImageStore(layout)
    saving.save(store, names, out)
    for name in names:
        _tell(layout, "save", store.find(name))


def import_tar(
    layout: Layout, source: BinaryIO, name: str | None, message: str, changes: list[str], platform: str
) -> str:
    """The new image's id."""
    from minidock.image import importer

    image = importer.import_tar(
        ImageStore(layout), source, reference=name, message=message, changes=changes, platform=platform
    )
    if name:
        _tell(layout, "tag", image, reference.familiar(reference.normalise(name)))
    _tell(layout, "import", image)
    return image.id
