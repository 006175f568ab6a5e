"""What an archive of images holds, whatever made it: files by name, in a tar, a packed tar or a directory.

Nothing here trusts a name: an archive's own names are keys of a dictionary, never paths of this machine; a directory's
files are opened with openat2(2), which refuses symlinks and what lies outside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from minidock.errors import InvalidImage, MinidockError
from minidock.kernel.syscalls import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

from .compression import CHUNK, Read, read_exactly, unpacked
from .manifest import MAX_DOCUMENT
from .tarheader import HARD_LINK, REGULAR, SYMLINK
from .tarstream import TarStream

MAX_FILES = 100_000
"""An archive of images has a handful of files a layer; more are an attack on our memory."""
MAX_LINKS = 8
"""`docker save` of old makes a layer that two images share a symlink to the first one's."""


class Archive(Protocol):
    """Files by name. `open` gives a stream of a file, and its size in bytes."""

    def has(self, name: str) -> bool: ...
    def open(self, name: str) -> tuple[Read, int]: ...
    def close(self) -> None: ...


def read_document(archive: Archive, name: str) -> bytes:
    """A small file whole. Raises InvalidImage when it is missing or too large."""
    read, size = archive.open(name)
    if size > MAX_DOCUMENT:
        raise InvalidImage(f"{shown(name)} in the archive is larger than {MAX_DOCUMENT} bytes")
    return read_exactly(read, size)


def shown(name: str) -> str:
    return ascii(name if len(name) <= 200 else name[:200] + "…")


@contextmanager
def opened(source: BinaryIO | Path, scratch: Callable[[], BinaryIO]) -> Iterator[Archive]:
    """The archive at a path or on a stream. `scratch()` makes a temporary file, for what can't be read twice."""
    with ExitStack() as stack:
        archive: Archive
        if isinstance(source, Path) and source.is_dir():
            archive = DirectoryArchive(source)
        else:
            file = stack.enter_context(_open_file(source)) if isinstance(source, Path) else source
            archive = TarArchive(_seekable(file, scratch, stack))
        stack.callback(archive.close)
        yield archive


def _open_file(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise MinidockError(f"open {path}: {(error.strerror or '').lower()}") from error


def _seekable(file: BinaryIO, scratch: Callable[[], BinaryIO], stack: ExitStack) -> BinaryIO:
    """The same as a plain tar in a file that can be read in any order: layers come before the list that names them."""
    plain_file = file.seekable() and stat.S_ISREG(os.fstat(file.fileno()).st_mode) if _has_descriptor(file) else False
    start = file.tell() if plain_file else 0
    packing, read = unpacked(file.read)
    if plain_file and not packing:
        file.seek(start)
        return file
    copy = stack.enter_context(scratch())
    while data := read(CHUNK):
        copy.write(data)
    copy.seek(0)
    return copy


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except (OSError, AttributeError):
        return False
    return True


class TarArchive:
    """A plain tar in a seekable file, gone through once to learn where everything is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell()
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._index()

    def _index(self) -> None:
        stream = TarStream(self._file.read, skip=lambda count: self._skip(count))
        for member in stream:
            name = clean(os.fsdecode(member.name))
            if len(self._files) + len(self._links) >= MAX_FILES:
                raise InvalidImage(f"the archive has more than {MAX_FILES} files")
            if member.kind == REGULAR and member.holes is None:
                self._files[name] = (stream.position(), member.size)
            elif member.kind == SYMLINK:
                self._links[name] = clean(os.path.join(os.path.dirname(name), os.fsdecode(member.link)))
            elif member.kind == HARD_LINK:
                self._links[name] = clean(os.fsdecode(member.link))

    def _skip(self, count: int) -> None:
        self._file.seek(count, os.SEEK_CUR)

    def has(self, name: str) -> bool:
        return self._resolve(name) in self._files

    def _resolve(self, name: str) -> str:
        name = clean(name)
        for _ in range(MAX_LINKS):
            if name in self._files or name not in self._links:
                return name
            name = self._links[name]
        return name

    def open(self, name: str) -> tuple[Read, int]:
        found = self._files.get(self._resolve(name))
        if found is None:
            raise InvalidImage(f"the archive has no file {shown(name)}")
        offset, size = found
        self._file.seek(self._start + offset)
        left = size

        def read(n: int) -> bytes:
            nonlocal left
            data = self._file.read(min(n, left))
            if not data and left:
                raise InvalidImage(f"the archive ends in the middle of {shown(name)}")
            left -= len(data)
            return data

        return read, size

    def close(self) -> None:
        """The file is its opener's."""


class DirectoryArchive:
    """An OCI layout, or an unpacked archive, in a directory."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open_files: list[BinaryIO] = []

    def has(self, name: str) -> bool:
        try:
            self._open(name).close()
        except InvalidImage:
            return False
        return True

    def _open(self, name: str) -> BinaryIO:
        rules = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
        try:
            # O_NONBLOCK: opening a pipe that somebody put there must not wait for a writer
            fd = openat2(self._fd, clean(name) or ".", os.O_RDONLY | os.O_NONBLOCK, resolve=rules)
        except (OSError, ValueError) as error:
            raise InvalidImage(f"can't open {shown(name)} in the image directory: {error}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InvalidImage(f"{shown(name)} in the image directory is not a regular file")
        return os.fdopen(fd, "rb")

    def open(self, name: str) -> tuple[Read, int]:
        self._close_files()  # one stream at a time
        file = self._open(name)
        self._open_files.append(file)
        return file.read, os.fstat(file.fileno()).st_size

    def _close_files(self) -> None:
        while self._open_files:
            self._open_files.pop().close()

    def close(self) -> None:
        self._close_files()
        os.close(self._fd)


def clean(name: str) -> str:
    """A name without "./" and "//"; ".." is resolved as far as it stays inside. Raises InvalidImage when it doesn't."""
    parts: list[str] = []
    for part in name.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not parts:
                raise InvalidImage(f"the archive names a file outside itself: {shown(name)}")
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
