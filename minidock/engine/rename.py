"""rename: another name for a container, which nobody else may get meanwhile."""

from __future__ import annotations

import re

from minidock.engine import events, link_names
from minidock.engine.create import NAME
from minidock.engine.record import Records
from minidock.errors import Conflict, NameInUse, UsageError
from minidock.network import addresses
from minidock.paths import Layout


def rename(layout: Layout, ref: str, name: str) -> None:
    """Raises Conflict, UsageError, in Docker's words."""
    name = name.removeprefix("/")
    records = Records(layout)
    found = records.find(ref)
    with records.locked(found.id):
        record = records.read(found.id)
        if name == record.name:
            raise UsageError("Renaming a container with the same name as its current name")
        if not re.fullmatch(NAME, name):
            raise UsageError(
                f"Error when allocating new name: Invalid container name (/{name}), "
                "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        try:
            renamed = records.rename(record, name)
        except NameInUse as error:
            raise Conflict(f"Error when allocating new name: {error.message}") from error
        addresses.rename(layout, record.id, name)
    link_names.rename(layout, record.name, name)
    events.container(layout, renamed, "rename", {"oldName": f"/{record.name}"})
