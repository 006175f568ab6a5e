"""container prune: remove all that don't run."""

from __future__ import annotations

import time

from minidock.engine import events
from minidock.engine.durations import unix
from minidock.engine.ps import directory_size
from minidock.engine.record import Record, Records, refresh
from minidock.engine.stop import remove
from minidock.errors import Conflict, NotFound, UsageError
from minidock.model.usage import ContainersPruned
from minidock.paths import Layout

FILTERS = ("label", "label!", "until")


def containers(layout: Layout, filters: dict[str, list[str]]) -> ContainersPruned:
    """Newest first; `until` are Unix seconds. One that is started or removed by somebody else meanwhile is left."""
    for name in filters:
        if name not in FILTERS:
            raise UsageError(f"Invalid filter '{name}'")
    deleted, reclaimed = [], 0
    for record in Records(layout).all():
        if not fits(record, filters) or refresh(layout, record).state.running:
            continue
        size = directory_size(f"{layout.container(record.id)}/upper")
        try:
            remove(layout, record.id)
        except (Conflict, NotFound):
            continue
        deleted.append(record.id)
        reclaimed += size
    events.emit(layout, "container", "prune", "", {"reclaimed": str(reclaimed)})
    return ContainersPruned(deleted, reclaimed)


def fits(record: Record, filters: dict[str, list[str]]) -> bool:
    labels = record.config.labels

    def has(wanted: str) -> bool:
        key, equals, value = wanted.partition("=")
        return key in labels and (not equals or labels[key] == value)

    before = min((float(value) for value in filters.get("until", [])), default=time.time() + 1)
    wanted, unwanted = filters.get("label", []), filters.get("label!", [])
    return unix(record.created) < before and all(map(has, wanted)) and not any(map(has, unwanted))
