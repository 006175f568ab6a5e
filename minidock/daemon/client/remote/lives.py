"""What is done to containers, and to their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from minidock.daemon.client.remote.base import Remote, silent
from minidock.engine.verbs.base import Filters
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.model.requests import Commit, Created, CreateRequest, ExecRequest
    from minidock.model.usage import ContainersPruned


class RemoteLives(Remote):
    def create(self, request: CreateRequest) -> Created:
        from minidock.daemon.client import containers

        return containers.create(self.api, request)

    def start(self, ref: str, *, narrator: Narrator = SILENT) -> None:
        from minidock.daemon.client import containers

        silent(narrator)
        containers.verb(self.api, ref, "start")

    def start_attached(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
        detach_keys: str = "",
        sig_proxy: bool = True,
        narrator: Narrator = SILENT,
    ) -> int:
        from minidock.daemon.client import attached

        silent(narrator)
        return attached.start(self.api, ref, attached.Wishes(stdin, stdout, stderr, detach_keys, sig_proxy))

    def attach(self, ref: str, *, stdin: bool, detach_keys: str = "", sig_proxy: bool = True) -> int | None:
        from minidock.daemon.client import attached

        return attached.attach(self.api, ref, attached.Wishes(stdin, True, True, detach_keys, sig_proxy))

    def stop(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "stop", t=timeout, signal=signal)

    def restart(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "restart", t=timeout, signal=signal)

    def kill(self, ref: str, *, signal: str = "KILL") -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "kill", signal=signal)

    def pause(self, ref: str) -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "pause")

    def unpause(self, ref: str) -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "unpause")

    def rename(self, ref: str, name: str) -> None:
        from minidock.daemon.client import containers

        containers.verb(self.api, ref, "rename", name=name)

    def update(self, ref: str, changes: dict[str, Any]) -> list[str]:
        from minidock.daemon.client import containers

        return containers.update(self.api, ref, changes)

    def wait(self, ref: str) -> int:
        from minidock.daemon.client import attached

        return attached.wait(self.api, ref)

    def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        volumes: bool = False,
        link: bool = False,
        narrator: Narrator = SILENT,
    ) -> None:
        from minidock.daemon.client import containers

        silent(narrator, "rm")
        containers.remove(self.api, ref, force=force, volumes=volumes, link=link)

    def prune_containers(self, filters: Filters | None = None) -> ContainersPruned:
        from minidock.daemon.client import containers

        return containers.prune(self.api, filters or {})

    def exec(
        self, ref: str, request: ExecRequest, *, sig_proxy: bool = True, narrator: Narrator = SILENT
    ) -> int | None:
        from minidock.daemon.client import attached, containers

        silent(narrator, "exec")
        return attached.execute(self.api, ref, containers.exec_body(request))

    # their files

    def changes(self, ref: str) -> list[tuple[str, str]]:
        from minidock.daemon.client import files

        return files.changes(self.api, ref)

    def export(self, ref: str, out: BinaryIO) -> None:
        from minidock.daemon.client import files

        files.export(self.api, ref, out)

    def copy_in(self, source: str | BinaryIO, ref: str, target: str, *, own: bool = False, follow: bool = False) -> int:
        from minidock.daemon.client import files

        return files.copy_in(self.api, source, ref, target, own=own, follow=follow)

    def copy_out(self, ref: str, source: str, target: str | BinaryIO, *, follow: bool = False) -> int:
        from minidock.daemon.client import files

        return files.copy_out(self.api, ref, source, target, follow=follow)

    def commit(self, ref: str, wanted: Commit) -> str:
        from minidock.daemon.client import files

        return files.commit(self.api, ref, wanted)
