"""The loader's cache: how a program's `libcuda.so.1` becomes a file, and how a driver's libraries get into it.

A program names the libraries that it needs, ld.so(8) finds them: in LD_LIBRARY_PATH, in /etc/ld.so.cache, in a few
directories that are built in. The cache is made by ldconfig(8), which reads every library of the image. For libraries
that are mounted from the host the makers' hook runs the host's ldconfig inside the container's root. Here no program
runs: the cache is a table, sorted so that the loader can halve it, and a few lines are added.

    header   magic, number of entries, bytes of strings, byte order, where the extension starts
    entries  kind of library, name (libcuda.so.1), path, kernel, capabilities of the processor
    strings  names and paths, each with a zero at its end
    extension  names of the glibc-hwcaps directories (x86-64-v3), which entries count by number

glibc: sysdeps/generic/dl-cache.h, elf/dl-cache.c. Man page: ldconfig(8).
"""

from __future__ import annotations

import os
import shlex
import stat
import struct
from collections.abc import Sequence
from functools import cmp_to_key
from typing import ClassVar

import msgspec

from minidock.kernel import rootpath
from minidock.steps import Live, Step

MAGIC = b"glibc-ld.so.cache1.1"
HEADER = struct.Struct("<20sIIB3xI12x")
ENTRY = struct.Struct("<iIIIQ")
LITTLE_ENDIAN = 2
EXTENSION_MAGIC, HWCAPS_TAG = 0xEAA42174, 1
HWCAP_BY_NUMBER = 1 << 62
LARGEST = 16 << 20
"""Bytes; what is larger was not made by ldconfig."""

PATH = "/etc/ld.so.cache"
CONFIGURATION = "/etc/ld.so.conf.d/zz-minidock.conf"
"""So that an ldconfig run inside (apt-get install) finds them again; last, since what is named first wins."""


class Entry(msgspec.Struct, frozen=True):
    """`flags` says which loader it is for: 3 (glibc) and the machine, such as 0x300 for x86-64."""

    name: str
    path: str
    flags: int
    os_version: int = 0
    hwcap: int = 0


class Cache(msgspec.Struct, frozen=True):
    entries: list[Entry] = []
    hwcaps: list[str] = []


def parse(raw: bytes) -> Cache:
    """The cache of a file; an older format may stand before it. Raises ValueError for what isn't one."""
    start = raw.find(MAGIC)
    if start < 0:
        raise ValueError("not a cache of the loader")
    raw = raw[start:]
    try:
        _, count, _, _, extension = HEADER.unpack_from(raw)
        rows = [ENTRY.unpack_from(raw, HEADER.size + number * ENTRY.size) for number in range(count)]
        entries = [
            Entry(_text(raw, name), _text(raw, path), flags, version, hwcap)
            for flags, name, path, version, hwcap in rows
        ]
        return Cache(entries, _hwcaps(raw, extension) if extension else [])
    except struct.error as error:
        raise ValueError("a cache of the loader that ends too early") from error


def _text(raw: bytes, start: int) -> str:
    end = raw.find(b"\0", start)
    if start >= len(raw) or end < 0:
        raise ValueError("a cache of the loader whose strings lie outside")
    return raw[start:end].decode(errors="surrogateescape")


def _hwcaps(raw: bytes, start: int) -> list[str]:
    magic, count = struct.unpack_from("<II", raw, start)
    if magic != EXTENSION_MAGIC:
        raise ValueError("a cache of the loader with an unknown extension")
    for number in range(count):
        tag, _, offset, size = struct.unpack_from("<IIII", raw, start + 8 + number * 16)
        if tag == HWCAPS_TAG:
            return [_text(raw, where) for (where,) in struct.iter_unpack("<I", raw[offset : offset + size])]
    return []


def build(cache: Cache) -> bytes:
    """The file. Of two entries with the same name the one that comes first in `cache` stays first."""
    entries = sorted(cache.entries, key=cmp_to_key(_descending))
    strings, places = bytearray(), dict[str, int]()
    base = HEADER.size + len(entries) * ENTRY.size

    def place(text: str) -> int:
        if text not in places:
            places[text] = base + len(strings)
            strings.extend(os.fsencode(text) + b"\0")
        return places[text]

    def both(entry: Entry) -> tuple[int, int]:
        """A name is the end of its path, as a rule: the same bytes serve."""
        path = place(entry.path)
        if entry.path.endswith(entry.name):
            return path + len(os.fsencode(entry.path)) - len(os.fsencode(entry.name)), path
        return place(entry.name), path

    rows = [ENTRY.pack(entry.flags, *both(entry), entry.os_version, entry.hwcap) for entry in entries]
    numbers = struct.pack(f"<{len(cache.hwcaps)}I", *map(place, cache.hwcaps))
    extension = 0
    tail = b""
    if cache.hwcaps:
        strings.extend(b"\0" * (-(base + len(strings)) % 4))
        extension = base + len(strings)
        head = struct.pack("<II", EXTENSION_MAGIC, 1)
        tail = head + struct.pack("<IIII", HWCAPS_TAG, 0, extension + len(head) + 16, len(numbers)) + numbers
    header = HEADER.pack(MAGIC, len(entries), len(strings), LITTLE_ENDIAN, extension)
    return header + b"".join(rows) + bytes(strings) + tail


def _descending(one: Entry, other: Entry) -> int:
    return compare(other.name, one.name)


def compare(one: str, other: str) -> int:
    """The loader's order (_dl_cache_libcmp): numbers by value, digits after all else. It halves the table by this."""
    a, b = os.fsencode(one) + b"\0", os.fsencode(other) + b"\0"
    i = j = 0
    while a[i]:
        first, second = chr(a[i]).isdigit(), chr(b[j]).isdigit()
        if first and second:
            (left, i), (right, j) = _number(a, i), _number(b, j)
            if left != right:
                return left - right
        elif first or second:
            return 1 if first else -1
        elif a[i] != b[j]:
            return a[i] - b[j]
        else:
            i, j = i + 1, j + 1
    return a[i] - b[j]


def _number(text: bytes, start: int) -> tuple[int, int]:
    end = start
    while 0x30 <= text[end] <= 0x39:
        end += 1
    return int(text[start:end]), end


def added(raw: bytes | None, libraries: Sequence[Entry]) -> bytes:
    """A cache with these libraries first among those of their names; what isn't one counts for none, as in ld.so."""
    try:
        before = parse(raw) if raw else Cache()
    except ValueError:
        before = Cache()
    ours = {(entry.name, entry.path) for entry in libraries}
    kept = [entry for entry in before.entries if (entry.name, entry.path) not in ours]
    return build(Cache([*libraries, *kept], before.hwcaps))


class AddLibraries(Step, frozen=True):
    """Tell the image's loader where mounted libraries are; an image without glibc is left alone."""

    rootfs: str
    libraries: list[Entry]
    loader: str
    """glibc's own place in the image: /lib64/ld-linux-x86-64.so.2."""
    man: ClassVar[str] = "ldconfig(8)"

    def describe(self) -> str:
        return f"tell the loader of {len(self.libraries)} names of libraries that are mounted"

    def shell(self) -> str:
        """ldconfig itself has to wait for the mounts, and for the root: the script can only leave word for it."""
        place = shlex.quote(self.rootfs + CONFIGURATION)
        lines = " ".join(map(shlex.quote, self._directories()))
        return (
            f"mkdir -p $(dirname {place}) && printf '%s\\n' {lines} > {place}\n"
            "# ldconfig, run inside, makes the cache from it; minidock writes the cache itself, and runs nothing"
        )

    def _directories(self) -> list[str]:
        return sorted({os.path.dirname(entry.path) for entry in self.libraries})

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        try:
            try:
                os.close(rootpath.open_in(root, self.loader))
            except FileNotFoundError:
                return
            before = _read(root, PATH)
            after = added(before, self.libraries)
            if after != before:
                _write(root, PATH, after)
                _write(root, CONFIGURATION, "".join(f"{line}\n" for line in self._directories()).encode())
        finally:
            os.close(root)


def _read(root: int, path: str) -> bytes | None:
    """None when there is none, or something else stands there: a FIFO would keep us waiting."""
    try:
        fd = rootpath.open_in(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        return file.read() if stat.S_ISREG(facts.st_mode) and facts.st_size <= LARGEST else None


def _write(root: int, path: str, content: bytes) -> None:
    """A new file in the place of the name, whatever the image has there: never through its symlink."""
    directory, _, name = path.rpartition("/")
    parent = rootpath.make_directories(root, directory)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(f"{name}.new", flags, 0o644, dir_fd=parent), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        os.rename(f"{name}.new", name, src_dir_fd=parent, dst_dir_fd=parent)
    finally:
        os.close(parent)
