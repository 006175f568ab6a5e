"""A build context as a tar, for another daemon: what .dockerignore leaves, and the Dockerfile, wherever it was.

Docker's rules: the Dockerfile and .dockerignore always travel, since the daemon reads them and applies the rules once
more; a Dockerfile from elsewhere gets a name that .dockerignore then excludes. Everything belongs to root over there.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from minidock.build import fetching
from minidock.build.context import DOCKERFILE, open_context
from minidock.build.ignore import Ignore
from minidock.engine.copying import Read, Write, through_pipe

IGNORED = ".dockerignore"
send_through = through_pipe


class Source(msgspec.Struct, frozen=True):
    """`address`: the daemon fetches it. Else `pack` writes a tar, or `read` gives one, with `dockerfile` in it."""

    address: str = ""
    dockerfile: str = DOCKERFILE
    pack: Callable[[Write], object] | None = None
    read: Read | None = None


def source(context: str, file: str, stdin: BinaryIO, scratch: Path) -> Source:
    """Raises MinidockError in Docker's words for what can't be one."""
    if fetching.repository(context) is not None or fetching.is_address(context):
        return Source(address=context, dockerfile=file or DOCKERFILE)
    if context == "-" and file != "-":
        is_tar, read = fetching.begins_tar(stdin.read)
        if is_tar:
            return Source(dockerfile=file or DOCKERFILE, read=read)
        text = b"".join(iter(lambda: read(1 << 20), b""))
        return Source(pack=lambda write: _pack([], {DOCKERFILE: text}, write))
    found = open_context(context, file=file, stdin=stdin, scratch=scratch)  # reads the Dockerfile, and complains
    root = Path(context).resolve()
    inside = _inside(root, file)
    extra: dict[str, bytes] = {}
    if not inside:
        inside = f".dockerfile.{os.urandom(10).hex()}"
        rules = (root / IGNORED).read_bytes() if (root / IGNORED).is_file() else b""
        extra = {IGNORED: rules + f"\n{IGNORED}\n{inside}\n".encode(), inside: found.dockerfile}
    always = {inside, IGNORED}
    members = [(path, full) for path, full in _walk(root, found.ignore, always) if path not in extra]
    return Source(dockerfile=inside, pack=lambda write: _pack(members, extra, write))


def _inside(root: Path, file: str) -> str:
    """The Dockerfile's path below the context, empty when it isn't there."""
    if file == "-":
        return ""
    place = Path(os.path.abspath(file)) if file else root / DOCKERFILE
    try:
        return str((place.parent.resolve() / place.name).relative_to(root))
    except ValueError:
        return ""


def _walk(root: Path, ignore: Ignore, always: set[str]) -> Iterator[tuple[str, str]]:
    """What is to travel, directories before what is in them, by name."""
    for base, directories, names in os.walk(root):
        below = os.path.relpath(base, root)
        path = {name: name if below == "." else f"{below}/{name}" for name in (*directories, *names)}
        for name in sorted((*directories, *names)):
            if path[name] in always or not ignore.excludes(path[name]):
                yield path[name], os.path.join(base, name)
        wanted = {os.path.dirname(each) for each in always}
        directories[:] = sorted(
            name
            for name in directories
            if not ignore.prunes(path[name]) or any(f"{each}/".startswith(f"{path[name]}/") for each in wanted)
        )


class _Out:
    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)


def _pack(members: list[tuple[str, str]], extra: dict[str, bytes], write: Write) -> None:
    out = cast("BinaryIO", _Out(write))
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for name, full in members:
            _add(archive, name, full)
        for name, text in extra.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o600
            archive.addfile(member, io.BytesIO(text))


def _add(archive: tarfile.TarFile, name: str, full: str) -> None:
    if stat.S_ISSOCK(os.lstat(full).st_mode):
        return  # as Docker: a socket is nothing that a file can be made of
    member = archive.gettarinfo(full, name)
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    if member.isreg() or member.islnk():
        with open(full, "rb") as file:
            member.type, member.linkname = tarfile.REGTYPE, ""
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)
    else:
        archive.addfile(member)
