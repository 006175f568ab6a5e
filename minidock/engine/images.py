"""Images, as the commands want them: the store's verbs in Docker's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from minidock.engine import events
from minidock.errors import UsageError
from minidock.image import reference
from minidock.image.store import Image, ImageStore
from minidock.paths import Layout


def tagged(name: str) -> str:
    """`busybox` → `busybox:latest`, as people see it; what is no name stays."""
    return reference.looked_for(name)


def inspect(layout: Layout, ref: str) -> dict[str, Any]:
    """API `ImageInspect`."""
    store = ImageStore(layout)
    image = store.find(ref)
    layers = [str(path) for path in store.lower_dirs(image)]
    data = {"UpperDir": layers[0] if layers else "", "LowerDir": ":".join(layers[1:])}
    config = {**_EMPTY_CONFIG, **msgspec.to_builtins(image.config.config)}
    last = image.config.history[-1] if image.config.history else None
    return {
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Parent": image.parent,
        "Comment": image.config.comment or (last.comment if last else ""),
        "Created": image.created,
        "Container": "",
        "ContainerConfig": config,  # docker-compose 1 looks there for volumes, and fails without
        "DockerVersion": image.config.docker_version,
        "Author": image.config.author,
        "Config": config,
        "Architecture": image.config.architecture,
        "Variant": image.config.variant,
        "Os": image.config.os,
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": data},
        "RootFS": {"Type": "layers", "Layers": image.config.rootfs.diff_ids},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }


_EMPTY_CONFIG: dict[str, Any] = {
    "User": "",
    "ExposedPorts": None,
    "Env": [],
    "Entrypoint": None,
    "Cmd": None,
    "Volumes": None,
    "WorkingDir": "",
    "Labels": None,
}


def tag(layout: Layout, source: str, target: str) -> None:
    """Raises ImageNotFound, and UsageError for a name that can't be one."""
    store = ImageStore(layout)
    image = store.find(source)
    try:
        store.tag(image, target)
    except UsageError as error:
        raise UsageError(f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from error
    _tell(layout, "tag", image, reference.familiar(reference.normalise(target)))


def _tell(layout: Layout, action: str, image: Image, name: str = "") -> None:
    events.image(layout, action, image.id, name=name, labels=image.config.config.labels)


def load(layout: Layout, source: BinaryIO | Path, *, platform: str, say: Callable[[str], None]) -> list[str]:
    """Lines as `docker load` prints them, each handed to `say` as soon as its image is there."""
    from minidock.image import archive

    store = ImageStore(layout)
    lines = archive.load(store, source, platform=platform or None, say=say)
    loaded = [line.partition(": ")[2] for line in lines if line.startswith("Loaded image")]
    for image_id in dict.fromkeys(store.find(name).id for name in loaded):
        _tell(layout, "load", store.find(image_id))
    return lines


def save(layout: Layout, names: list[str], out: BinaryIO) -> None:
    from minidock.image import save as saving

    store = ImageStore(layout)
    saving.save(store, names, out)
    for name in names:
        _tell(layout, "save", store.find(name))


def import_tar(
    layout: Layout, source: BinaryIO, name: str | None, message: str, changes: list[str], platform: str
) -> str:
    """The new image's id."""
    from minidock.image import importer

    image = importer.import_tar(
        ImageStore(layout), source, reference=name, message=message, changes=changes, platform=platform
    )
    if name:
        _tell(layout, "tag", image, reference.familiar(reference.normalise(name)))
    _tell(layout, "import", image)
    return image.id
