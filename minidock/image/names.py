"""Names of a layer's members: below the root, and what some of them mean (image-spec layer.md, "Whiteouts")."""

from __future__ import annotations

import functools
import os

from minidock.errors import InvalidImage
from minidock.whoami import in_user_namespace

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
AUFS = b".wh..wh."
"""Files of aufs, Docker's storage before overlay, that old layers contain; they mean nothing here."""

MAX_PATH = 4095
"""PATH_MAX without its zero byte (linux/limits.h): a longer name can't be given to the kernel, nor by Docker."""

ODD = (b"", b"/", b".")
"""A name that begins so has to be looked at."""


@functools.cache
def opaque_attribute() -> str:
    """The extended attribute by which a directory of a layer hides what lies below it, for overlayfs as we mount it:
    `trusted` is for the machine's root alone, so in user namespaces it is told to look at `user` (userxattr)."""
    space = "user" if os.geteuid() != 0 or in_user_namespace() else "trusted"
    return f"{space}.overlay.opaque"


def clean(name: bytes) -> bytes:
    """A member's name below the root, without leading "/" and "./" (absolute names count from the root, as in Docker).

    Empty for the root itself. Raises InvalidImage for "..": no honest tool writes that into a layer.
    """
    if name[:1] not in ODD and name[-1:] != b"/" and not (b"/." in name or b"//" in name) and len(name) <= MAX_PATH:
        return name  # nearly all files
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise InvalidImage(f"layer member {shown(name)} has .. in its name")
    path = b"/".join(parts)
    if len(path) > MAX_PATH:
        raise InvalidImage(f"layer member {shown(path[:60])}… has a name of more than {MAX_PATH} bytes")
    return path


def is_aufs(path: bytes) -> bool:
    directory, _, name = path.rpartition(b"/")
    return b"/" + AUFS in b"/" + directory or (name.startswith(AUFS) and name != OPAQUE)


def shown(path: bytes) -> str:
    return ascii(os.fsdecode(path))
