"""What a shared library says of itself: for which machine it is, and by which name programs ask for it (its SONAME).

A linker copies the SONAME of libcuda.so.550.54.15, "libcuda.so.1", into each program, and that is what the loader looks
for. Files of 64 bits and little-endian only: elf(5).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

HEADER = struct.Struct("<4sBB10xHHIQQQIHHH6x")
PROGRAM = struct.Struct("<IIQQQQQQ")
DYNAMIC = struct.Struct("<qQ")
BITS_64, LITTLE_ENDIAN = 2, 1
PT_LOAD, PT_DYNAMIC = 1, 2
DT_STRTAB, DT_SONAME = 5, 14
MACHINES = {62: "x86_64", 183: "aarch64"}


class Library(msgspec.Struct, frozen=True):
    machine: str
    soname: str = ""


def read(path: Path) -> Library | None:
    """None for what isn't such a file, or is for another machine."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except (OSError, struct.error):
        return None


def _read(file: BinaryIO) -> Library | None:
    magic, bits, order, _, number, _, _, start, _, _, _, size, count = HEADER.unpack(file.read(HEADER.size))
    if (magic, bits, order) != (b"\x7fELF", BITS_64, LITTLE_ENDIAN) or number not in MACHINES or size != PROGRAM.size:
        return None
    rows = [PROGRAM.unpack(_bytes(file, start + row * size, size)) for row in range(count)]
    loaded = [(address, where, length) for kind, _, where, address, _, length, _, _ in rows if kind == PT_LOAD]
    dynamic = next(((where, length) for kind, _, where, _, _, length, _, _ in rows if kind == PT_DYNAMIC), None)
    facts = dict(DYNAMIC.iter_unpack(_bytes(file, *dynamic))) if dynamic else {}
    if DT_SONAME not in facts or DT_STRTAB not in facts:
        return Library(MACHINES[number])
    for address, where, length in loaded:  # the string table is named by its place in memory
        if address <= facts[DT_STRTAB] < address + length:
            place = facts[DT_STRTAB] - address + where + facts[DT_SONAME]
            file.seek(place)
            return Library(MACHINES[number], file.read(256).partition(b"\0")[0].decode(errors="surrogateescape"))
    return Library(MACHINES[number])


def _bytes(file: BinaryIO, start: int, length: int) -> bytes:
    """Raises struct.error for a file that ends before."""
    file.seek(start)
    found = file.read(length)
    if len(found) < length:
        raise struct.error
    return found
