"""What is asked: about containers, and about the daemon itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minidock.daemon.client.api import quoted
from minidock.daemon.client.remote.base import Remote
from minidock.engine.verbs.base import Filters

if TYPE_CHECKING:
    from minidock.model.events import Event
    from minidock.model.lists import ContainerStats, ContainerSummary
    from minidock.model.usage import DiskUsage, Pruned


class RemoteLooking(Remote):
    def containers(
        self, *, all: bool = False, last: int = 0, filters: Filters | None = None, size: bool = False
    ) -> list[ContainerSummary]:
        from minidock.daemon.client import containers

        return containers.listed(self.api, everything=all, last=last, filters=filters or {}, size=size)

    def inspect(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", f"/containers/{quoted(ref)}/json")
        return found

    def stats(self, refs: list[str], *, all: bool = False, once: bool = False) -> Iterator[list[ContainerStats]]:
        from minidock.daemon.client import stats

        return stats.stream(self.api, refs, everything=all, once=once)

    def top(self, ref: str, options: list[str]) -> tuple[list[str], list[list[str]]]:
        from minidock.daemon.client import containers

        return containers.top(self.api, ref, options)

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
        timestamps: bool = False,
        details: bool = False,
    ) -> Iterator[tuple[int, bytes]]:
        from minidock.daemon.client import containers

        return containers.logs(
            self.api,
            ref,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
            timestamps=timestamps,
            details=details,
        )

    def log_problem(self, ref: str) -> str:
        """The API has no words for it."""
        return ""

    # the system

    def events(
        self, *, since: float | None = None, until: float | None = None, filters: Filters | None = None
    ) -> Iterator[Event]:
        import msgspec

        from minidock.model.events import Event

        times = {"since": since, "until": until}
        query = {name: "" if moment is None else f"{moment:.9f}" for name, moment in times.items()}
        answer = self.api.open("GET", "/events", {**query, "filters": filters or {}})
        return (msgspec.convert(message, Event) for message in self.api.messages(answer))

    def disk_usage(self) -> DiskUsage:
        from minidock.daemon.client import usage

        return usage.disk_usage(self.api)

    def prune(self, *, all: bool = False, volumes: bool = False, filters: Filters | None = None) -> Pruned:
        from minidock.daemon.client import usage

        return usage.prune(self.api, everything=all, volumes=volumes, filters=filters or {})

    def version(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", "/version")
        return found

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", "/info")
        return found
