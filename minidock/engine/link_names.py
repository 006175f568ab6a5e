"""The name that --link gives: `db` linked by `web` as `store` is called web/store too, as long as web has the link.

Docker counts it among a container's names: whatever takes a container takes web/store, and `rm --link` takes away the
name and the link with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from minidock.engine.record import Record, Records, alive
from minidock.errors import ContainerNotFound, MinidockError
from minidock.paths import Layout


def given(records: Iterable[Record]) -> dict[str, list[str]]:
    """By id of those that others link to, what they are called by them: /web/store."""
    everybody = list(records)
    found: dict[str, list[str]] = {}
    for parent in everybody:
        for link in parent.host_config.links:
            name, _, alias = link.partition(":")
            for child in everybody:
                if name == child.name or (child.id.startswith(name) and len(name) >= 12):
                    found.setdefault(child.id, []).append(f"/{parent.name}/{alias or name}")
    return {child: sorted(names) for child, names in found.items()}


def find(records: Records, ref: str) -> Record:
    """The container that is called web/store. Raises ContainerNotFound, whatever of it isn't there."""
    _, link = _parts(records, ref)
    with contextlib.suppress(ContainerNotFound):
        return records.find(link.partition(":")[0])
    raise ContainerNotFound(ref)


def remove(layout: Layout, ref: str) -> None:
    """Raises ContainerNotFound, and MinidockError for a name that is no link's."""
    from minidock.engine import links

    records = Records(layout)
    if "/" not in ref.strip("/"):
        records.find(ref)
        raise MinidockError("Conflict, cannot remove the default link name of the container")
    parent, _ = _parts(records, ref)
    with records.locked(parent.id):
        parent, link = _parts(records, ref)
        left = [other for other in parent.host_config.links if other != link]
        changed = msgspec.structs.replace(parent, host_config=msgspec.structs.replace(parent.host_config, links=left))
        records.write(changed)
        if alive(changed):
            links.forget(layout, changed, link)


def rename(layout: Layout, old: str, new: str) -> None:
    """Links are to a container, whatever it is called."""
    records = Records(layout)
    for linking in records.all():
        if any(link.partition(":")[0] == old for link in linking.host_config.links):
            with records.locked(linking.id), contextlib.suppress(ContainerNotFound):
                record = records.read(linking.id)
                links = [_renamed(link, old, new) for link in record.host_config.links]
                host = msgspec.structs.replace(record.host_config, links=links)
                records.write(msgspec.structs.replace(record, host_config=host))


def _renamed(link: str, old: str, new: str) -> str:
    name, _, alias = link.partition(":")
    return f"{new}:{alias or old}" if name == old else link


def _parts(records: Records, ref: str) -> tuple[Record, str]:
    """Who links, and the link as it was asked for. Raises ContainerNotFound."""
    name, _, alias = ref.strip("/").partition("/")
    with contextlib.suppress(ContainerNotFound):
        parent = records.find(name)
        for link in parent.host_config.links:
            target, _, called = link.partition(":")
            if alias and (called or target) == alias:
                return parent, link
    raise ContainerNotFound(ref)
