"""Images, how they are built, and the build cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, BinaryIO

    from minidock.build.state import Tell
    from minidock.engine.build_request import BuildRequest, Built, Checked
    from minidock.engine.verbs.base import Filters
    from minidock.model.events import Progress
    from minidock.model.lists import HistoryRow, ImageSummary
    from minidock.model.usage import BuildCache


class ImageVerbs(Verbs):
    """Each method names the module that does it."""

    # images

    def ensure_image(
        self,
        name: str,
        *,
        policy: str,
        platform: str = "",
        say: Callable[[str], None],
        tell: Callable[[Progress], None],
    ) -> None:
        """Have it, or make it from a recipe, or pull it. Raises ImageNotFound, RegistryError."""
        from minidock.engine import ensure

        ensure.ensure(self.layout, name, policy=policy, platform=platform, say=say, tell=tell)

    def images(self, *, all: bool = False, filters: Filters | None = None) -> list[ImageSummary]:
        """Newest first; without `all` none that is only what another was made from."""
        from minidock.engine import image_list

        return image_list.summaries(self.layout, everything=all, filters=filters or {})

    def history(self, ref: str) -> list[HistoryRow]:
        """How it came to be, newest first."""
        from minidock.engine import image_list

        return image_list.history(self.layout, ref)

    def inspect_image(self, ref: str) -> dict[str, Any]:
        """API `ImageInspect`."""
        from minidock.engine import images

        return images.inspect(self.layout, ref)

    def tag(self, source: str, target: str) -> None:
        from minidock.engine import images

        images.tag(self.layout, source, target)

    def remove_image(self, ref: str, *, force: bool = False, prune: bool = True) -> list[tuple[str, str]]:
        """Rows of ("Untagged" | "Deleted", what). Raises ImageInUse."""
        from minidock.engine import image_remove

        return image_remove.remove(self.layout, ref, force=force, prune=prune)

    def prune_images(self, filters: Filters) -> tuple[list[tuple[str, str]], int]:
        """Rows as above, and the bytes freed. With dangling=false all that no container needs."""
        from minidock.engine import image_remove

        return image_remove.prune(self.layout, filters)

    def platform(self, image_id: str) -> str:
        """What an image runs on: linux/amd64."""
        from minidock.image.store import ImageStore

        return ImageStore(self.layout).find(image_id).platform

    def content_size(self, image_id: str) -> int:
        """Bytes of an image as it travels."""
        from minidock.engine import usage

        return usage.content_size(self.layout, image_id)

    def load(self, source: BinaryIO | Path, *, platform: str = "", say: Callable[[str], None]) -> list[str]:
        from minidock.engine import images

        return images.load(self.layout, source, platform=platform, say=say)

    def save(self, names: list[str], out: BinaryIO) -> None:
        from minidock.engine import images

        images.save(self.layout, names, out)

    def import_image(
        self, source: BinaryIO, *, reference: str | None, message: str, changes: list[str], platform: str
    ) -> str:
        """The new image's id."""
        from minidock.engine import images

        return images.import_tar(self.layout, source, reference, message, changes, platform)

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
        """An image from a Dockerfile. Raises DockerfileError, BuildFailed. `tick` is called a few times a second."""
        from minidock.engine import build

        return build.build(self.layout, request, stdin=stdin, stdout=stdout, tell=tell, tick=tick, narrator=narrator)

    def check_build(self, request: BuildRequest, *, stdin: BinaryIO) -> Checked:
        """What the lint rules say of a Dockerfile. Raises DockerfileError."""
        from minidock.engine import build

        return build.check(self.layout, request, stdin=stdin)

    def build_cache(self) -> list[BuildCache]:
        """Every entry of the build cache: for `system df`."""
        from minidock.engine import build_cache

        return build_cache.rows(self.layout)

    def prune_build_cache(
        self, *, all: bool, older_than: float | None = None, keep_bytes: int = 0
    ) -> tuple[list[str], int]:
        """Keys of the entries that are gone, and the bytes that this freed."""
        from minidock.engine import build_cache

        return build_cache.prune(self.layout, everything=all, older_than=older_than, keep_bytes=keep_bytes)
