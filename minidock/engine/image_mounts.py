"""--mount type=image: the files of another image at a path of the container, read-only.

Weights of a model, a set of data or a compiler come as images of their own; the program's need not hold them. The image
counts as used while the container exists.
"""

from __future__ import annotations

from collections.abc import Iterable

from minidock.engine.record import Record
from minidock.errors import ImageNotFound, UsageError
from minidock.model.host import MountRequest
from minidock.model.state import MountPoint
from minidock.paths import Layout
from minidock.spec import Mount
from minidock.whoami import in_user_namespace


def point(layout: Layout, name: str, destination: str) -> MountPoint:
    """Its source is the image's id: what is mounted, is so in the container's own mount namespace alone.

    Raises UsageError where it isn't here: after "not found" a client would pull the image that it wants to run.
    """
    from minidock.image.store import ImageStore

    try:
        image = ImageStore(layout).find(name)
    except ImageNotFound as error:
        wrong = f'invalid mount config for type "image": {error.message}'
        raise UsageError(wrong, hint=f"minidock pull {name}") from error
    return MountPoint(
        type="image", name=name, source=image.id, destination=destination, rw=False, propagation="rprivate"
    )


def layers(layout: Layout, points: Iterable[MountPoint]) -> dict[str, list[str]]:
    """Of each image that is mounted at one of the points: its directories, top first."""
    wanted = [point.source for point in points if point.type == "image"]
    if not wanted:
        return {}
    from minidock.image.store import ImageStore

    store = ImageStore(layout)
    return {id: [str(path) for path in store.lower_dirs(store.find(id))] for id in wanted}


def oci_mount(point: MountPoint, request: MountRequest | None, record: Record) -> Mount:
    """As an entry of config.json: an overlay that nobody writes to, or the one layer that there is."""
    from minidock.kernel.bind import SUBDIRECTORY
    from minidock.kernel.image_mount import LOWER
    from minidock.kernel.overlay import joined

    lower = record.mounted_images[point.source]
    options = request.image_options if request else None
    words = ["ro", point.propagation]
    if options and options.subpath:
        words.append(f"{SUBDIRECTORY}{options.subpath}")
    if record.uid_map:
        words.append("idmap")
    if len(lower) == 1:
        return Mount(point.destination, "bind", lower[0], ["rbind", *words])
    more = ["userxattr"] if in_user_namespace() else []
    return Mount(point.destination, "overlay", "overlay", [f"{LOWER}{joined(lower)}", *words, *more])
