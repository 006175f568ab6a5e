"""The build context: where the Dockerfile and the files of COPY come from. Only what is needed is read.

PATH                 a directory: read in place, through descriptors
-                    a tar of any packing on standard input, or a Dockerfile alone
http(s)://…          the same from a server
ADDRESS.git, git@…   a repository, with #REF:DIRECTORY
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

import msgspec

from minidock.errors import MinidockError
from minidock.image.compression import CHUNK, Read
from minidock.image.unpack import unpack

from . import fetching
from .ignore import Ignore, Rule, read_file
from .lines import LONGEST
from .tree import Tree

DOCKERFILE = "Dockerfile"


class Context(msgspec.Struct, frozen=True):
    """`tree` has the files, `ignore` says which of them don't count."""

    tree: Tree
    ignore: Ignore
    dockerfile: bytes
    name: str
    """The Dockerfile's name, for messages."""


def open_context(source: str, *, file: str, stdin: BinaryIO, scratch: Path) -> Context:
    """`file` is --file, empty for the context's Dockerfile. Raises MinidockError in Docker's words."""
    if source == "-" and file == "-":
        raise MinidockError("invalid argument: can't use stdin for both build context and dockerfile")
    remote = fetching.repository(source)
    if remote is not None:
        place = fetching.clone(remote, fetching.scratch(scratch) / "repository")
        return _in_directory(inside(place, remote.directory), file, stdin)
    if source == "-":
        return _from_stream(stdin.read, file, stdin, scratch)
    if fetching.is_address(source):
        with fetching.open_address(source) as answer:
            return _from_stream(answer.read, file, stdin, scratch)
    path = Path(source)
    if not path.exists():
        hint = "the build cache is emptied by: minidock builder prune" if source == "prune" else ""
        raise MinidockError(f'unable to prepare context: path "{source}" not found', hint=hint)
    if not path.is_dir():
        raise MinidockError(f"unable to prepare context: context must be a directory: {os.path.abspath(source)}")
    return _local(path.resolve(), file, stdin)


def without(context: Context, directory: Path) -> Context:
    """The context without what lies in `directory`: an instance in it would be copied into itself, and never end."""
    [top], there = context.tree.layers, directory.resolve()
    if top not in there.parents:
        return context
    name = re.sub(r"([][*?\\!])", r"\\\1", str(there.relative_to(top)))
    return msgspec.structs.replace(context, ignore=Ignore([*context.ignore.rules, Rule(name, keeps=False)]))


def inside(root: Path, directory: str) -> Path:
    """A directory of a repository: wherever its symlinks lead, it stays inside."""
    tree = Tree([root], plain=True)
    parts = tree.resolve(directory)
    path = root.joinpath(*parts)
    if not path.is_dir():
        raise MinidockError(f"unable to prepare context: {directory} is no directory of the repository")
    return path


def _from_stream(read: Read, file: str, stdin: BinaryIO, scratch: Path) -> Context:
    is_tar, stream = fetching.begins_tar(read)
    place = fetching.scratch(scratch)
    if is_tar:
        unpack(stream, place, is_layer=False)
        return _in_directory(place, file, stdin)
    text = b""
    while len(text) <= LONGEST and (data := stream(CHUNK)):
        text += data
    if not text.strip():
        raise MinidockError("the Dockerfile (-) cannot be empty")
    return Context(Tree([place], plain=True), Ignore(), text, DOCKERFILE)


def _local(path: Path, file: str, stdin: BinaryIO) -> Context:
    """--file is a path of the caller's, who may have it outside the context."""
    if file == "-":
        return _with(path, _whole(stdin), DOCKERFILE, None)
    place = Path(file) if file else path / DOCKERFILE
    try:
        with open(place, "rb") as opened:
            text = _whole(opened)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MinidockError(f"failed to read dockerfile: open {file or DOCKERFILE}: {reason}") from None
    return _with(path, text, place.name, place.with_name(f"{place.name}.dockerignore"))


def _in_directory(path: Path, file: str, stdin: BinaryIO) -> Context:
    """A context that came from a stranger: its Dockerfile is looked up inside it."""
    if file == "-":
        return _with(path, _whole(stdin), DOCKERFILE, None)
    name = file or DOCKERFILE
    text = _read(path, name)
    if text is None:
        raise MinidockError(f"failed to read dockerfile: open {name}: no such file or directory")
    own = _read(path, f"{name}.dockerignore")
    return _with(path, text, os.path.basename(name), None, own)


def _with(path: Path, text: bytes, name: str, own: Path | None, found: bytes | None = None) -> Context:
    """`own`: where the Dockerfile's own list of ignored files would be; it goes before the context's."""
    if not text.strip():
        raise MinidockError(f"the Dockerfile ({name}) cannot be empty")
    if own is not None and own.is_file():
        found = own.read_bytes()
    rules = rules_of(path) if found is None else read_file(found.decode(errors="surrogateescape"))
    return Context(Tree([path.absolute()], plain=True), Ignore(rules), text, name)


def rules_of(path: Path) -> list[Rule]:
    """A context's own .dockerignore."""
    return read_file((_read(path, ".dockerignore") or b"").decode(errors="surrogateescape"))


def _read(path: Path, name: str) -> bytes | None:
    """A file of the context, which may be anything a stranger put there."""
    tree = Tree([path.absolute()], plain=True)
    parts = tree.resolve(name)
    try:
        with tree.enter(parts[:-1]) as directory, os.fdopen(directory.open(parts[-1]), "rb") as file:
            return _whole(file)
    except (FileNotFoundError, NotADirectoryError, IndexError):
        return None


def _whole(file: BinaryIO) -> bytes:
    text = file.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise MinidockError(f"the Dockerfile is larger than {LONGEST} bytes")
    return text
