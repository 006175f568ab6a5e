"""What a member says of its file, given to the file: bytes, owner, extended attributes."""

from __future__ import annotations

import errno
import os

from minidock.errors import InvalidImage

from .names import shown
from .tarheader import Member
from .tarstream import TarStream

MAX_ID = 0xFFFFFFFE
"""Highest user or group id; the one above means "leave as it is" to chown(2)."""
REFUSED_XATTRS = ("trusted.overlay.", "user.overlay.")
"""overlayfs obeys these: a layer that sets them itself could redirect directories. Only we may."""


def owner(member: Member) -> tuple[int, int]:
    if not (0 <= member.uid <= MAX_ID and 0 <= member.gid <= MAX_ID):
        raise InvalidImage(f"layer member {shown(member.name)} has the impossible owner {member.uid}:{member.gid}")
    return member.uid, member.gid


def device_number(number: int) -> int:
    if not 0 <= number < 1 << 32:
        raise InvalidImage(f"layer has a device with the impossible number {number}")
    return number


def write(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)


def write_sparse(fd: int, member: Member, stream: TarStream) -> None:
    for offset, length in member.holes or ():
        os.lseek(fd, offset, os.SEEK_SET)
        for piece in stream.pieces(length):
            write(fd, piece)
    os.ftruncate(fd, member.full_size)


def fill(fd: int, member: Member, stream: TarStream, *, mine: bool, umask: int) -> int:
    """Give a new file its bytes and all the rest; how many bytes. `mine`: it has the right owner already."""
    if member.holes is not None:
        write_sparse(fd, member, stream)
    else:
        for piece in stream.pieces():
            write(fd, piece)
    # chown first, for it clears setuid bits and capabilities; utime last, for the others change it.
    if not mine:
        os.fchown(fd, *owner(member))
    if member.mode & (0o7000 | umask):
        os.fchmod(fd, member.mode)
    if member.xattrs:
        set_xattrs(fd, member.xattrs)
    os.utime(fd, ns=(member.mtime, member.mtime))
    return member.size if member.holes is None else member.full_size


def set_xattrs(target: int | bytes, xattrs: dict[str, bytes]) -> None:
    """On a descriptor, or on a path whose last part is not followed."""
    for name, value in xattrs.items():
        if name.startswith(REFUSED_XATTRS):
            raise InvalidImage(f"layer sets the attribute {name!a}, which only the engine may")
        try:
            os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))
        except OSError as error:
            # Labels of SELinux mean nothing on a host without it, and Docker drops what a file system can't keep.
            # A capability is no decoration: ping wouldn't work without it.
            if error.errno != errno.ENOTSUP or name == "security.capability":
                raise


def current_umask() -> int:
    """umask(2) can only be read by changing it, for all threads; proc(5) tells without."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line[6:], 8)
    return 0o777  # Linux before 4.7: set every mode explicitly
