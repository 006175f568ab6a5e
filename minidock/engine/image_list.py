"""images: the list, its filters, and how an image came to be."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from minidock.engine.durations import unix
from minidock.engine.record import Records
from minidock.errors import ImageNotFound, UsageError
from minidock.image.store import Image, ImageStore
from minidock.model.lists import HistoryRow, ImageSummary
from minidock.paths import Layout

Filters = dict[str, list[str]]
TRUE, FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def summaries(layout: Layout, *, everything: bool, filters: Filters) -> list[ImageSummary]:
    """Newest first. Without `everything` none that has no name and is only what another was made from."""
    store = ImageStore(layout)
    images = store.images()
    parents = {image.parent for image in images}
    checks = [_check(store, name, values) for name, values in filters.items() if name != "reference"]
    chosen = [image for image in images if all(check(image) for check in checks)]
    if not everything:
        chosen = [image for image in chosen if image.tags or image.digests or image.id not in parents]
    used = [id for record in Records(layout).all() for id in record.images]
    rows = [summary(image, used) for image in sorted(chosen, key=lambda image: image.created, reverse=True)]
    if "reference" in filters:
        rows = [row for row in (_only_named(row, filters["reference"]) for row in rows) if row.repo_tags]
    return rows


def summary(image: Image, used: list[str]) -> ImageSummary:
    return ImageSummary(
        id=image.id,
        repo_tags=image.tags,
        repo_digests=image.digests,
        created=unix(image.created),
        size=image.size,
        labels=image.config.config.labels,
        containers=used.count(image.id),
        parent_id=image.parent,
    )


def _only_named(row: ImageSummary, patterns: list[str]) -> ImageSummary:
    """With only those of its names that fit: NAME or NAME:TAG, with wildcards."""
    import fnmatch

    def fits(tag: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in (tag, tag.rpartition(":")[0]))

    return msgspec.structs.replace(row, repo_tags=[tag for tag in row.repo_tags if fits(tag)])


# Filters: from name and values to what an image must fulfil. Several labels must all be there; else the last counts.


def _check(store: ImageStore, name: str, values: list[str]) -> Callable[[Image], bool]:
    if name == "dangling":
        wanted = flag(name, values)
        return lambda image: bool(image.tags or image.digests) != wanted
    if name == "label":
        return lambda image: all(has_label(image.config.config.labels, value) for value in values)
    if name == "label!":
        return lambda image: not any(has_label(image.config.config.labels, value) for value in values)
    if name == "until":
        limit = until(values)
        return lambda image: unix(image.created) < limit
    if name in ("before", "since"):
        other = store.find(values[-1])
        if name == "before":
            return lambda image: image.created < other.created
        return lambda image: image.created > other.created
    raise UsageError(f"Invalid filter '{name}'")


def flag(name: str, values: list[str]) -> bool:
    if not set(values) <= {*TRUE, *FALSE}:
        raise UsageError(f"Invalid filter '{name}=[{' '.join(values)}]'")
    return values[-1] in TRUE


def until(values: list[str]) -> float:
    """Seconds since 1970: what the command line and the API make of durations and dates."""
    try:
        return float(values[-1])
    except ValueError as error:
        raise UsageError(f"Invalid filter 'until={values[-1]}'") from error


def has_label(labels: dict[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


# Where it comes from


def history(layout: Layout, ref: str) -> list[HistoryRow]:
    """Newest first. What it was made from on this machine has its id, and what came with it none."""
    store = ImageStore(layout)
    image = store.find(ref)
    sizes = [record.size if (record := store.layer(diff_id)) else 0 for diff_id in reversed(image.diff_ids)]
    ancestors = _ancestors(store, image)
    rows = []
    for number, entry in enumerate(reversed(image.config.history)):
        made = ancestors[number] if number < len(ancestors) else None
        rows.append(
            HistoryRow(
                id=made.id if made else "<missing>",
                created=unix(entry.created),
                created_by=entry.created_by,
                tags=made.tags if made else None,
                size=0 if entry.empty_layer or not sizes else sizes.pop(0),
                comment=entry.comment,
            )
        )
    return rows


def _ancestors(store: ImageStore, image: Image) -> list[Image]:
    """The image, what it was made from, and so on."""
    found = [image]
    while (parent := found[-1].parent) and len(found) < len(image.config.history):
        try:
            found.append(store.find(parent))
        except ImageNotFound:
            break
    return found
