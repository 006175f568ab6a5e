"""Reads a tar archive from front to back, once: members in order, each with its bytes, whatever the archive's size.

Python's tarfile does this too, with several times the work for a member; layers have a hundred thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from minidock.errors import InvalidImage

from .compression import CHUNK, Read
from .tarheader import (
    BLOCK,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    GNU_SPARSE,
    MAX_EXTENDED,
    MEMBERS,
    PAX,
    PAX_GLOBAL,
    WITHOUT_BODY,
    Member,
    apply_pax,
    check_sparse,
    decimal,
    parse_header,
    pax_records,
    sparse_entries,
)

NOTHING = bytes(BLOCK)


class TarStream:
    """Iterate over it for members; between two of them take the body with `body()` or `pieces()`, or leave it.

    `skip`, where the source can seek, is called instead of reading bytes that nobody wants.
    """

    def __init__(self, read: Read, *, skip: Callable[[int], None] | None = None) -> None:
        self._read = read
        self._skip = skip
        self._buffer = b""
        self._at = 0
        self._consumed = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Members until the two zero blocks, or the end of the stream between two members."""
        records: list[tuple[bytes, bytes]] = []
        long_name = long_link = b""
        while block := self._header():
            member = parse_header(block)
            if member.kind in MEMBERS and not (records or long_name or long_link):  # nearly all
                self._begin(member)
                yield member
                self._finish()
            elif member.kind == PAX:
                records = pax_records(self._extended(member))
            elif member.kind == PAX_GLOBAL:  # `git archive` writes one with a comment; Docker passes them over too
                self._extended(member)
            elif member.kind == GNU_LONG_NAME:
                long_name = self._extended(member).partition(b"\0")[0]
            elif member.kind == GNU_LONG_LINK:
                long_link = self._extended(member).partition(b"\0")[0]
            else:
                member.name = long_name or member.name
                member.link = long_link or member.link
                apply_pax(member, records)
                records, long_name, long_link = [], b"", b""
                self._check(member)
                self._begin(member)
                yield member
                self._finish()
        if records or long_name or long_link:
            raise InvalidImage("damaged tar archive: it ends after an extended header")

    def _header(self) -> bytes:
        """The next header block; empty at the end of the archive."""
        at = self._at
        block = self._buffer[at : at + BLOCK]
        if len(block) == BLOCK and block != NOTHING:
            self._at = at + BLOCK
            return block
        if len(self._buffer) == self._at and not self._more():
            return b""  # no end marker: old tars and empty ones, which Docker reads too
        block = self.take(BLOCK)
        if block != NOTHING:
            return block
        if self.take(BLOCK) != NOTHING:
            raise InvalidImage("damaged tar archive: data after the end marker")
        return b""

    def _extended(self, member: Member) -> bytes:
        if not 0 <= member.size <= MAX_EXTENDED:
            raise InvalidImage(f"an extended tar header of {member.size} bytes; {MAX_EXTENDED} are the most")
        return self.take(member.size + -member.size % BLOCK)[: member.size]

    def _check(self, member: Member) -> None:
        """What a header of 512 bytes alone can't get wrong, or is seen at once."""
        if member.kind not in MEMBERS:
            raise InvalidImage(f"tar member {member.name!r} has the unknown type {member.kind!r}")
        if b"\0" in member.name or b"\0" in member.link:
            raise InvalidImage(f"tar member {member.name!r} has a name with a zero byte")

    def _begin(self, member: Member) -> None:
        """Get ready for the member's body."""
        if member.size < 0:
            raise InvalidImage(f"tar member {member.name!r} has a negative size")
        if member.kind in WITHOUT_BODY:
            member.size = 0
        self._padding = -member.size % BLOCK
        if member.map_follows:
            self._read_map(member)
        if member.holes is not None:
            check_sparse(member)
        self._left = member.size

    def _read_map(self, member: Member) -> None:
        """The rest of a sparse map: GNU's old one in blocks of its own, that of pax 1.0 as part of the body."""
        assert member.holes is not None
        if member.kind == GNU_SPARSE:
            more = True
            while more:
                block = self.take(BLOCK)
                member.holes += sparse_entries(block[:504])
                more = block[504] != 0
                _limit_map(len(member.holes))
            return
        before = self.position()
        count = self._map_number()
        _limit_map(count)
        member.holes = [(self._map_number(), self._map_number()) for _ in range(count)]
        self.take(-(self.position() - before) % BLOCK)
        member.size -= self.position() - before
        if member.size < 0:
            raise InvalidImage("damaged tar archive: a sparse file's map is longer than its member")

    def _map_number(self) -> int:
        """Decimal digits up to a newline."""
        digits = b""
        while (byte := self.take(1)) != b"\n":
            digits += byte
            if len(digits) > 20:
                raise InvalidImage("damaged tar archive: a sparse file's map has no end of line")
        return decimal(digits)

    # Bodies

    def position(self) -> int:
        """Where in the stream the next byte to be taken stands."""
        return self._consumed - len(self._buffer) + self._at

    def body(self) -> tuple[bytes, int] | None:
        """Where the whole body of the current member stands when it is small: in these bytes, from that place on, as
        long as its size says; not copied, for there are many. None when it is large: use pieces()."""
        if self._left > CHUNK:
            return None
        left, self._left = self._left, 0
        at = self._at
        if at + left <= len(self._buffer):
            self._at = at + left
            return self._buffer, at
        return self.take(left), 0

    def pieces(self, limit: int | None = None) -> Iterator[bytes]:
        """The current member's body, or its next `limit` bytes, in pieces of any size."""
        wanted = self._left if limit is None else min(limit, self._left)
        while wanted:
            if self._at == len(self._buffer) and not self._more():
                raise _too_short()
            piece = self._buffer[self._at : self._at + wanted]
            self._at += len(piece)
            self._left -= len(piece)
            wanted -= len(piece)
            yield piece

    def drain(self) -> None:
        """Read what stands after the archive's end marker, so that a digest covers all of the stream."""
        self._buffer, self._at = b"", 0
        while data := self._read(CHUNK):
            self._consumed += len(data)

    def _finish(self) -> None:
        """Pass over what is left of the current member, and its padding."""
        left = self._left + self._padding
        if left <= len(self._buffer) - self._at:
            self._at += left
        elif self._skip is not None:
            left -= len(self._buffer) - self._at
            self._buffer, self._at = b"", 0
            self._skip(left)
            self._consumed += left
        else:
            for _ in self.pieces():
                pass
            while len(self._buffer) - self._at < self._padding and self._more():
                pass
            # umoci ends an archive with the last byte of the last file; Go's reader takes that for an end, too
            self._at = min(self._at + self._padding, len(self._buffer))
        self._left = self._padding = 0

    def take(self, n: int) -> bytes:
        """Exactly the next n bytes. Raises InvalidImage when the stream ends before."""
        while len(self._buffer) - self._at < n:
            if not self._more():
                raise _too_short()
        at = self._at
        self._at = at + n
        return self._buffer[at : at + n]

    def _more(self) -> bool:
        data = self._read(CHUNK)
        self._consumed += len(data)
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0
        return bool(data)


def _limit_map(count: int) -> None:
    if count > MAX_EXTENDED:
        raise InvalidImage("damaged tar archive: a sparse file's map is too long")


def _too_short() -> InvalidImage:
    return InvalidImage("damaged tar archive: it ends in the middle of a member")
