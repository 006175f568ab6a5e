"""What images refer to, and the removal of everything else in the store."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock.errors import MinidockError

from . import buildcache
from . import manifest as docs
from .layers import abandoned, discard
from .trees import tree_size

if TYPE_CHECKING:
    from .store import ImageStore


PARTIAL_LIFETIME = 24 * 3600
"""Seconds for which a broken download is kept, so that the next pull can go on with it."""


class Referenced(msgspec.Struct, frozen=True):
    """Digests of blobs, diff ids of layers, and chain ids of stacks of layers that some image needs."""

    blobs: set[str]
    layers: set[str]
    chains: set[str]


def chain_ids(diff_ids: list[str]) -> list[str]:
    """The OCI's names of stacks of layers, lowest first: sha256 of "chain-below diff-id" (image-spec config.md)."""
    chains: list[str] = []
    for diff_id in diff_ids:
        below = chains[-1] if chains else ""
        chains.append("sha256:" + hashlib.sha256(f"{below} {diff_id}".encode()).hexdigest() if below else diff_id)
    return chains


def referenced(store: ImageStore) -> Referenced:
    """Walk all records, and what the build cache keeps.

    A record whose blobs are damaged stops it: better to keep all than to remove too much.
    """
    blobs: set[str] = set()
    layers: set[str] = set()
    chains: set[str] = set()
    for image_id in store.ids():
        record = store.record(image_id)
        manifest = docs.parse_manifest(store.blob(record.manifest.digest))
        diff_ids = docs.parse_config(store.blob(image_id)).rootfs.diff_ids
        blobs |= {image_id, record.manifest.digest, *(layer.digest for layer in manifest.layers)}
        layers.update(diff_ids)
        chains.update(chain_ids(diff_ids))
    for row in buildcache.entries(store):
        if row.entry.layer is not None:
            blobs.add(row.entry.layer.blob.digest)
            layers.add(row.entry.layer.diff_id)
    return Referenced(blobs, layers, chains)


def released(diff_ids: list[str], left: Collection[str], kept: Collection[str]) -> list[str]:
    """Chain ids of an image's layers that nobody has any more, top first."""
    chains = zip(chain_ids(diff_ids), diff_ids, strict=True)
    return [chain for chain, diff_id in chains if chain not in left and diff_id not in kept][::-1]


def collect(store: ImageStore, keep: Callable[[], Collection[str]]) -> int:
    """Remove what nothing refers to; returns bytes freed. Does nothing while an image is being brought in.

    `keep` is asked after the images have been looked at: an image that somebody removes in between was seen, and one
    that had gone before has left its container to be seen now.
    """
    with alone(store) as sure:
        if not sure:
            return 0
        needed = referenced(store)
        kept = keep()
        freed = sum(_size(path) for path in abandoned(store))
        for path in _entries(store.layers):
            diff_id = f"sha256:{path.name}"
            if diff_id not in needed.layers and diff_id not in kept:
                freed += _remove_layer(store, path)
        for path in _entries(store.blobs):
            if f"sha256:{path.name}" not in needed.blobs:
                freed += _remove(path)
        for directory in (store.records, buildcache.directory(store)):
            freed += sum(_remove(path) for path in directory.glob(".*"))  # their writers were killed
        for path in _entries(store.partial):  # nobody is downloading: we are alone
            if time.time() - path.stat().st_mtime > PARTIAL_LIFETIME:
                freed += _remove(path)
        return freed


@contextlib.contextmanager
def alone(store: ImageStore) -> Iterator[bool]:
    """True within when nobody is bringing an image in; never waits, for a pull may take an hour."""
    path = store.layout.lock("images-in-use")
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(fd)


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return []


def _remove_layer(store: ImageStore, path: Path) -> int:
    """Out of sight first: a layer that is half removed must not look like a layer."""
    store.tmp.mkdir(parents=True, exist_ok=True, mode=0o700)
    grave = store.tmp / f"removed-{path.name[:16]}-{os.urandom(4).hex()}"
    os.rename(path, grave)
    return _remove(grave)


def _remove(path: Path) -> int:
    size = _size(path)
    with contextlib.suppress(FileNotFoundError):
        discard(path)
    return size


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a directory."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return tree_size(fd)
    finally:
        os.close(fd)


def check(store: ImageStore) -> list[str]:
    """What is wrong with the store, one sentence each: records without blobs, layers that aren't there."""
    problems = []
    for image_id in store.ids():
        try:
            image = store.find(image_id)
            store.lower_dirs(image)
            for layer in store.manifest(image).layers:
                if not store.blob_path(layer.digest).exists():
                    problems.append(f"image {image_id}: blob {layer.digest} is missing")
        except MinidockError as error:
            problems.append(f"image {image_id}: {error}")
    return problems
