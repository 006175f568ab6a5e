"""A build context with something of everything, the same for every engine."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

TIME = 1_600_000_000


def make(root: Path) -> Path:
    """Fill the directory. Owners are odd on purpose: COPY must not keep them."""
    files = {
        "hello.txt": b"hello\n",
        "tree/one": b"1\n",
        "tree/two.txt": b"2\n",
        "tree/sub/x/deep": b"deep\n",
        "tree/sub/.hidden": b"",
        "links/target": b"target\n",
        "links/real/inside": b"inside\n",
        "modes/setuid": b"s",
        "modes/private": b"p",
        "modes/dir/all": b"a",
        "odd/sp ace": b"1",
        "odd/ünïcode": b"2",
        "odd/[brackets]": b"3",
        "ignoring/kept": b"k",
        "ignoring/gone.log": b"g",
        "ignoring/back.log": b"b",
        "ignoring/deep/gone/x": b"x",
        "false.tar": b"this is no archive\n",
        ".dockerignore": b"**/*.log\n!ignoring/back.log\nignoring/deep/gone\n# a comment\n",
    }
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "tree/empty").mkdir()
    (root / "links/file").symlink_to("target")
    (root / "links/dir").symlink_to("real")
    (root / "links/broken").symlink_to("nowhere")
    (root / "links/absolute").symlink_to("/etc/passwd")
    for name, mode in (("modes/setuid", 0o4755), ("modes/private", 0o600), ("modes/dir", 0o1777), ("tree/sub", 0o750)):
        (root / name).chmod(mode)
    (root / "data.gz").write_bytes(gzip.compress(b"no tar in here\n", mtime=0))
    plain = _tar(
        [("file", b"from the tar\n", 0o644, 3, 4), ("dir/", None, 0o711, 5, 6), ("dir/new", b"new\n", 0o4755, 0, 0)]
    )
    (root / "plain.tar").write_bytes(plain)
    (root / "packed.tar.gz").write_bytes(gzip.compress(plain, mtime=0))
    (root / "packed.tar.bz2").write_bytes(bz2.compress(_tar([("bz", b"bz\n", 0o600, 0, 0)])))
    (root / "packed.tar.xz").write_bytes(lzma.compress(_tar([("xz", b"xz\n", 0o640, 1, 2)])))
    (root / "links.tar").write_bytes(_linked())
    for directory, names, names_of_files in os.walk(root, topdown=False):
        for name in [*names, *names_of_files]:
            path = Path(directory) / name
            if os.geteuid() == 0 and not path.is_symlink():
                mode = path.stat().st_mode
                os.chown(path, 1000, 1000)
                path.chmod(mode & 0o7777)
            os.utime(path, (TIME, TIME), follow_symlinks=False)
    return root


def _tar(rows: list[tuple[str, bytes | None, int, int, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data, mode, uid, gid in rows:
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode, member.uid, member.gid, member.mtime = mode, uid, gid, TIME
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.size = len(data or b"")
            tar.addfile(member, io.BytesIO(data or b""))
    return out.getvalue()


def _linked() -> bytes:
    """Symlinks, a hard link, a fifo and a name that would be a whiteout in a layer."""
    out = io.BytesIO(_tar([("target", b"t\n", 0o644, 0, 0)]))
    with tarfile.open(fileobj=out, mode="a") as tar:
        for name, kind, link in (
            ("soft", tarfile.SYMTYPE, "target"),
            ("up", tarfile.SYMTYPE, "../../../etc/passwd"),
            ("hard", tarfile.LNKTYPE, "target"),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mtime = kind, link, TIME
            tar.addfile(member)
    return out.getvalue()
