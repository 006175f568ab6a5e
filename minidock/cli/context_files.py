"""context export and import: a context, with its certificates, as a tar that Docker's client reads and writes."""

from __future__ import annotations

import io
import lzma
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from ..errors import MinidockError
from .commands import Complaint, verb
from .contexts import done, find, plainly, store

LARGEST = 10 << 20
"""Bytes of an archive, as Docker has it: meta data and three certificates."""
CERTIFICATES = "tls/docker/"


@verb(
    "export",
    "Export a context to a tar archive FILE or a tar stream on STDOUT.",
    "[OPTIONS] CONTEXT [FILE|-]",
    least=1,
    most=2,
    examples="""
        minidock context export lab
        minidock context export lab - | ssh other minidock context import lab -
    """,
)
def export(arguments: list[str]) -> None:
    name, target = arguments[0], arguments[1] if len(arguments) > 1 else f"{arguments[0]}.dockercontext"
    contexts = store()
    found = plainly(lambda: find(contexts, name))
    data = _packed(found.document(), contexts.tls_files(name))
    if target == "-":
        if os.isatty(1):
            raise Complaint("cowardly refusing to export to a terminal, specify a file path", 1)
        sys.stdout.buffer.write(data)
        return
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Complaint(f"open {target}: {(error.strerror or str(error)).lower()}", 1) from error
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    print(f'Written file "{target}"', file=sys.stderr)


def _packed(document: dict[str, Any], tls: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "meta.json", msgspec.json.encode(document), 0o644)
        for directory in ("tls", *(["tls/docker"] if tls else [])):
            member = tarfile.TarInfo(directory)
            member.type, member.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(member)
        for name, data in tls.items():
            _add(archive, CERTIFICATES + name, data, 0o600)
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))


@verb(
    "import",
    "Import a context from a tar or zip file",
    "CONTEXT FILE|-",
    least=2,
    examples="minidock context import lab lab.dockercontext",
)
def import_(arguments: list[str]) -> None:
    from ..daemon.client import contexts as module

    name, source = arguments
    plainly(lambda: module.check_name(name))
    contexts = store()
    if contexts.exists(name):
        raise Complaint(f'context "{name}" already exists', 1)
    data = _read(source)
    document, tls = plainly(lambda: unpacked(data))
    found = plainly(lambda: module.from_document({**document, "Name": name}))
    contexts.write(found, tls)
    done(name, f'Successfully imported context "{name}"')


def _read(source: str) -> bytes:
    try:
        if source == "-":
            return sys.stdin.buffer.read(LARGEST + 1)
        with open(source, "rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise Complaint(f"open {source}: {(error.strerror or str(error)).lower()}", 1) from error


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The document, and the certificates by name. What else is in the archive is refused: it may be a trap."""
    if len(data) > LARGEST:
        raise MinidockError("read: unexpected EOF")
    document: dict[str, Any] | None = None
    tls: dict[str, bytes] = {}
    for name, content in _members(io.BytesIO(data)):
        if name == "meta.json":
            try:
                document = msgspec.json.decode(content, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                raise MinidockError(f"invalid context: meta.json: {error}") from error
        elif name.startswith("tls/") and "/" not in (last := name.removeprefix(CERTIFICATES)) and last.endswith(".pem"):
            tls[last] = content
        else:
            raise MinidockError(f'unexpected context file: "{name}"')
    if document is None:
        raise MinidockError("invalid context: no meta.json found")
    return document, tls


UNREADABLE = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError,
    RuntimeError,  # of zipfile: with a password, or packed in a way that it doesn't know
)  # fmt: skip


def _members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as zipped:
                entries = (entry for entry in zipped.infolist() if not entry.is_dir())
                for entry in entries:
                    with zipped.open(entry) as unzipped:
                        yield entry.filename, unzipped.read(LARGEST)
            return
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            for member in archive:
                if member.isdir():
                    continue
                content = archive.extractfile(member) if member.isfile() else None
                if content is None:
                    raise MinidockError(f'unexpected context file: "{member.name}"')
                yield member.name, content.read(LARGEST)
    except UNREADABLE as error:
        why = str(error).partition("\n")[0].rstrip(":")  # tarfile tells of every way of packing that it has tried
        raise MinidockError(f"invalid context: {why}") from error
