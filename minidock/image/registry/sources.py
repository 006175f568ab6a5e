"""Which repositories a layer has been seen in, and packed how: `layers/HEX/sources.json`.

What a push learns from it: a blob that the registry has in another of its repositories is mounted instead of sent, and
a layer that was packed for a push once needn't be packed again to know its digest. The file goes with the layer.
"""

from __future__ import annotations

import msgspec

from minidock import files

from ..manifest import Descriptor
from ..store import ImageStore

MOST = 20
"""Entries that are kept of a layer, newest last."""


class Source(msgspec.Struct, frozen=True):
    """`blob` can be had from `repository`, a full name without tag."""

    blob: Descriptor
    repository: str


def sources(store: ImageStore, diff_id: str) -> list[Source]:
    """Newest first."""
    try:
        return files.read_json(store.layer_path(diff_id) / "sources.json", list[Source])[::-1]
    except FileNotFoundError:
        return []


def remember(store: ImageStore, diff_id: str, blob: Descriptor, repository: str) -> None:
    """Two that write at once may lose one entry: it would have saved time, nothing else."""
    source = Source(msgspec.structs.replace(blob, annotations={}, urls=[], platform=None), repository)
    known = [one for one in reversed(sources(store, diff_id)) if one != source]
    if store.layer(diff_id) is not None:
        files.write_json(store.layer_path(diff_id) / "sources.json", [*known, source][-MOST:], durable=False)
