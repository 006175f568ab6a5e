"""A container's files, running or not, for cp, export and commit.

Of a stopped container the overlay is laid again, and it may not be started meanwhile: two overlays on one upper
directory are undefined behaviour. Of a running one its own overlay is looked at. Either way mounts are made in a
namespace that nobody else sees (kernel/view.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from minidock.engine import bundle, events, init_layer, userns, volume_mounts
from minidock.engine.record import Record, Records, alive, refresh
from minidock.kernel import freezer, view
from minidock.kernel.bind import SUBDIRECTORY, BindMount
from minidock.paths import Layout
from minidock.spec import Mount
from minidock.steps import Step

if TYPE_CHECKING:
    from minidock.engine.insider import Insider
    from minidock.image.pack import Owners


class View(NamedTuple):
    """A container's tree, open."""

    root: int
    """A descriptor of its root."""
    owners: Owners | None = None
    """From who a file belongs to here to who that is in the container; None where both are the same."""
    insider: Insider | None = None
    """Who can write there; None when we can ourselves."""


@contextlib.contextmanager
def opened(layout: Layout, record: Record, *, with_volumes: bool, writes: bool = False) -> Iterator[View]:
    """Volumes and bind mounts are where the container has them, if wanted.

    With `writes` a container that runs with other users is seen as they see it, with all its mounts: what is written
    there is written by its root.
    """
    directory = layout.container(record.id)
    place = str(directory / "upper")
    binds = _binds(layout, record, place) if with_volumes else []
    if alive(record):
        maps = userns.maps(record)
        if maps and writes:
            with _from_inside(record.state.pid) as found:
                yield found
            return
        with view.running(record.state.pid, place, binds) as root:
            yield View(root, maps.inside if maps else None)
        return
    with Records(layout).locked(record.id):
        record = Records(layout).read(record.id)
        if not alive(record):
            overlay = init_layer.overlay_at(layout, record, place)
            with view.stopped(overlay, binds) as root:
                yield View(root)
            return
    with opened(layout, record, with_volumes=with_volumes, writes=writes) as found:  # started since we looked
        yield found


@contextlib.contextmanager
def _from_inside(pid: int) -> Iterator[View]:
    from minidock.engine.insider import insider

    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with insider(pid, root) as writer:
            yield View(root, insider=writer)
    finally:
        os.close(root)


def _binds(layout: Layout, record: Record, place: str) -> list[Step]:
    """What has a source outside of the container; a tmpfs is the running one's own, as in Docker."""
    mounts = [*bundle.etc_files(layout, record), *(volume_mounts.oci_mount(point, record) for point in record.mounts)]
    rows = [mount for mount in mounts if mount.type == "overlay" or os.path.exists(mount.source)]
    rows = [mount for mount in rows if mount.type != "tmpfs"]
    return [_seen(mount, place) for mount in sorted(rows, key=lambda mount: mount.destination.count("/"))]


def _seen(mount: Mount, place: str) -> Step:
    """Owners as they are on the disk, and no propagation: this is a view of the files, not the container."""
    kept = ("ro", SUBDIRECTORY, "lowerdir=", "userxattr")
    words = [word for word in mount.options if word.startswith(kept)]
    if mount.type == "bind":
        return BindMount(place, mount.destination, mount.source, ["rbind", *words])
    from minidock.kernel.image_mount import MountImage

    return MountImage.of(place, Mount(mount.destination, mount.type, mount.source, words))


@contextlib.contextmanager
def still(layout: Layout, record: Record, *, pause: bool) -> Iterator[None]:
    """Its processes stand still within, and events say so, unless they do already, or the container doesn't run."""
    path = f"{record.host_config.cgroup_parent or layout.cgroup_parent}/{record.id}"
    if not pause or not alive(record) or record.state.paused or freezer.state(path) != "running":
        yield
        return
    freezer.freeze(path)
    events.container(layout, record, "pause")
    try:
        yield
    finally:
        freezer.thaw(path)
        events.container(layout, record, "unpause")


def find(layout: Layout, ref: str) -> Record:
    return refresh(layout, Records(layout).find(ref))
