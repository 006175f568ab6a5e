"""The build cache as the store sees it: files that name layers, which are therefore no garbage (build.cache)."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from minidock import files
from minidock.errors import MinidockError

from .records import Layer

if TYPE_CHECKING:
    from .store import ImageStore


class CacheEntry(msgspec.Struct, frozen=True):
    """What came of one instruction. `layer` is None where it made none; `created` RFC 3339; `size` of the layer."""

    text: str
    created: str
    layer: Layer | None = None
    size: int = 0


class Row(NamedTuple):
    """An entry with its file, and when it was last used, in seconds since 1970."""

    path: Path
    entry: CacheEntry
    used: float


def directory(store: "ImageStore") -> Path:
    return store.root / "build-cache"


def entries(store: "ImageStore") -> Iterator[Row]:
    """All that can be read: a damaged entry is as good as none, and goes with the next prune."""
    try:
        paths = sorted(directory(store).glob("[0-9a-f]*.json"))
    except FileNotFoundError:
        return
    for path in paths:
        try:
            yield Row(path, files.read_json(path, CacheEntry), path.stat().st_mtime)
        except FileNotFoundError:
            continue
        except MinidockError:
            path.unlink(missing_ok=True)
