"""Registries: the daemon goes there, with what is kept here. Lists of manifests are between us and them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from minidock.daemon.client.remote.base import Remote, silent
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.model.events import Progress


class RemoteRegistries(Remote):
    def pull(
        self,
        name: str,
        *,
        all_tags: bool = False,
        platform: str = "",
        tell: Callable[[Progress], None],
        auth: dict[str, str] | None = None,
        narrator: Narrator = SILENT,
    ) -> str:
        from minidock.daemon.client import registries

        silent(narrator, "pull")
        return registries.pull(self.api, name, all_tags=all_tags, platform=platform, tell=tell, auth=auth)

    def push(
        self,
        name: str,
        *,
        all_tags: bool = False,
        tell: Callable[[Progress], None],
        auth: dict[str, str] | None = None,
    ) -> None:
        from minidock.daemon.client import registries

        registries.push(self.api, name, all_tags=all_tags, tell=tell, auth=auth)

    def login(self, server: str, username: str = "", password: str = "") -> str:
        from minidock.daemon.client import registries

        return registries.login(self.api, server, username, password)

    def search(self, term: str, *, limit: int = 0) -> list[dict[str, Any]]:
        from minidock.daemon.client import registries

        return registries.search(self.api, term, limit)

    def inspect_manifest(self, name: str, *, listed: str = "", verbose: bool = False, insecure: bool = False) -> Any:  # noqa: ANN401
        """As in Docker's client this is between us and the registry."""
        from minidock.engine import manifests
        from minidock.paths import from_environment

        return manifests.inspect(from_environment(""), name, listed=listed, verbose=verbose, insecure=insecure)

    def create_manifest_list(self, target: str, images: Sequence[str], *, amend: bool, insecure: bool) -> str:
        """Its full name. Such lists are the user's, in the directory of config.json, until they are pushed."""
        from minidock.engine import manifests
        from minidock.paths import from_environment

        return manifests.create(from_environment(""), target, images, amend=amend, insecure=insecure)

    def annotate_manifest(
        self, target: str, image: str, *, system: str, architecture: str, variant: str, version: str,
        features: Sequence[str],
    ) -> None:  # fmt: skip
        from minidock.engine import manifests

        manifests.annotate(
            target, image, system=system, architecture=architecture, variant=variant, version=version,
            features=features,
        )  # fmt: skip

    def push_manifest_list(self, target: str, *, insecure: bool, purge: bool, say: Callable[[str], None]) -> str:
        """The list's digest there. Raises NotFound, RegistryError."""
        from minidock.engine import manifests
        from minidock.paths import from_environment

        return manifests.push(from_environment(""), target, insecure=insecure, purge=purge, say=say)

    def remove_manifest_list(self, target: str) -> None:
        from minidock.engine import manifests

        manifests.remove(target)
