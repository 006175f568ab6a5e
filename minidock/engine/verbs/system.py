"""The system as a whole: what happened, what there is, and how much room it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from minidock.engine.verbs.base import Filters
    from minidock.model.events import Event
    from minidock.model.usage import DiskUsage, Pruned


class SystemVerbs(Verbs):
    """Each method names the module that does it."""

    def events(
        self, *, since: float | None = None, until: float | None = None, filters: Filters | None = None
    ) -> Iterator[Event]:
        """Past ones when a time is given, then new ones as they come; times are Unix seconds."""
        from minidock.engine import events

        return events.read(self.layout, since=since, until=until, filters=filters)

    def version(self) -> dict[str, Any]:
        from minidock.engine import info

        return info.version()

    def info(self) -> dict[str, Any]:
        from minidock.engine import info

        return info.info(self.layout)

    def disk_usage(self) -> DiskUsage:
        """API GET /system/df."""
        from minidock.engine import usage

        return usage.disk_usage(self.layout)

    def prune(self, *, all: bool = False, volumes: bool = False, filters: Filters | None = None) -> Pruned:
        """Containers that don't run, networks without any, images without name or use, the build cache; with `volumes`
        anonymous volumes."""
        from minidock.engine import usage

        return usage.prune(self.layout, everything=all, volumes=volumes, filters=filters or {})
