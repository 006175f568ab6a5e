"""Looking at containers, and at their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO

    from minidock.engine.verbs.base import Filters
    from minidock.model.facts import Diagnosis, KernelSection
    from minidock.model.lists import ContainerStats, ContainerSummary
    from minidock.model.requests import Commit, PathStat


class LookingVerbs(Verbs):
    """Each method names the module that does it."""

    # looking at containers

    def containers(
        self, *, all: bool = False, last: int = 0, filters: Filters | None = None, size: bool = False
    ) -> list[ContainerSummary]:
        """Newest first; only running ones without `all`."""
        from minidock.engine import ps

        return ps.containers(self.layout, everything=all, last=last, filters=filters or {}, size=size)

    def inspect(self, ref: str) -> dict[str, Any]:
        """API `ContainerInspectResponse`."""
        from minidock.engine import inspect

        return inspect.container(self.layout, ref)

    def kernel_side(self, ref: str) -> list[KernelSection]:
        """What the kernel has of it: namespaces, cgroup, mounts, network, rights. Raises NotRunning."""
        from minidock.engine import kernel_side

        return kernel_side.sections(self.layout, ref)

    def network_side(self, ref: str) -> KernelSection:
        """What the kernel has of a network: bridge, cables, addresses, rules. Raises NetworkNotFound."""
        from minidock.engine import network_side

        return network_side.section(self.layout, ref)

    def look(self, command: str) -> str:
        """What the command of a KernelFact prints."""
        from minidock.engine import look

        return look.look(command)

    def explain(self, words: str) -> list[Diagnosis]:
        """Why a container failed, or what an error means. Raises UsageError for what says nothing."""
        from minidock.engine import explain

        return explain.explain(self.layout, words)

    def stats(self, refs: list[str], *, all: bool = False, once: bool = False) -> Iterator[list[ContainerStats]]:
        """What they use, a list each second; of all that run without `refs`."""
        from minidock.engine import stats

        return stats.stream(self.layout, refs, everything=all, once=once)

    def raw_stats(self, ref: str, *, stream: bool, one_shot: bool = False) -> Iterator[dict[str, Any]]:
        """API `ContainerStatsResponse`: the kernel's counters now and before; one, or one each second while it's there.

        `one_shot` doesn't wait for a second look.
        """
        from minidock.engine import raw_stats

        return raw_stats.stream(self.layout, ref, endless=stream, one_shot=one_shot)

    def top(self, ref: str, options: list[str]) -> tuple[list[str], list[list[str]]]:
        """Titles and rows of ps, with its options."""
        from minidock.engine import top

        return top.top(self.layout, ref, options)

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
        """Chunks of (stream, bytes); times are Unix seconds."""
        from minidock.engine import logs

        return logs.of_container(
            self.layout,
            ref,
            follow=follow,
            tail=tail,
            since=since,
            until=until,
            timestamps=timestamps,
            details=details,
        )

    def log_problem(self, ref: str) -> str:
        """Why lines are missing in a running container's log, a full disk for instance; empty when none are."""
        from minidock.engine import logs

        return logs.problem(self.layout, ref)

    # a container's files

    def changes(self, ref: str) -> list[tuple[str, str]]:
        """Rows of (A, C or D; path): what differs from the image."""
        from minidock.engine import changes

        return changes.diff(self.layout, ref)

    def export(self, ref: str, out: BinaryIO) -> None:
        """The whole tree as a tar."""
        from minidock.engine import changes

        changes.export(self.layout, ref, out)

    def copy_in(self, source: str | BinaryIO, ref: str, target: str, *, own: bool = False, follow: bool = False) -> int:
        """A path of this machine, or a tar, into the container; bytes of tar that went through."""
        from minidock.engine import copying

        if isinstance(source, str):
            return copying.into(self.layout, source, ref, target, own=own, follow=follow)
        copying.stream_into(self.layout, source, ref, target, own=own)
        return 0

    def copy_out(self, ref: str, source: str, target: str | BinaryIO, *, follow: bool = False) -> int:
        """A path of the container to this machine, or as a tar; bytes of tar that went through."""
        from minidock.engine import copying

        if isinstance(target, str):
            return copying.out_of(self.layout, ref, source, target, follow=follow)
        copying.stream_out_of(self.layout, ref, source, target, follow=follow)
        return 0

    def stat_path(self, ref: str, path: str) -> PathStat:
        """API HEAD /containers/ID/archive. Raises NotFound."""
        from minidock.engine import archive

        return archive.stat_path(self.layout, ref, path)

    def read_archive(self, ref: str, path: str, write: Callable[[bytes], object]) -> None:
        """API GET /containers/ID/archive: a tar, in pieces to `write`."""
        from minidock.engine import archive

        archive.read(self.layout, ref, path, write)

    def write_archive(
        self, ref: str, path: str, read: Callable[[int], bytes], *, own: bool = False, strict: bool = False
    ) -> None:
        """API PUT /containers/ID/archive. `own` is copyUIDGID, `strict` noOverwriteDirNonDir."""
        from minidock.engine import archive

        archive.write(self.layout, ref, path, read, own=own, strict=strict)

    def commit(self, ref: str, wanted: Commit) -> str:
        """An image of what it has become; the new id."""
        from minidock.engine import changes

        return changes.commit(self.layout, ref, wanted)
