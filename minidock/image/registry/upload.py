"""One file → one blob of a repository: in one request, or after that broke off, piece by piece from where it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from minidock.errors import RegistryError

from ..compression import CHUNK
from ..manifest import Descriptor
from .client import Repository
from .failures import Cut

PIECE = 16 << 20
"""Bytes of a piece: in memory while it is sent."""
TRIES = 5


def send(repository: Repository, location: str, path: Path, blob: Descriptor, tell: Callable[[int], None]) -> None:
    """Raises RegistryError when it can't be done, Cut when the connection broke too often."""
    try:
        return repository.send_whole(location, blob.digest, blob.size, lambda: _pieces(path, tell))
    except Cut:
        if repository.wire.stopped.is_set():
            raise
    for attempt in range(1, TRIES + 1):
        if repository.wire.stopped.wait(repository.wire.pause * 2**attempt):
            break
        try:
            at, where = _where(repository, location)
            return _go_on(repository, where, at, path, blob, tell)
        except Cut:
            if attempt == TRIES:
                raise
    raise Cut("interrupted")


def _where(repository: Repository, location: str) -> tuple[int, str]:
    """How far the upload came; a new one when the registry has forgotten it."""
    try:
        return repository.received(location)
    except Cut:
        raise
    except RegistryError:
        return 0, repository.begin_upload()


def _go_on(
    repository: Repository, location: str, at: int, path: Path, blob: Descriptor, tell: Callable[[int], None]
) -> None:
    with open(path, "rb") as file:
        file.seek(at)
        while data := file.read(PIECE):
            location = repository.send_chunk(location, at, data)
            at += len(data)
            tell(at)
    repository.finish_upload(location, blob.digest)


def _pieces(path: Path, tell: Callable[[int], None]) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            yield data
            tell(os.lseek(file.fileno(), 0, os.SEEK_CUR))
