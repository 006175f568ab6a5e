"""Named contexts, `build --build-context NAME=VALUE`: what a name in FROM, COPY --from and RUN --mount=from means.

    VALUE                     what the name then is
    DIRECTORY                 its files, as root's; its own .dockerignore counts
    docker-image://IMAGE      another image
    https://… , ….git         fetched: a repository's files, or the one file `context`

A name given here goes before a stage and an image of that name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from minidock.errors import InvalidReference, UsageError
from minidock.image import reference

from . import fetching
from .context import inside, rules_of
from .ignore import Ignore
from .tree import Tree

IMAGE = "docker-image://"
FILE = "context"
"""The name of what came from an address, as with BuildKit."""


class Named(msgspec.Struct, frozen=True):
    """A name that stands for files, not for a stage or an image."""

    name: str


class Files(msgspec.Struct, frozen=True):
    """The files of a context, and which of them don't count."""

    tree: Tree
    ignore: Ignore


def key(name: str) -> str:
    """One spelling for `debian`, `debian:latest` and `docker.io/library/debian`. Raises InvalidReference."""
    return reference.familiar(reference.parse(name.lower()).full).removesuffix(":latest")


def resolved(name: str, value: str) -> tuple[str, str]:
    """The name in one spelling, and the value with a directory's path made absolute. Raises UsageError."""
    try:
        name = key(name)
    except InvalidReference:
        raise UsageError(f"invalid context name {name}: expected a name as FROM has it") from None
    if value.startswith(("oci-layout://", "target:")):
        instead = "a directory, docker-image://NAME or an address is"
        raise UsageError(f"build context {value} is not supported by this version of minidock: {instead}")
    if value.startswith(IMAGE) or fetching.is_address(value) or fetching.repository(value) is not None:
        return name, value
    if not os.path.isdir(value):
        raise UsageError(f"failed to get build context {name}: {value} is no directory")
    return name, os.path.abspath(value)


def find(contexts: Mapping[str, str], name: str) -> str | Named | None:
    """What a name of the Dockerfile means: an image's name, files, or nothing special."""
    if not contexts:
        return None
    try:
        found = key(name)
    except InvalidReference:
        return None
    value = contexts.get(found)
    if value is None:
        return None
    return value.removeprefix(IMAGE) if value.startswith(IMAGE) else Named(found)


def open_files(value: str, scratch: Path) -> Files:
    """Raises MinidockError, for what can't be fetched."""
    remote = fetching.repository(value)
    if remote is not None:
        place = inside(fetching.clone(remote, fetching.scratch(scratch) / "repository"), remote.directory)
    elif fetching.is_address(value):
        place = fetching.scratch(scratch)
        fetching.download(value, place).path.rename(place / FILE)
    else:
        place = Path(value).resolve()
    return Files(Tree([place], plain=True), Ignore(rules_of(place)))
