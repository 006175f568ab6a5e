"""Images, and how they are built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from minidock.daemon.client.api import quoted
from minidock.daemon.client.remote.base import Remote, only_here
from minidock.engine.verbs.base import Filters
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.build.state import Tell
    from minidock.engine.build_request import BuildRequest, Built
    from minidock.model.events import Progress
    from minidock.model.lists import HistoryRow, ImageSummary
    from minidock.model.usage import BuildCache


class RemoteImages(Remote):
    def ensure_image(
        self,
        name: str,
        *,
        policy: str,
        platform: str = "",
        say: Callable[[str], None],
        tell: Callable[[Progress], None],
    ) -> None:
        from minidock.daemon.client import images

        images.ensure(self.api, name, policy=policy, platform=platform, say=say, tell=tell)

    def images(self, *, all: bool = False, filters: Filters | None = None) -> list[ImageSummary]:
        from minidock.daemon.client import images

        return images.listed(self.api, everything=all, filters=filters or {})

    def inspect_image(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.json("GET", f"/images/{quoted(ref)}/json")
        return found

    def tag(self, source: str, target: str) -> None:
        from minidock.daemon.client import images

        images.tag(self.api, source, target)

    def remove_image(self, ref: str, *, force: bool = False, prune: bool = True) -> list[tuple[str, str]]:
        from minidock.daemon.client import images

        return images.remove(self.api, ref, force=force, prune=prune)

    def history(self, ref: str) -> list[HistoryRow]:
        from minidock.daemon.client import images

        return images.history(self.api, ref)

    def prune_images(self, filters: Filters) -> tuple[list[tuple[str, str]], int]:
        from minidock.daemon.client import images

        return images.prune(self.api, filters)

    def platform(self, image_id: str) -> str:
        from minidock.daemon.client import images

        return images.platform(self.api, image_id)

    def content_size(self, image_id: str) -> int:
        """The API tells only what it takes unpacked."""
        return int(self.inspect_image(image_id)["Size"])

    def load(self, source: BinaryIO | Path, *, platform: str = "", say: Callable[[str], None]) -> list[str]:
        from minidock.daemon.client import images

        return images.load(self.api, source, platform=platform, say=say)

    def save(self, names: list[str], out: BinaryIO) -> None:
        from minidock.daemon.client import images

        images.save(self.api, names, out)

    def import_image(
        self, source: BinaryIO, *, reference: str | None, message: str, changes: list[str], platform: str
    ) -> str:
        from minidock.daemon.client import images

        return images.import_tar(
            self.api, source, reference=reference, message=message, changes=changes, platform=platform
        )

    # building

    def build(
        self,
        request: BuildRequest,
        *,
        stdin: BinaryIO,
        stdout: BinaryIO,
        tell: Tell,
        tick: Callable[[], None],
        narrator: Narrator = SILENT,
    ) -> Built:
        from minidock.daemon.client import building

        if narrator is not SILENT:
            raise only_here("build --explain works")
        return building.build(self.api, request, stdin=stdin, tell=tell, tick=tick)

    def check_build(self, request: BuildRequest, *, stdin: BinaryIO) -> NoReturn:
        raise only_here("build --check works")

    def build_cache(self) -> list[BuildCache]:
        from minidock.daemon.client import usage

        return usage.disk_usage(self.api).build_cache

    def prune_build_cache(
        self, *, all: bool, older_than: float | None = None, keep_bytes: int = 0
    ) -> tuple[list[str], int]:
        from minidock.daemon.client import building

        return building.prune(self.api, everything=all, older_than=older_than, keep_bytes=keep_bytes)
