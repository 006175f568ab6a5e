"""diff, export and commit: a container's files as a list, as a tar, as an image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from minidock.engine import events, init_layer, tree
from minidock.engine.durations import timestamp
from minidock.engine.environment import merge_env
from minidock.engine.record import Record
from minidock.image.manifest import RunConfig
from minidock.image.store import Image, ImageStore
from minidock.model.container import ContainerConfig
from minidock.model.requests import Commit
from minidock.paths import Layout

EMPTY_TAR = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""Of 1024 zero bytes: the layer of a container that changed nothing, which is no layer."""


def diff(layout: Layout, ref: str) -> list[tuple[str, str]]:
    """(A, C or D; path) of each file that differs from the image."""
    from minidock.image.compare import compare

    record = tree.find(layout, ref)
    found = compare(layout.container(record.id) / "upper", [Path(layer) for layer in init_layer.lower(layout, record)])
    return [(row.kind, row.path.decode(errors="surrogateescape")) for row in found]


def export(layout: Layout, ref: str, out: BinaryIO) -> None:
    """The merged tree as a tar, without what is in volumes."""
    from minidock.image.pack import Packer

    record = tree.find(layout, ref)
    with tree.opened(layout, record, with_volumes=False) as found:
        packer = Packer(out.write, found.owners)
        packer.below(found.root)
        packer.tar.end()
    events.container(layout, record, "export")


def commit(layout: Layout, ref: str, wanted: Commit) -> str:
    """A new image of the container's image and its changes; returns the id."""
    from minidock.image import reference
    from minidock.image.changes import apply_changes

    record = tree.find(layout, ref)
    name = reference.parse(wanted.reference) if wanted.reference else None
    config = apply_changes(run_config(_merged(record.config, wanted.config)), wanted.changes)
    store = ImageStore(layout)
    with store.bringing_in():
        with tree.still(layout, record, pause=wanted.pause):
            image = _commit(store, layout, record, config, wanted)
        if name is not None:
            store.tag(image, name.tagged().full)
    shown = name.tagged().familiar if name else ""
    if shown:
        events.image(layout, "tag", image.id, name=shown, labels=config.labels)
    told = {"comment": wanted.message, "imageID": image.id, "imageRef": shown}
    events.container(layout, record, "commit", told)
    return image.id


def _commit(store: ImageStore, layout: Layout, record: Record, config: RunConfig, wanted: Commit) -> Image:
    from minidock.image import manifest as docs
    from minidock.image.store import Layer

    base = store.find(record.image_id)
    blobs = store.manifest(base).layers
    layers = [Layer(diff_id, blob) for diff_id, blob in zip(base.diff_ids, blobs, strict=True)]
    layer = store.commit_layer(layout.container(record.id) / "upper")
    empty = layer.diff_id == EMPTY_TAR
    if not empty:
        layers.append(layer)
    now = timestamp(time.time())
    entry = docs.History(
        created=now,
        created_by=" ".join(record.config.cmd or []),
        author=wanted.author,
        comment=wanted.message,
        empty_layer=empty,
    )
    document = msgspec.structs.replace(
        base.config,
        created=now,
        author=wanted.author,
        comment=wanted.message,
        config=config,
        rootfs=docs.RootFS(diff_ids=[layer.diff_id for layer in layers]),
        history=[*base.config.history, entry],
    )
    return store.add_image(docs.encode_config(document), layers, parent=base.id)


def _merged(own: ContainerConfig, wanted: ContainerConfig) -> ContainerConfig:
    """Docker's rules: what is wanted, and of the container's what isn't said; of tables each key."""
    given = {
        name: value for name in own.__struct_fields__ if (value := getattr(wanted, name)) not in (None, "", [], {})
    }
    for name in ("labels", "exposed_ports", "volumes"):
        given[name] = {**getattr(own, name), **getattr(wanted, name)}
    given["env"] = merge_env(own.env, wanted.env)
    if wanted.entrypoint and not wanted.cmd:
        given["cmd"] = None
    return msgspec.structs.replace(own, **given)


def run_config(config: ContainerConfig) -> RunConfig:
    """The part of a container's configuration that an image can say."""
    return RunConfig(
        user=config.user,
        exposed_ports=config.exposed_ports,
        env=config.env,
        entrypoint=config.entrypoint,
        cmd=config.cmd,
        healthcheck=config.healthcheck,
        volumes=config.volumes,
        working_dir=config.working_dir,
        labels=config.labels,
        stop_signal=config.stop_signal,
        stop_timeout=config.stop_timeout,
        on_build=config.on_build or [],
        shell=config.shell,
    )
