"""A hint to ext4 that what is made below a directory is a tree of its own, wherever its parent lies on the disk.

ext4 makes a file in the block group of its directory, and a directory in that of its parent. It gives out no inode
that was deleted less than a minute ago, and looks at each of those again for every new file (recently_deleted in
fs/ext4/ialloc.c): where an image was removed, and the next one is unpacked beside it, that is most of the time.
Directories below one with the flag T are spread instead, each to a group that has much room and few directories
(chattr(1); find_group_orlov, same file).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from pathlib import Path

# linux/fs.h; the numbers of x86-64 and arm64. The kernel reads and writes an int, whatever the macro says.
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_TOPDIR_FL = 0x00020000


def spread_below(directory: Path) -> None:
    """Set the flag. Where it means nothing (ENOTTY, EOPNOTSUPP) or may not be set (EPERM), trees lie where they did."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            flags = int.from_bytes(fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(4)), sys.byteorder)
            if not flags & FS_TOPDIR_FL:
                fcntl.ioctl(fd, FS_IOC_SETFLAGS, (flags | FS_TOPDIR_FL).to_bytes(4, sys.byteorder))
    finally:
        os.close(fd)
