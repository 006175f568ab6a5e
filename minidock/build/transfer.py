"""COPY and ADD as a stage sees them: words with their variables filled in, where files are, whose they become."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock.errors import MinidockError
from minidock.image.lookup import lookup_file
from minidock.image.words import expand
from minidock.kernel.credentials import NoSuchAccount, find_user

from . import copying, fetching, named
from .commands import Copy
from .context import Context
from .copying import Piece, Target
from .grammar import Word
from .ignore import Ignore
from .modes import parse_mode
from .named import Named
from .stages import Scope
from .state import State
from .tree import Tree
from .upper import Looks, Upper

if TYPE_CHECKING:
    from .solve import Job


class Asked(msgspec.Struct, frozen=True):
    """One COPY or ADD, ready to be done. `key` is all that its result depends on, besides the layers below."""

    pieces: list[Piece]
    target: Target
    chown: str
    chmod: str
    keep_owners: bool
    link: bool
    scratch: Path
    key: list[object]


def asked(job: Job, command: Copy, scope: Scope, state: State, others: dict[int, State]) -> Asked:
    """Find the files and look at them. Raises DockerfileError that points at the source that isn't there."""
    at = command.at
    target = _target(command, scope, state)
    parents = at.is_on("parents")
    exclude = copying.excluded([scope.expand(command, Word(flag.value, flag.at)) for flag in at.values("exclude")])
    tree, ignore = _where(job, command, others)
    flags = {name: _expanded(command, scope, name) for name in ("chown", "chmod", "checksum")}
    pieces: list[Piece] = []
    for word in command.sources:
        text = scope.expand(command, word)
        try:
            pieces += _pieces(job, command, text, tree, ignore, exclude, parents, flags["checksum"])
        except MinidockError as error:
            hint = error.hint or _hint(job, command, text)
            raise at.error(f"{at.keyword} failed: {error.message}", word, hint=hint, parsed=True) from error
    pieces += _heredocs(job, command, scope)
    if not target.is_directory and len(pieces) > 1:
        what = f"When using {at.keyword} with more than one source file, the destination must be a directory"
        raise at.error(f"{what} and end with a /", command.target)
    keep = at.keyword == "COPY" and bool(at.flag("from")) and not tree.plain
    key: list[object] = [target.path, target.is_directory, flags, parents, at.is_on("link"), keep]
    key.append(copying.checksum(pieces, owners=keep))
    return Asked(pieces, target, flags["chown"], flags["chmod"], keep, at.is_on("link"), job.scratch, key)


def _hint(job: Job, command: Copy, text: str) -> str:
    if command.at.keyword == "ADD" and (fetching.is_address(text) or fetching.repository(text) is not None):
        return ""
    return "" if command.at.flag("from") else why_missing(job.context, text)


def why_missing(context: Context, text: str) -> str:
    """Why a source isn't in the context."""
    path = posixpath.normpath("/" + text).strip("/")
    if context.ignore.excludes(path):
        return ".dockerignore leaves it out"
    status = context.tree.status(tuple(path.split("/")))
    if status is not None and stat.S_ISLNK(status.st_mode):
        return "it is a symbolic link that leads nowhere in the context"
    return "expected a path below the context's directory"


def _expanded(command: Copy, scope: Scope, name: str) -> str:
    flags = command.at.values(name)
    return scope.expand(command, Word(flags[0].value, flags[0].at)) if flags else ""


def _target(command: Copy, scope: Scope, state: State) -> Target:
    text = scope.expand(command, command.target)
    several = len(command.sources) + len(command.files) > 1
    is_directory = text.endswith(("/", "/.")) or text in (".", "..")
    if several and not is_directory:
        what = f"When using {command.at.keyword} with more than one source file, the destination must be a directory"
        raise command.at.error(f"{what} and end with a /", command.target)
    path = posixpath.normpath(posixpath.join("/", state.config.working_dir, text))
    return Target("/" + path.lstrip("/"), is_directory or bool(command.at.is_on("parents")))


def _where(job: Job, command: Copy, others: dict[int, State]) -> tuple[Tree, Ignore]:
    """The tree that the sources are in: the context, a stage, or an image."""
    name = command.at.flag("from")
    if not name:
        return job.context.tree, job.context.ignore
    return source_files(job, name, others)


def source_files(job: Job, name: str, others: dict[int, State]) -> tuple[Tree, Ignore]:
    """What --from names: a context that was given a name, a stage, or an image."""
    from .solve import tree_of

    given = named.find(job.plan.contexts, name)
    if isinstance(given, Named):
        files = job.contexts[given.name]
        return files.tree, files.ignore
    index = job.plan.stage_called(name) if given is None else None
    if index is not None:
        return tree_of(job.store, others[index]), Ignore()
    try:
        return tree_of(job.store, job.image(given or name, "")), Ignore()
    except MinidockError as error:
        raise MinidockError(f"{name}: {error.message}", hint=error.hint) from error


def _pieces(
    job: Job,
    command: Copy,
    text: str,
    tree: Tree,
    ignore: Ignore,
    exclude: Ignore,
    parents: bool,
    checksum: str,
) -> Iterator[Piece]:
    at = command.at
    if at.keyword == "ADD":
        remote = fetching.repository(text)
        if remote is not None:
            place = fetching.clone(
                remote, fetching.scratch(job.scratch) / "repository", keep_git=at.is_on("keep-git-dir")
            )
            commit = fetching.commit_of(place)
            if not commit.startswith(checksum):
                raise MinidockError(f"expected checksum to match {checksum}, got {commit}")
            inside = Tree([place], plain=True).resolve(remote.directory)
            label = f"git {commit} {remote.directory}"
            yield Piece(Tree([place], plain=True), inside, True, exclude=exclude, label=label)
            return
        if fetching.is_address(text):
            yield _download(job, command, text, checksum)
            return
    if checksum:
        raise MinidockError("--checksum is for addresses and git repositories only")
    for piece in copying.find(tree, text, ignore, exclude, parents=parents):
        archive = at.keyword == "ADD" and not piece.is_directory and at.flag("unpack") != "false" and is_archive(piece)
        if archive:
            yield msgspec.structs.replace(piece, archive=True, label=_digest(piece))
        else:
            yield piece


def _download(job: Job, command: Copy, address: str, wanted: str) -> Piece:
    place = fetching.scratch(job.scratch)
    got = fetching.download(address, place)
    if wanted and wanted != got.digest:
        raise MinidockError(f"digest mismatch of {address}: {got.digest} instead of {wanted}")
    piece = Piece(Tree([place], plain=True), (got.path.name,), False, name=got.path.name)
    if command.at.is_on("unpack") and is_archive(piece):
        return msgspec.structs.replace(piece, archive=True, label=got.digest)
    return piece


def _open(piece: Piece) -> int:
    with piece.tree.enter(piece.parts[:-1]) as directory:
        return directory.open(piece.parts[-1])


def is_archive(piece: Piece) -> bool:
    with os.fdopen(_open(piece), "rb") as file:
        return fetching.begins_tar(file.read)[0]


def _digest(piece: Piece) -> str:
    import hashlib

    with os.fdopen(_open(piece), "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _heredocs(job: Job, command: Copy, scope: Scope) -> Iterator[Piece]:
    """Files that stand in the Dockerfile itself."""
    if not command.files:
        return
    place = fetching.scratch(job.scratch)
    for heredoc in command.files:
        data = heredoc.data
        if heredoc.expand:
            data = filled(command, scope, data)
        path = place / heredoc.name.replace("/", "_")
        path.write_bytes(data.encode(errors="surrogateescape"))
        path.chmod(0o644)
        os.utime(path, (0, 0)) if job.options.epoch is not None else None
        yield Piece(Tree([place], plain=True), (path.name,), False, name=path.name)


def filled(command: Copy, scope: Scope, text: str) -> str:
    """A heredoc's text with its variables. A backslash escapes, whatever the directive `escape` says."""
    try:
        return expand(text, scope.known(), quotes=False)
    except MinidockError as error:
        raise command.at.error(error.message, command.target) from None


# Doing it


def perform(request: Asked, upper: Path, lower: list[Path]) -> None:
    """Fill the new layer's directory."""
    owner = _owner(request.chown, lower) if request.chown else None
    mode = parse_mode(request.chmod) if request.chmod else None
    with Upper(upper, [] if request.link else lower) as made:
        for piece in request.pieces:
            unpacked = _unpacked(request, piece)
            if unpacked.archive:  # its members say themselves whose they are
                copying.copy(made, [unpacked], request.target, Looks(), Looks())
                continue
            looks = Looks(owner or (None if request.keep_owners else (0, 0)), mode)
            copying.copy(made, [unpacked], request.target, looks, Looks(owner))


def _unpacked(request: Asked, piece: Piece) -> Piece:
    if not piece.archive:
        return piece
    place = fetching.scratch(request.scratch)
    with os.fdopen(_open(piece), "rb") as file:
        described = fetching.unpack_archive(file, place)
    return Piece(Tree([place], plain=True), (), True, archive=True, described=described)


def _owner(text: str, lower: list[Path]) -> tuple[int, int]:
    """`user:group` by number, or by the image's own passwd and group. Without a group: the one of the same name."""
    user, colon, group = text.partition(":")
    if user.isdecimal() and (not colon or group.isdecimal()):
        return int(user), int(group) if group else int(user)
    passwd, groups = (lookup_file(lower, f"etc/{name}") for name in ("passwd", "group"))
    if not colon:
        try:
            found = find_user(passwd, groups, f"{user}:{user}")
        except NoSuchAccount:
            found = find_user(passwd, groups, user)
    else:
        found = find_user(passwd, groups, text)
    return found.uid, found.gid


def make_directory(path: str, user: str, upper: Path, lower: list[Path]) -> None:
    """WORKDIR's directory, when it isn't there: it belongs to USER, who is to work in it, as with BuildKit."""
    with Upper(upper, lower) as made:
        parts = made.tree.resolve(path)
        if made.tree.status(parts) is None:
            os.close(made.directory(parts, owner=_owner_of_workdir(user, lower)))


def _owner_of_workdir(user: str, lower: list[Path]) -> tuple[int, int]:
    """A user that the image doesn't know is nobody whose the directory could be: that is for a RUN to complain of."""
    if not user or user.isdecimal():
        return (int(user), int(user)) if user else (0, 0)
    passwd, groups = (lookup_file(lower, f"etc/{name}") for name in ("passwd", "group"))
    try:
        found = find_user(passwd, groups, user)
    except NoSuchAccount:
        return 0, 0
    return found.uid, found.gid
