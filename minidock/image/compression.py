"""Streams of bytes: counted, hashed and unpacked on the way, never whole in memory.

A stream is a function `read(n)` that returns at most about n bytes, fewer when it likes, and b"" at the end only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from minidock.errors import InvalidImage, MinidockError

Read = Callable[[int], bytes]

CHUNK = 256 << 10
"""Bytes moved at once: large enough that Python's overhead vanishes, small enough for the processor's cache."""

XZ_MEMORY = 128 << 20
"""Bytes that unpacking xz may take: twice what `xz -9` needs. A stream says itself how much, up to 4 GiB."""

MAGIC = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\x00",
    "bzip2": b"BZh",
}
ZSTD_SKIPPABLE = tuple(bytes([0x50 + low]) + b"\x2a\x4d\x18" for low in range(16))
"""RFC 8878, 3.1.2: frames without data, which eStargz-like tools put first."""


class Digesting:
    """Passes bytes on, counts and hashes them; more than `limit` bytes are refused before they are passed on."""

    def __init__(self, read: Read, *, limit: int | None = None, what: str = "stream") -> None:
        self._read = read
        self._hash = hashlib.sha256()
        self._limit = limit
        self._what = what
        self.count = 0

    def read(self, n: int) -> bytes:
        data = self._read(n)
        self._hash.update(data)
        self.count += len(data)
        if self._limit is not None and self.count > self._limit:
            raise InvalidImage(f"{self._what} is longer than the {self._limit} bytes that its manifest says")
        return data

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


class Hashing:
    """Passes bytes on to `write`, counts and hashes them: Digesting's other direction."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._hash = hashlib.sha256()
        self.count = 0

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.count += len(data)
        self._write(data)

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


def read_exactly(read: Read, n: int) -> bytes:
    """n bytes, fewer only at the end of the stream."""
    parts = []
    while n > 0 and (data := read(n)):
        parts.append(data)
        n -= len(data)
    return b"".join(parts)


def prepend(head: bytes, read: Read) -> Read:
    """A stream that gives `head` first."""
    waiting = [head] if head else []

    def give(n: int) -> bytes:
        return waiting.pop() if waiting else read(n)

    return give


def packing(head: bytes) -> str:
    """What the first bytes of a stream say: gzip, zstd, xz, bzip2, or "" for plain."""
    if head.startswith(ZSTD_SKIPPABLE):
        return "zstd"
    return next((name for name, magic in MAGIC.items() if head.startswith(magic)), "")


def unpacked(read: Read) -> tuple[str, Read]:
    """How the stream is packed ("" plain), and a stream of what is in it. Bad data raises InvalidImage on reading."""
    head = read_exactly(read, 6)
    name = packing(head)
    whole = prepend(head, read)
    return name, (_Unpacking(whole, name).read if name else whole)


class _Unpacking:
    """One stream of possibly many members or frames: pigz, eStargz and zstd:chunked write more than one."""

    def __init__(self, read: Read, name: str) -> None:
        self._read = read
        self._name = name
        self._new, self._errors = _decoder(name)
        self._decoder = self._new()
        self._begun = False

    def read(self, n: int) -> bytes:
        """The limit n goes to the decoder as well: a bomb can't grow in memory, only on the way to the disk."""
        try:
            while True:
                if self._decoder.eof and not self._next_member():
                    return b""
                data = self._read(CHUNK) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not data:
                    if not self._begun:  # the frame before was the last one
                        return b""
                    raise InvalidImage(f"{self._name} data ends too early")
                self._begun = True
                if out := self._decoder.decompress(data, n):
                    return bytes(out)
        except self._errors as error:
            raise InvalidImage(f"damaged {self._name} data: {error}") from error

    def _next_member(self) -> bool:
        """Begin what follows a finished member; zeros after it are padding (gzip(1) says so too)."""
        rest = self._decoder.unused_data or self._read(CHUNK)
        while rest and not rest.strip(b"\0"):
            rest = self._read(CHUNK)
        if not rest:
            return False
        self._read = prepend(rest, self._read)
        self._decoder = self._new()
        return True


def _decoder(name: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """A maker of decoders with the interface of bz2.BZ2Decompressor, and the errors that they raise."""
    if name == "gzip":
        from isal import igzip_lib

        errors: Any = igzip_lib.error  # its stub says that this is an error, where it is a class of them
        return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), (errors,)
    if name == "zstd":
        zstd = zstd_module()
        return zstd.ZstdDecompressor, (zstd.ZstdError,)
    if name == "xz":
        import lzma

        return lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY), (lzma.LZMAError,)
    import bz2

    return bz2.BZ2Decompressor, (OSError, ValueError)


class Packing:
    """Bytes in, a packed stream out to `write`: gzip, zstd, or as they are (""). The same bytes give the same bytes."""

    def __init__(self, name: str, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._encoder = _encoder(name) if name else None

    def write(self, data: bytes) -> None:
        packed = self._encoder.compress(data) if self._encoder else data
        if packed:
            self._write(packed)

    def end(self) -> None:
        if self._encoder:
            self._write(self._encoder.flush())


def _encoder(name: str) -> Any:  # noqa: ANN401 - the modules have no common type
    """Levels that keep up with a disk: a layer is written once, and often read on the same machine only."""
    if name == "gzip":
        from isal import isal_zlib

        return isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)  # 31: with gzip's header, of no time and no name
    if name == "zstd":
        return zstd_module().ZstdCompressor(level=3)
    raise MinidockError(f"can't pack a layer with {name!r}", hint="gzip, zstd, or an empty name for none")


def zstd_module() -> Any:  # noqa: ANN401 - the two modules have no common type
    """compression.zstd of Python 3.14, or its backport."""
    import importlib
    import sys

    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
