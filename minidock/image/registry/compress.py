"""A layer that lies in the store as a plain tar goes out packed: gzip, which everybody reads.

The same tar gives the same bytes (no time, no name in the header), so that it has one digest wherever it is pushed to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..compression import CHUNK
from ..manifest import DOCKER_LAYER, OCI_LAYER, Descriptor

LEVEL = 1
"""Of isal: 500 MB a second, and an eighth larger than gzip -6 at 34."""
GZIP_WINDOW = 31
"""zlib's wbits for gzip's container (zlib.h, deflateInit2)."""

PLAIN = (OCI_LAYER, DOCKER_LAYER)
"""Media types of layers that are to be packed."""


class Packing:
    """Packs a file as it is read, and knows afterwards what it became."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self.size = 0
        self.read = 0
        """Bytes of the tar that are through."""

    def pieces(self) -> Iterator[bytes]:
        from isal import isal_zlib

        packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW)
        with open(self._path, "rb") as file:
            while data := file.read(CHUNK):
                self.read += len(data)
                yield from self._out(packer.compress(data))
        yield from self._out(packer.flush())

    def _out(self, data: bytes) -> Iterator[bytes]:
        if data:
            self._hash.update(data)
            self.size += len(data)
            yield data

    @property
    def blob(self) -> Descriptor:
        return Descriptor(DOCKER_LAYER + ".gzip", f"sha256:{self._hash.hexdigest()}", self.size)
