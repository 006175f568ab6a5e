"""`build -o`: what was built as files: a directory, a tar of it, or an archive that other engines load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from minidock.build import copying
from minidock.build.ignore import Ignore
from minidock.build.solve import lower_dirs
from minidock.build.state import State
from minidock.build.tree import Tree
from minidock.build.upper import Looks, Upper
from minidock.engine.build_request import Output
from minidock.errors import MinidockError
from minidock.image import diff, save
from minidock.image.store import Image, ImageStore


def write_outputs(
    store: ImageStore,
    image: Image,
    state: State,
    outputs: list[Output],
    names: list[str],
    place: Path,
    stdout: BinaryIO,
    *,
    say: Callable[[str], None],
) -> None:
    """Raises MinidockError, OSError."""
    for number, output in enumerate(outputs):
        say(f"writing {output.kind} {output.dest}\n")
        if output.kind == "local":
            _local(store, state, Path(output.dest))
            continue
        with _opened(output.dest, stdout) as file:
            if output.kind == "tar":
                _tar(merged(store, state, place / f"tree-{number}"), file)
            else:
                save.save(store, names or [image.id], file)


class _opened:
    """A file that takes its name when it is whole; `-` is standard output, left open."""

    def __init__(self, dest: str, stdout: BinaryIO) -> None:
        self.dest = dest
        self.stdout = stdout
        self.aside = f"{dest}.{os.getpid()}.tmp"

    def __enter__(self) -> BinaryIO:
        if self.dest == "-":
            return self.stdout
        if os.path.isdir(self.dest):
            raise MinidockError(f"can't write an archive to {self.dest}: it is a directory")
        # Only for its owner: an image may hold secrets.
        try:
            fd = os.open(self.aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MinidockError(f"can't write an archive to {self.dest}: {(error.strerror or '').lower()}") from error
        self.file = os.fdopen(fd, "wb")
        return self.file

    def __exit__(self, kind: object, *_: object) -> None:
        if self.dest == "-":
            self.stdout.flush()
            return
        self.file.close()
        if kind is None:
            os.rename(self.aside, self.dest)
        else:
            os.unlink(self.aside)


def _local(store: ImageStore, state: State, dest: Path) -> None:
    """The files belong to whoever builds, as with BuildKit."""
    dest.mkdir(parents=True, exist_ok=True)
    _copy_all(store, state, dest, Looks((os.geteuid(), os.getegid())))


def merged(store: ImageStore, state: State, place: Path) -> Path:
    """All layers as one directory."""
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    _copy_all(store, state, place, Looks())
    return place


def _copy_all(store: ImageStore, state: State, place: Path, looks: Looks) -> None:
    layers = lower_dirs(store, state)
    if not layers:
        return
    piece = copying.Piece(Tree(layers), (), True, ignore=Ignore())
    with Upper(place, []) as upper:
        copying.copy(upper, [piece], copying.Target("/", True), looks, looks)


def _tar(tree: Path, file: BinaryIO) -> None:
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        diff.write_layer(diff.changes(fd), file.write)
    finally:
        os.close(fd)
