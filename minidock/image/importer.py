"""`import`: a root file system in a tar → an image of one layer."""

from __future__ import annotations

import time
from typing import BinaryIO

from minidock.errors import UsageError

from . import manifest as docs
from . import platforms
from . import reference as references
from .changes import apply_changes
from .compression import unpacked
from .manifest import History, ImageConfig, RootFS, RunConfig
from .store import Image, ImageStore


def import_tar(
    store: ImageStore,
    source: BinaryIO,
    *,
    reference: str | None = None,
    message: str = "",
    changes: list[str] | None = None,
    platform: str | None = None,
    created: int | None = None,
) -> Image:
    """Make an image of a tar, plain or packed, and name it `reference`:latest unless that has a tag of its own.

    `changes` are instructions as for --change; `created` is in seconds since 1970, now when None.
    Raises InvalidImage for a tar that can't be trusted, MinidockError for a bad name, platform or change.
    """
    # Everything that can be wrong without reading gigabytes comes first.
    name = references.parse(reference) if reference else None
    config = apply_changes(RunConfig(), changes or [])
    where = platforms.parse_platform(platform) if platform else platforms.host_platform()
    if where.os != "linux":
        raise UsageError("operating system is not supported", hint="images of linux are")
    when = rfc3339(time.time_ns() if created is None else created * 1_000_000_000)
    with store.bringing_in():
        _, plain = unpacked(source.read)
        layer = store.add_layer(plain)
        image = store.add_image(
            docs.encode_config(
                ImageConfig(
                    architecture=where.architecture,
                    os=where.os,
                    variant=where.variant,
                    created=when,
                    config=config,
                    rootfs=RootFS(diff_ids=[layer.diff_id]),
                    history=[History(created=when, comment=message or "Imported from -")],
                )
            ),
            [layer],
        )
        if name is not None:
            store.tag(image, name.tagged().full)
    return store.find(image.id)


def rfc3339(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as Go prints times: without a fraction's last zeros."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return text + (f".{fraction:09}".rstrip("0") if fraction else "") + "Z"
