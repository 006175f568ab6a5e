"""Registries: what comes from them and goes to them, and who we are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from minidock.model.events import Progress


class RegistryVerbs(Verbs):
    """Each method names the module that does it."""

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
        """The familiar name of what came; `auth` is API `AuthConfig`, None asks config.json. Raises RegistryError."""
        from minidock.engine import registries

        return registries.pull(
            self.layout, name, all_tags=all_tags, platform=platform, tell=tell, auth=auth, narrator=narrator
        )

    def push(
        self,
        name: str,
        *,
        all_tags: bool = False,
        tell: Callable[[Progress], None],
        auth: dict[str, str] | None = None,
    ) -> None:
        from minidock.engine import registries

        registries.push(self.layout, name, all_tags=all_tags, tell=tell, auth=auth)

    def login(self, server: str, username: str = "", password: str = "") -> str:
        """Check and keep who we are, or check what is kept; the file where the password can be read, if it can."""
        from minidock.engine import registries

        return registries.login(self.layout, server, username, password)

    def check_login(self, server: str, who: dict[str, str]) -> str:
        """Keep nothing; a token that is better kept than the password, or nothing. `who` is API `AuthConfig`."""
        from minidock.engine import registries

        return registries.check_login(self.layout, server, who)

    def distribution(self, name: str, *, auth: dict[str, str] | None = None) -> dict[str, Any]:
        """API `DistributionInspect`. Raises RegistryError."""
        from minidock.engine import registries

        return registries.distribution(self.layout, name, auth)

    def known_user(self, server: str) -> str:
        from minidock.engine import registries

        return registries.known_user(server)

    def logout(self, server: str) -> str:
        from minidock.engine import registries

        return registries.logout(server)

    def search(self, term: str, *, limit: int = 0) -> list[dict[str, Any]]:
        """API `ImageSearchResponse`."""
        from minidock.engine import registries

        return registries.search(self.layout, term, limit)

    def inspect_manifest(self, name: str, *, listed: str = "", verbose: bool = False, insecure: bool = False) -> Any:  # noqa: ANN401
        """What a registry has under the name, without pulling it, or a list that is being made: JSON."""
        from minidock.engine import manifests

        return manifests.inspect(self.layout, name, listed=listed, verbose=verbose, insecure=insecure)

    def create_manifest_list(self, target: str, images: Sequence[str], *, amend: bool, insecure: bool) -> str:
        """Its full name. Such lists are the user's, in the directory of config.json, until they are pushed."""
        from minidock.engine import manifests

        return manifests.create(self.layout, target, images, amend=amend, insecure=insecure)

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

        return manifests.push(self.layout, target, insecure=insecure, purge=purge, say=say)

    def remove_manifest_list(self, target: str) -> None:
        from minidock.engine import manifests

        manifests.remove(target)
