"""Tar headers: 512 bytes of ustar, GNU or v7, and the extended headers of pax (tar(5), pax(1), GNU's manual).

Everything here comes from strangers. A field that can't be what it should be raises InvalidImage; nothing is guessed.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

from minidock.errors import InvalidImage

BLOCK = 512
MAX_EXTENDED = 1 << 20
"""Bytes of the largest extended header or long name; the same limit as Go's archive/tar, so as Docker's."""
MAX_OFFSET = 1 << 62

FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s6s2x64x8s8s155s12x")
"""name mode uid gid size mtime checksum type link magic (version, uname, gname passed over) major minor prefix"""

REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
OLD_REGULAR, CONTIGUOUS, GNU_SPARSE = b"\0", b"7", b"S"
GNU_LONG_NAME, GNU_LONG_LINK, PAX, PAX_GLOBAL = b"L", b"K", b"x", b"g"
MEMBERS = frozenset((REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO, GNU_SPARSE))
WITHOUT_BODY = frozenset((HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
"""Types whose size field says nothing about bytes that follow, as Go's reader has it."""


class Member(msgspec.Struct, gc=False):
    """One file of an archive. `size` bytes follow in the stream; times are nanoseconds since 1970."""

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    major: int = 0
    minor: int = 0
    xattrs: dict[str, bytes] | None = None
    holes: list[tuple[int, int]] | None = None
    """Of a sparse file: (offset, length) of each piece of data that is stored."""
    full_size: int = 0
    """Of a sparse file: its length with holes."""
    map_follows: bool = False
    """The sparse map, or the rest of it, stands in the stream after the header."""


def parse_header(block: bytes) -> Member:
    """A header block as it stands, without regard to extended headers before it."""
    fields = FIELDS.unpack(block)
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, major, minor, prefix = fields
    _check_sum(block, checksum)
    name = name.partition(b"\0")[0]
    if magic == b"ustar\0" and prefix[0]:
        name = prefix.partition(b"\0")[0] + b"/" + name
    if kind in (OLD_REGULAR, CONTIGUOUS):
        kind = DIRECTORY if kind == OLD_REGULAR and name.endswith(b"/") else REGULAR
    member = Member(
        name,
        kind,
        number(mode) & 0o7777,
        number(uid),
        number(gid),
        number(size),
        number(mtime) * 1_000_000_000,
        link.partition(b"\0")[0],
    )
    if kind in (CHARACTER, BLOCK_DEVICE):
        member.major, member.minor = number(major), number(minor)
    if kind == GNU_SPARSE:
        _old_sparse(block, member)
    return member


def _check_sum(block: bytes, stated: bytes) -> None:
    """The sum of all bytes, with the checksum field itself counted as spaces.

    The low half of adler32 is that sum plus one, modulo 65521: a C loop instead of a Python one.
    """
    fixed = 8 * 0x20 - sum(stated)
    try:
        claimed = number(stated)
    except InvalidImage:  # a file that was taken for an archive: its letters tell nobody anything
        raise InvalidImage("invalid tar header: this is no tar archive, or a damaged one") from None
    if ((zlib.adler32(block) & 0xFFFF) - 1 + fixed - claimed) % 65521 == 0:
        return
    signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])
    if signed != claimed:  # ancient tars on machines with signed char
        raise InvalidImage("damaged tar archive: a header's checksum is wrong")


@lru_cache(4096)
def number(field: bytes) -> int:
    """A numeric field: octal digits, or GNU's base-256 when the highest bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=True)
        if field[0] & 0x40 == 0:  # positive: the marker bit isn't part of the number
            value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if abs(value) > MAX_OFFSET:
            raise InvalidImage("damaged tar archive: a number is out of range")
        return value
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise InvalidImage(f"damaged tar archive: {digits!r} is not an octal number")
    return int(digits, 8)


# Sparse files of GNU tar, old format: the map is in the header and in blocks after it

SPARSE_ENTRY = struct.Struct("12s12s")


def _old_sparse(block: bytes, member: Member) -> None:
    member.holes = sparse_entries(block[386:482])
    member.map_follows = block[482] != 0
    member.full_size = number(block[483:495])


def sparse_entries(raw: bytes) -> list[tuple[int, int]]:
    """Pairs of offset and length; an empty field ends the list."""
    entries = []
    for offset, length in SPARSE_ENTRY.iter_unpack(raw):
        if not offset.strip(b"\0 ") and not length.strip(b"\0 "):
            break
        entries.append((number(offset), number(length)))
    return entries


def check_sparse(member: Member) -> None:
    """Pieces in order, within the file, and as many bytes as are stored."""
    assert member.holes is not None
    end = 0
    for offset, length in member.holes:
        if offset < end or length < 0 or offset + length > member.full_size:
            raise InvalidImage("damaged tar archive: a sparse file's map makes no sense")
        end = offset + length
    if sum(length for _, length in member.holes) != member.size:
        raise InvalidImage("damaged tar archive: a sparse file's map doesn't fit its data")


# Pax: records "LENGTH KEY=VALUE\n"


def pax_records(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The records in order: GNU's sparse 0.0 repeats keys."""
    records = []
    at = 0
    while at < len(raw):
        space = raw.find(b" ", at, at + 21)
        digits = raw[at:space] if space > 0 else b""
        if not digits.isdigit():
            raise InvalidImage("damaged tar archive: a pax record without length")
        end = at + int(digits)
        key, equals, value = raw[space + 1 : end - 1].partition(b"=")
        if end > len(raw) or end <= space + 1 or raw[end - 1 : end] != b"\n" or not equals or not key:
            raise InvalidImage("damaged tar archive: a pax record that doesn't end where it says")
        records.append((key, value))
        at = end
    return records


def apply_pax(member: Member, records: list[tuple[bytes, bytes]]) -> None:
    """Let the records of an extended header override the fields. An empty value takes a record back (pax(1))."""
    sparse: dict[bytes, bytes] = {}
    pieces: list[int] = []
    for key, value in records:
        if key == b"path" and value:
            member.name = value
        elif key == b"linkpath" and value:
            member.link = value
        elif key == b"size" and value:
            member.size = decimal(value)
        elif key == b"uid" and value:
            member.uid = decimal(value)
        elif key == b"gid" and value:
            member.gid = decimal(value)
        elif key == b"mtime" and value:
            member.mtime = nanoseconds(value)
        elif key.startswith((b"SCHILY.xattr.", b"LIBARCHIVE.xattr.")):
            _add_xattr(member, key, value)
        elif key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            pieces.append(decimal(value))
        elif key.startswith(b"GNU.sparse."):
            sparse[key[11:]] = value
    if sparse or pieces:
        _apply_sparse(member, sparse, pieces)


def _add_xattr(member: Member, key: bytes, value: bytes) -> None:
    """star writes bytes as they are, libarchive a name with %XX and base64."""
    vendor, _, name = key.partition(b".xattr.")
    if member.xattrs is None:
        member.xattrs = {}
    if vendor == b"LIBARCHIVE":
        name = unquote_to_bytes(name)
        try:
            value = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
        except ValueError as error:
            raise InvalidImage("damaged tar archive: an extended attribute isn't base64") from error
        member.xattrs.setdefault(name.decode(errors="surrogateescape"), value)
    else:
        member.xattrs[name.decode(errors="surrogateescape")] = value


def _apply_sparse(member: Member, sparse: dict[bytes, bytes], pieces: list[int]) -> None:
    """GNU sparse 0.0 (repeated keys), 0.1 (one list), 1.0 (the map stands before the data, read by the stream)."""
    if b"name" in sparse:
        member.name = sparse[b"name"]
    member.full_size = decimal(sparse.get(b"realsize", sparse.get(b"size", b"0")))
    if sparse.get(b"major") == b"1":
        member.holes = []
        member.map_follows = True
        return
    if b"map" in sparse:
        pieces = [decimal(text) for text in sparse[b"map"].split(b",")] if sparse[b"map"] else []
    if len(pieces) % 2:
        raise InvalidImage("damaged tar archive: a sparse file's map ends in the middle")
    member.holes = list(zip(pieces[::2], pieces[1::2], strict=True))
    check_sparse(member)


def decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20 or int(text) > MAX_OFFSET:
        raise InvalidImage(f"damaged tar archive: {text[:40]!r} is not a number in range")
    return int(text)


def nanoseconds(text: bytes) -> int:
    """Seconds with an optional fraction, also negative, without the rounding of a float."""
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.removeprefix(b"-").partition(b".")
    if fraction and not fraction.isdigit():
        raise InvalidImage(f"damaged tar archive: {text[:40]!r} is not a time")
    return sign * (decimal(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0")))
