"""Telling without doing: the steps of a verb, and the script that does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from minidock.engine.build_request import BuildRequest
    from minidock.engine.foretell import Foretold
    from minidock.model.network import NetworkRequest
    from minidock.model.requests import CreateRequest, ExecRequest
    from minidock.runtime.planned import Plan


class TellingVerbs(Verbs):
    """Each method names the module that does it."""

    def dry_run(self, request: CreateRequest, *, say: Callable[[str], None]) -> Plan:
        """The plan of a container that nobody creates; needs no root, nor the image."""
        from minidock.engine import script

        return script.dry_run(self.layout, request, say)

    def as_shell(self, request: CreateRequest) -> str:
        """A script for sh, util-linux, iproute2, nft and hostname that makes the same container."""
        from minidock.engine import script

        return script.as_shell(self.layout, request)

    def foretell_exec(self, ref: str, request: ExecRequest) -> Foretold:
        """What exec would do, as steps and as a script; nothing is done."""
        from minidock.engine import foretell

        return foretell.execution(self.layout, ref, request)

    def foretell_remove(self, ref: str, *, force: bool = False) -> Foretold:
        """The same of remove."""
        from minidock.engine import foretell

        return foretell.removal(self.layout, ref, force=force)

    def foretell_network(self, asked: NetworkRequest) -> Foretold:
        """The same of create_network."""
        from minidock.engine import foretell

        return foretell.network(self.layout, asked)

    def foretell_build(self, request: BuildRequest, *, stdin: BinaryIO, as_shell: bool) -> Foretold:
        """The same of build. The script makes the tree; the cache says what would be done again."""
        from minidock.engine import foretell_build

        return foretell_build.foretell(self.layout, request, stdin=stdin, as_shell=as_shell)

    def foretell_pull(self, name: str, *, platform: str = "") -> Foretold:
        """The same of pull: the registry is asked for its documents."""
        from minidock.engine import foretell

        return foretell.pull(self.layout, name, platform=platform)
