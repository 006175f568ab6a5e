"""What was built before. One small file an instruction, named by a key of all that its result depends on.

    images/build-cache/KEY.json       what came out: the layer, when it was made, and for people the instruction

A key is made of the parent's layers and the instruction as it comes out with its variables; for COPY and ADD also of a
checksum of what they copy, for RUN of the environment it sees. Two builds may write the same file at once: it is
replaced whole. A layer that a file here names is kept by the store's garbage collection until the file is pruned.
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from minidock import files
from minidock.image.buildcache import CacheEntry, directory, entries
from minidock.image.manifest import ImageConfig
from minidock.image.store import ImageStore, Layer

from .state import State


def key_of(*parts: object) -> str:
    """A name for all that a result depends on."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


class Cache:
    """`imported` has entries of images that were built elsewhere (--cache-from).

    With `ends`, nothing is used but what has led to one of these images: so the classic builder reads --cache-from.
    """

    def __init__(
        self, store: ImageStore, imported: dict[str, CacheEntry] | None = None, ends: list[State] | None = None
    ) -> None:
        self.store = store
        self.imported = imported or {}
        self.ends = ends
        self.directory = directory(store)

    def find(self, key: str) -> CacheEntry | None:
        """An entry whose layer is here. Looking at it makes it younger, for --filter until=."""
        entry = self.seen(key)
        if entry is not None:
            with contextlib.suppress(FileNotFoundError):  # it may be an image's, of --cache-from
                os.utime(self.path(key))
        return entry

    def seen(self, key: str) -> CacheEntry | None:
        """The same, and it stays as old as it is."""
        try:
            entry = files.read_json(self.path(key), CacheEntry)
        except FileNotFoundError:
            return self.imported.get(key)
        return entry if entry.layer is None or self._there(entry.layer) else None

    def _there(self, layer: Layer) -> bool:
        return self.store.layer(layer.diff_id) is not None and self.store.blob_path(layer.blob.digest).exists()

    def trusts(self, state: State) -> bool:
        """Whether an instruction that was done before, and so has led to this state, may be used."""
        return self.ends is None or any(_leads_to(state, end) for end in self.ends)

    def write(self, key: str, entry: CacheEntry) -> None:
        if self.ends is not None and self.path(key).exists():
            return  # it has led to another image, and may do so again
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write_json(self.path(key), entry, durable=False)

    def path(self, key: str) -> Path:
        return self.directory / f"{key}.json"


def _leads_to(state: State, end: State) -> bool:
    done, whole = ([(each.created, each.created_by) for each in one.history] for one in (state, end))
    return whole[: len(done)] == done and end.diff_ids[: len(state.diff_ids)] == state.diff_ids


INLINE = "minidock cache "
"""How an image's history tells the key of an entry, when it was asked to (--cache-to type=inline)."""


def of_image(config: ImageConfig, layers: list[Layer]) -> dict[str, CacheEntry]:
    """The entries that an image brings in its history."""
    found: dict[str, CacheEntry] = {}
    left = iter(layers)
    for entry in config.history:
        layer = None if entry.empty_layer else next(left, None)
        if entry.comment.startswith(INLINE):
            found[entry.comment.removeprefix(INLINE)] = CacheEntry(entry.created_by, entry.created, layer)
    return found


def prune(
    store: ImageStore, *, older_than: float | None, keep_bytes: int, used: Iterable[str], everything: bool
) -> list[str]:
    """Forget entries, those longest unused first, until no more than `keep_bytes` are left; returns their keys.

    `older_than` is an age in seconds. `used` are layers of images, which cost nothing to keep: their entries go with
    `everything` only.
    """
    shared = set(used)
    rows = sorted(entries(store), key=lambda row: row.used)
    total = sum(row.entry.size for row in rows if row.entry.layer and row.entry.layer.diff_id not in shared)
    gone = []
    for row in rows:
        if not everything and (row.entry.layer is None or row.entry.layer.diff_id in shared):
            continue
        if older_than is not None and time.time() - row.used < older_than:
            continue
        if keep_bytes and total <= keep_bytes:
            break
        row.path.unlink(missing_ok=True)
        gone.append(row.path.stem)
        if row.entry.layer and row.entry.layer.diff_id not in shared:
            total -= row.entry.size
    return gone
