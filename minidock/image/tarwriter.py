"""Writes tar archives, front to back: ustar headers, and pax's extended ones for what they can't hold (pax(1)).

The same members give the same bytes: no clock, no user name, no order of a dictionary gets into an archive.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from minidock.errors import MinidockError

from .compression import CHUNK
from .names import shown
from .tarheader import BLOCK, BLOCK_DEVICE, CHARACTER, PAX, Member

RECORD = 20 * BLOCK
"""tar's own unit of writing; some readers want the archive's length to be a multiple of it."""
ZEROS = bytes(CHUNK)
MAX_OCTAL = 8**7 - 1
"""Largest number of a header's seven octal digits."""


class TarWriter:
    """`add` a member, then its bytes with `data`, `zeros` or `file`; `end` when all are there."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._waiting: list[bytes] = []
        self._size = 0
        self._total = 0

    def add(self, member: Member) -> None:
        self.data(encode(member))

    def data(self, data: bytes) -> None:
        """Passed on in large pieces: hashing and compressing small ones costs more than joining them."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._total += self._size
        self._write(b"".join(self._waiting))
        self._waiting = []
        self._size = 0

    def zeros(self, count: int) -> None:
        while count > 0:
            self.data(ZEROS[: min(count, CHUNK)])
            count -= CHUNK

    def pad(self, size: int) -> None:
        """After a body of so many bytes: up to the next block."""
        if size % BLOCK:
            self.data(bytes(-size % BLOCK))

    def file(self, fd: int, size: int, path: bytes, *, holes: bool = False) -> None:
        """The first `size` bytes of an open file as the member's body. `holes` are not read: they are zeros.

        They are written as zeros, too: the OCI's layers have no sparse members (image-spec, layer.md).
        """
        at = 0
        while at < size:
            start, end = _piece(fd, at, size) if holes else (at, size)
            self.zeros(start - at)
            at = start
            while at < end:
                data = os.pread(fd, min(CHUNK, end - at), at)
                if not data:
                    raise MinidockError(f"{shown(path)} became shorter while it was read", hint="pause the container")
                self.data(data)
                at += len(data)
        self.pad(size)

    def end(self, *, record: bool = False) -> None:
        """The two zero blocks; `record` fills up to a full record, as tar(1) does."""
        self.data(bytes(2 * BLOCK))
        if record:
            self.data(bytes(-(self._total + self._size) % RECORD))
        self._flush()


def _piece(fd: int, at: int, size: int) -> tuple[int, int]:
    """The next bytes of a sparse file that are there: (start, end); (size, size) when only a hole is left."""
    try:
        start = os.lseek(fd, at, os.SEEK_DATA)
    except OSError:  # ENXIO: a hole up to the end
        return size, size
    return min(start, size), min(os.lseek(fd, start, os.SEEK_HOLE), size)


# Headers


def encode(member: Member) -> bytes:
    """The member's header, with an extended one before it when its fields don't fit."""
    records: list[tuple[bytes, bytes]] = []
    if len(member.name) > 100:
        records.append((b"path", member.name))
    if len(member.link) > 100:
        records.append((b"linkpath", member.link))
    seconds, fraction = divmod(member.mtime, 1_000_000_000)
    if fraction or not 0 <= seconds < 8**11:
        records.append((b"mtime", _time(member.mtime)))
    records += [
        (key, b"%d" % value) for key, value in ((b"uid", member.uid), (b"gid", member.gid)) if value > MAX_OCTAL
    ]
    if member.size >= 8**11:
        records.append((b"size", b"%d" % member.size))
    records += [(b"SCHILY.xattr." + os.fsencode(name), value) for name, value in sorted((member.xattrs or {}).items())]
    return _extended(member, records) + _header(member)


def _extended(member: Member, records: list[tuple[bytes, bytes]]) -> bytes:
    if not records:
        return b""
    # The values of `path` are UTF-8 by the standard; names of files are any bytes, and then it wants to be told.
    if any(key.endswith(b"path") and not _is_utf8(value) for key, value in records):
        records = [(b"hdrcharset", b"BINARY"), *records]
    body = b"".join(_record(key, value) for key, value in records)
    name = b"PaxHeaders.0/" + member.name.rstrip(b"/").rpartition(b"/")[2][:80]
    header = _header(Member(name, PAX, 0o644, 0, 0, len(body), 0, b""))
    return header + body + bytes(-len(body) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _time(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, fraction = divmod(abs(nanoseconds), 1_000_000_000)
    return sign + (b"%d.%09d" % (seconds, fraction)).rstrip(b"0").rstrip(b".")


def _header(member: Member) -> bytes:
    """What doesn't fit is cut: an extended header before it says it in full."""
    device = member.kind in (CHARACTER, BLOCK_DEVICE)
    fields = [
        member.name[:100].ljust(100, b"\0"),
        b"%07o\0" % member.mode,
        b"%07o\0" % (member.uid if member.uid <= MAX_OCTAL else 0),
        b"%07o\0" % (member.gid if member.gid <= MAX_OCTAL else 0),
        b"%011o\0" % (member.size if member.size < 8**11 else 0),
        b"%011o\0" % min(max(member.mtime // 1_000_000_000, 0), 8**11 - 1),
        b" " * 8,
        member.kind,
        member.link[:100].ljust(100, b"\0"),
        b"ustar\00000",
        bytes(64),
        b"%07o\0%07o\0" % ((member.major, member.minor) if device else (0, 0)),
    ]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
