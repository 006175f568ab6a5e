"""The build cache as people see it: how much it holds, and forgetting it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from minidock import files
from minidock.build import cache
from minidock.engine import events
from minidock.engine.durations import timestamp
from minidock.engine.image_remove import layers_in_use
from minidock.image import buildcache
from minidock.image.store import ImageStore
from minidock.image.trees import tree_size
from minidock.model.usage import BuildCache
from minidock.paths import Layout


def rows(layout: Layout) -> list[BuildCache]:
    """Entries, and the directories of cache mounts; layers that several entries name count once."""
    store = ImageStore(layout)
    shared = _layers_of_images(store)
    found = []
    seen: set[str] = set()
    for path, entry, used in buildcache.entries(store):
        diff_id = entry.layer.diff_id if entry.layer else ""
        size = 0 if diff_id in seen else entry.size
        seen.add(diff_id)
        found.append(
            BuildCache(
                path.stem,
                "regular",
                entry.text,
                size,
                diff_id in shared,
                entry.created or timestamp(used),
                timestamp(used),
            )
        )
    return found + [_mount_row(path) for path in _mounts(layout)]


def _layers_of_images(store: ImageStore) -> set[str]:
    return {diff_id for image in store.images() for diff_id in image.diff_ids}


def _mounts(layout: Layout) -> list[Path]:
    try:
        return sorted(path for path in (layout.root / "build-mounts").iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def _mount_row(path: Path) -> BuildCache:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = tree_size(fd)
    finally:
        os.close(fd)
    name = path.with_suffix(".name")
    said = name.read_text().strip() if name.exists() else path.name
    last = timestamp(path.stat().st_mtime)
    return BuildCache(path.name, "exec.cachemount", f"cached mount {said}", size, False, last, last)


def prune(layout: Layout, *, everything: bool, older_than: float | None, keep_bytes: int) -> tuple[list[str], int]:
    """Without `everything` what images still have stays known, as Docker's does with what isn't dangling."""
    store = ImageStore(layout)
    used = _layers_of_images(store)
    before = {row.id: row.size for row in rows(layout)}
    gone = cache.prune(store, older_than=older_than, keep_bytes=keep_bytes, used=used, everything=everything)
    freed = 0
    if older_than is None and not keep_bytes:
        for path in _mounts(layout):
            if _forget_mount(path):
                gone.append(path.name)
                freed += before.get(path.name, 0)
    freed += store.gc(keep=lambda: layers_in_use(layout))
    events.emit(layout, "builder", "prune", "", {"reclaimed": str(freed)})
    return gone, freed


def _forget_mount(path: Path) -> bool:
    """Unless a RUN has it just now."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files.remove_tree(path)
        path.with_suffix(".name").unlink(missing_ok=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
