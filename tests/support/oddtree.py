"""A tree of files with one of everything, and all that can be known of a tree, for comparing two."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from minidock.image.trees import walk

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)
"""cap_net_raw=ep, as capabilities(7) has it in security.capability."""


Fact = tuple[int, tuple[int, int], int, int, int, int, object, dict[str, bytes]]


def facts(top: Path) -> dict[bytes, Fact]:
    """All that is known of each file: mode, owner, links, size, device, time, content, attributes."""
    root = os.open(top, os.O_RDONLY)
    found = {}
    for name, status in walk(root):
        path = os.fsencode(top) + b"/" + name
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = Path(os.fsdecode(path)).read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
        }
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        links = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
        owner = (status.st_uid, status.st_gid)
        found[name] = (status.st_mode, owner, links, size, status.st_rdev, status.st_mtime_ns, content, attributes)
    os.close(root)
    return found


def odd_tree(top: Path) -> None:
    """A tree with one of everything."""
    top.mkdir()
    for number, mode in enumerate([0o000, 0o400, 0o644, 0o666, 0o755, 0o777, 0o1755, 0o2755, 0o4755, 0o6711, 0o7777]):
        path = top / f"mode{number}"
        path.write_bytes(b"x" * number * 1000)
        os.chown(path, 1000 + number, 2000)
        path.chmod(mode)
    (top / "large").write_bytes(os.urandom(3_000_000))
    (top / "setgid").mkdir()
    (top / "setgid" / "file").write_text("in a setgid directory")
    os.chown(top / "setgid", 5, 6)
    (top / "setgid").chmod(0o2770)
    (top / "sticky").mkdir(mode=0o1777)
    (top / "sticky").chmod(0o1777)
    (top / "read-only").mkdir()
    (top / "read-only" / "file").write_text("in a directory that can't be written")
    (top / "read-only").chmod(0o555)
    (top / os.fsdecode(b"not-utf8-\xff\xfe")).write_text("x")
    (top / "ünïcode").mkdir()
    (top / ("long" * 60)).write_text("240 bytes of name")
    deep = top / "/".join(["deep" * 20] * 12)
    deep.mkdir(parents=True)
    (deep / "file").write_text("a path of a thousand bytes")
    (top / "link").symlink_to("/etc/passwd")
    (top / "long-link").symlink_to("x" * 3000)
    os.chown(top / "link", 7, 8, follow_symlinks=False)
    os.link(top / "large", top / "setgid" / "hard")
    os.link(top / "link", top / "hard-link-to-symlink", follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 300))
    os.chown(top / "disk", 0, 6)
    os.setxattr(top / "large", "user.name", b"value\0\n=")
    os.setxattr(top / "sticky", "user.dir", b"of a directory")
    os.setxattr(top / "mode4", "security.capability", CAPABILITY)
    os.setxattr(top / "null", "trusted.test", b"on a device")
    with open(top / "sparse", "wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
        file.truncate(60_000_000)
    root = os.open(top, os.O_RDONLY)
    for number, name in enumerate(sorted((name for name, _ in walk(root)), reverse=True)):
        os.utime(name, ns=(0, 1_600_000_000_123_456_789 + number * 10**9), dir_fd=root, follow_symlinks=False)
    os.close(root)
    os.utime(top / "fifo", ns=(0, -5_500_000_000))
