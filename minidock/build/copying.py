"""COPY and ADD: which files are meant, whether they are still the same, and their copies in a new layer.

    sources → pieces (a file, a directory, an archive, each in some tree) → entries → a checksum, or files

The checksum leaves out times, as Docker's does: a fresh checkout of the same files is found in the cache.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

import msgspec

from minidock.errors import MinidockError
from minidock.image.compression import CHUNK

from .ignore import Ignore, compile_pattern, has_wildcards, rules
from .tree import Directory, Parts, Tree
from .upper import Looks, Upper


class Piece(msgspec.Struct, frozen=True):
    """One thing to copy. `base` is what stands before the part of the path that --parents keeps."""

    tree: Tree
    parts: Parts
    is_directory: bool
    kept: Parts = ()
    """With --parents: the directories to make at the target, and the name."""
    ignore: Ignore = Ignore()
    """Of paths as the context has them."""
    exclude: Ignore = Ignore()
    """--exclude, of paths below the piece, or of its name."""
    archive: bool = False
    """An unpacked archive, whose members may replace what is there, and keep their owners."""
    described: frozenset[str] = frozenset()
    """Directories of an archive that have a member of their own: they say what they look like."""
    label: str = ""
    """What an archive or address came to, instead of looking at its files again."""
    name: str = ""
    """The name at the target, when it isn't that of the file."""

    @property
    def target_name(self) -> str:
        return self.name or (self.parts[-1] if self.parts else "")


# Which files


def find(tree: Tree, pattern: str, ignore: Ignore, exclude: Ignore, *, parents: bool = False) -> list[Piece]:
    """What a source names, in the order of the names. Wildcards may match nothing, as with BuildKit.

    Raises MinidockError when a name without wildcards isn't there.
    """
    pivot = "/./" if parents and "/./" in pattern else ""
    before, _, _ = pattern.partition(pivot) if pivot else ("", "", "")
    depth = len([part for part in before.split("/") if part not in ("", ".")])
    wild = has_wildcards(pattern)
    names = list(dict.fromkeys(_matching(tree, pattern, deep=parents))) if wild else [pattern]
    pieces = []
    for name in names:
        parts = tree.resolve(name)
        status = tree.status(parts)
        is_directory = status is not None and stat.S_ISDIR(status.st_mode)
        if status is None or _is_left_out(parts, ignore, is_directory):
            continue
        if wild and exclude.rules and not is_directory and exclude.excludes(parts[-1]):
            continue
        written = tuple(part for part in name.split("/") if part not in ("", "."))
        kept = written[depth:] if parents else ()
        pieces.append(Piece(tree, parts, is_directory, kept, ignore, exclude, name=written[-1] if written else ""))
    if not pieces and not wild:
        raise MinidockError(f"{pattern}: file not found")
    return pieces


def _is_left_out(parts: Parts, ignore: Ignore, is_directory: bool) -> bool:
    if not parts:
        return False
    path = "/".join(parts)
    return ignore.prunes(path) if is_directory else ignore.excludes(path)


def _matching(tree: Tree, pattern: str, *, deep: bool) -> Iterator[str]:
    """Go's filepath.Glob, part by part, without following symlinks out of the tree. `**` is any number of directories
    when `deep`, as it is for --parents, and else a `*`."""
    waiting = [part for part in pattern.split("/") if part not in ("", ".")]
    yield from _match_below(tree, (), waiting, deep)


def _match_below(tree: Tree, done: Parts, waiting: list[str], deep: bool) -> Iterator[str]:
    if not waiting:
        yield "/".join(done)
        return
    part, rest = waiting[0], waiting[1:]
    if part == ".." or not has_wildcards(part):
        yield from _match_below(tree, (*done, part), rest, deep)
        return
    regex = compile_pattern(part)
    try:
        with tree.enter(tree.resolve("/".join(done))) as directory:
            names = [name for name in directory.names() if regex.fullmatch(name)]
            below = [name for name in names if stat.S_ISDIR(_mode(directory, name))] if part == "**" and deep else []
    except (FileNotFoundError, NotADirectoryError):
        return
    if part == "**" and deep and rest:
        yield from _match_below(tree, done, rest, deep)
        for name in below:
            yield from _match_below(tree, (*done, name), waiting, deep)
        return
    for name in names:
        yield from _match_below(tree, (*done, name), rest, deep)


def _mode(directory: Directory, name: str) -> int:
    status = directory.look(name)
    return status.st_mode if status else 0


class Entry(msgspec.Struct, frozen=True):
    """One file of a piece: its place below the target, and where it is; open until the next one is asked for."""

    below: Parts
    directory: Directory
    name: str
    status: os.stat_result


def entries(piece: Piece) -> Iterator[Entry]:
    """The piece itself, below (), and all in it; what the rules leave out is not given."""
    tree, parts = piece.tree, piece.parts
    if parts:
        with tree.enter(parts[:-1]) as directory:
            status = directory.look(parts[-1])
            if status is None:
                raise MinidockError(f"{'/'.join(parts)} has vanished while it was read")
            yield Entry((), directory, parts[-1], status)
    else:
        with tree.root() as root:
            yield Entry((), root, ".", root.status())
    if not piece.is_directory:
        return

    def pruned(below: Parts) -> bool:
        path = "/".join(below)
        return piece.ignore.prunes("/".join((*parts, *below))) or piece.exclude.prunes(path)

    hidden: set[Parts] = set()
    waiting: dict[Parts, None] = {}
    for below, directory, status in tree.walk(parts, prune=pruned):
        out = piece.ignore.excludes("/".join((*parts, *below))) or piece.exclude.excludes("/".join(below))
        if out and stat.S_ISDIR(status.st_mode) and not pruned(below):
            hidden.add(below)  # only there when something below it has come back
            continue
        if out:
            continue
        for count in range(1, len(below)):
            if below[:count] in hidden and below[:count] not in waiting:
                waiting[below[:count]] = None
                yield from _directory_at(piece, below[:count])
        yield Entry(below, directory, below[-1], status)


def _directory_at(piece: Piece, below: Parts) -> Iterator[Entry]:
    with piece.tree.enter((*piece.parts, *below[:-1])) as directory:
        status = directory.look(below[-1])
        if status is not None:
            yield Entry(below, directory, below[-1], status)


# Whether they are the same


def checksum(pieces: list[Piece], *, owners: bool) -> str:
    """Over names, kinds, modes, attributes and contents; over owners when they are kept. Not over times."""
    total = hashlib.sha256()
    for piece in pieces:
        facts = f"piece {piece.target_name} {'/'.join(piece.kept)} {piece.label}\n"
        total.update(facts.encode(errors="surrogateescape"))
        if piece.label:
            continue
        for entry in entries(piece):
            total.update(_facts(entry, owners or piece.archive))
    return "sha256:" + total.hexdigest()


def _facts(entry: Entry, owners: bool) -> bytes:
    status = entry.status
    kind = stat.S_IFMT(status.st_mode)
    rows = ["/".join(entry.below), f"{status.st_mode:o}"]
    if owners:
        rows.append(f"{status.st_uid}:{status.st_gid}")
    if kind == stat.S_IFREG:
        rows.append(_content(entry))
    elif kind == stat.S_IFLNK:
        rows.append(entry.directory.readlink(entry.name))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        rows.append(str(status.st_rdev))
    xattrs = entry.directory.xattrs(entry.name) if kind != stat.S_IFSOCK and entry.below else {}
    rows += [f"{name}={value.hex()}" for name, value in sorted(xattrs.items())]
    return ("\0".join(rows) + "\n").encode(errors="surrogateescape")


def _content(entry: Entry) -> str:
    fd = entry.directory.open(entry.name)
    with os.fdopen(fd, "rb", buffering=0) as file:
        digest = hashlib.sha256()
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


# Their copies


NEW_DIRECTORY = 0o755


class Target(msgspec.Struct, frozen=True):
    """Where to: `path` absolute, `is_directory` when what is written says so (a slash at the end, several sources)."""

    path: str
    is_directory: bool


def copy(upper: Upper, pieces: list[Piece], target: Target, looks: Looks, created: Looks) -> None:
    """Into the new layer. `created` is what directories look like that are made on the way."""
    base = upper.tree.resolve(target.path)
    there = upper.tree.status(base)
    directory = target.is_directory or (there is not None and stat.S_ISDIR(there.st_mode))
    for piece in pieces:
        place = base
        if piece.kept:
            place = (*base, *piece.kept)
            _copy_parents(upper, piece, base, looks)
        elif not piece.is_directory and directory:
            place = (*base, piece.target_name)
        _copy_piece(upper, piece, place, looks, created)


def _copy_piece(upper: Upper, piece: Piece, place: Parts, looks: Looks, created: Looks) -> None:
    owner = created.owner or (0, 0)
    if len(place) > 1 or piece.is_directory:
        os.close(upper.directory(place[:-1], owner=owner))
    # What is in a directory is copied, not the directory: the target looks like any other that is made on the way.
    contents_only = piece.is_directory and not piece.kept
    if contents_only:
        mode = looks.mode.applied(NEW_DIRECTORY, directory=True) if looks.mode else NEW_DIRECTORY
        os.close(upper.directory(place, owner=owner, mode=mode))
    for entry in entries(piece):
        at = (*place, *entry.below)
        if not entry.below and contents_only:
            continue
        described = "/".join(entry.below) in piece.described
        if entry.below:
            at = _through_links(upper, place, entry, itself=not described)
        upper.put(at, entry.directory, entry.name, entry.status, looks, replace=piece.archive, overwrite=described)


def _through_links(upper: Upper, place: Parts, entry: Entry, *, itself: bool) -> Parts:
    """A directory of the source may be a symlink to one at the target: what is in it then goes there."""
    above = upper.tree.resolve("/".join((*place, *entry.below[:-1])))
    at = (*above, entry.below[-1])
    if itself and stat.S_ISDIR(entry.status.st_mode):
        there = upper.tree.status(at)
        if there is not None and stat.S_ISLNK(there.st_mode):
            led = upper.tree.resolve("/".join(at))
            status = upper.tree.status(led)
            if status is not None and stat.S_ISDIR(status.st_mode):
                return led
    return at


def _copy_parents(upper: Upper, piece: Piece, base: Parts, looks: Looks) -> None:
    """--parents: the directories above look as in the source."""
    lead = piece.parts[: len(piece.parts) - len(piece.kept)]
    os.close(upper.directory(base, owner=looks.owner or (0, 0)))
    for count in range(1, len(piece.kept)):
        at = (*lead, *piece.kept[:count])
        with piece.tree.enter(at[:-1]) as directory:
            status = directory.look(at[-1])
            if status is not None and stat.S_ISDIR(status.st_mode):
                upper.put((*base, *piece.kept[:count]), directory, at[-1], status, looks)


def excluded(patterns: list[str]) -> Ignore:
    return Ignore(rules(patterns))
