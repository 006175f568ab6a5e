"""A layer that lies in the store as a plain tar goes out packed: gzip, which everybody reads.

The same tar gives the same bytes, so that it has one digest wherever it is pushed to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..compression import CHUNK, Packing
from ..manifest import DOCKER_LAYER, OCI_LAYER, Descriptor

PLAIN = (OCI_LAYER, DOCKER_LAYER)
"""Media types of layers that are to be packed."""


class PackedFile:
    """Packs a file as it is read, and knows afterwards what it became."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._size = 0
        self.read = 0
        """Bytes of the tar that are through."""

    def pieces(self) -> Iterator[bytes]:
        ready: list[bytes] = []
        packing = Packing("gzip", ready.append)
        with open(self._path, "rb") as file:
            while data := file.read(CHUNK):
                self.read += len(data)
                packing.write(data)
                yield from self._counted(ready)
        packing.end()
        yield from self._counted(ready)

    def _counted(self, ready: list[bytes]) -> Iterator[bytes]:
        while ready:
            data = ready.pop(0)
            self._hash.update(data)
            self._size += len(data)
            yield data

    @property
    def blob(self) -> Descriptor:
        return Descriptor(DOCKER_LAYER + ".gzip", f"sha256:{self._hash.hexdigest()}", self._size)
