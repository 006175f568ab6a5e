"""A container's life: from create to remove, and what becomes of it when nobody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.engine.verbs.base import Verbs
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from typing import Any

    from minidock.engine.verbs.base import Filters
    from minidock.model.requests import Created, CreateRequest, ExecRequest
    from minidock.model.usage import ContainersPruned


class LifeVerbs(Verbs):
    """Each method names the module that does it."""

    def create(self, request: CreateRequest) -> Created:
        """Write a container down. Raises ImageNotFound, NameInUse, UsageError."""
        from minidock.engine import create

        return create.create(self.layout, request)

    def start(self, ref: str, *, narrator: Narrator = SILENT) -> None:
        """Run it in the background, under its shim."""
        from minidock.engine import run

        run.start_detached(self.layout, ref, narrator=narrator)

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
        """Run it with our own streams; its exit code, or 0 when the user detached."""
        from minidock.engine import run

        streams = run.Streams(stdin, stdout, stderr, detach_keys, sig_proxy)
        return run.start_attached(self.layout, ref, streams, narrator=narrator)

    def attach(self, ref: str, *, stdin: bool, detach_keys: str = "", sig_proxy: bool = True) -> int | None:
        """Our own streams as those of a running container; its exit code, or None when the user detached."""
        from minidock.engine import run

        return run.attach_to(self.layout, ref, run.Streams(stdin, True, True, detach_keys, sig_proxy))

    def start_held(self, ref: str) -> int | None:
        """Run it; a connection to its shim that sees all output, and is to clean up. None when it runs already."""
        from minidock.engine import run

        return run.start_held(self.layout, ref)

    def connect(self, ref: str) -> int:
        """A further connection to a running container's shim. Raises Conflict."""
        from minidock.engine import run

        return run.connect(self.layout, ref)

    def stop(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        """SIGTERM or the container's own stop signal, patience, SIGKILL."""
        from minidock.engine import stop

        stop.stop(self.layout, ref, timeout=timeout, signal=signal)

    def restart(self, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
        """Stop it and start it again."""
        from minidock.engine import restart

        restart.restart(self.layout, ref, timeout=timeout, signal=signal)

    def kill(self, ref: str, *, signal: str = "KILL") -> None:
        """Send any signal. Raises NotRunning."""
        from minidock.engine import stop

        stop.kill(self.layout, ref, signal=signal)

    def pause(self, ref: str) -> None:
        """Let it stand still. Raises Conflict."""
        from minidock.engine import pause

        pause.pause(self.layout, ref)

    def unpause(self, ref: str) -> None:
        from minidock.engine import pause

        pause.unpause(self.layout, ref)

    def rename(self, ref: str, name: str) -> None:
        """Raises NameInUse."""
        from minidock.engine import rename

        rename.rename(self.layout, ref, name)

    def update(self, ref: str, changes: dict[str, Any]) -> list[str]:
        """Other limits: members of HostConfig by field, where given. Warnings; raises UsageError, Conflict."""
        from minidock.engine import update

        return update.update(self.layout, ref, changes)

    def wait(self, ref: str) -> int:
        """Sleep until it ends; its exit code."""
        from minidock.engine import stop

        return stop.wait(self.layout, ref)

    def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        volumes: bool = False,
        link: bool = False,
        narrator: Narrator = SILENT,
    ) -> None:
        """Raises Conflict for a running one, unless forced. `link`: only the link whose name it is."""
        if link:
            from minidock.engine import link_names

            link_names.remove(self.layout, ref)
            return
        from minidock.engine import stop

        stop.remove(self.layout, ref, force=force, volumes=volumes, narrator=narrator)

    def prune_containers(self, filters: Filters | None = None) -> ContainersPruned:
        """Remove all that don't run; `until` are Unix seconds."""
        from minidock.engine import prune

        return prune.containers(self.layout, filters or {})

    def exec(
        self, ref: str, request: ExecRequest, *, sig_proxy: bool = True, narrator: Narrator = SILENT
    ) -> int | None:
        """One more command inside; its exit code, 0 when it runs detached, None when the user has detached.

        Raises Conflict when the container doesn't run.
        """
        from minidock.engine import execs

        return execs.execute(self.layout, ref, request, sig_proxy=sig_proxy, narrator=narrator)

    def exec_create(self, ref: str, request: ExecRequest, *, outputs: tuple[bool, bool]) -> str:
        """Write a command down that is to run inside; its id. `outputs`: whether stdout and stderr are wanted."""
        from minidock.engine import exec_sessions

        return exec_sessions.create(self.layout, ref, request, outputs)

    def exec_start(self, id: str, *, detach: bool, size: tuple[int, int]) -> int | None:
        """Run it; the connection to its shim, None when detached."""
        from minidock.engine import exec_sessions

        return exec_sessions.start(self.layout, id, detach, size)

    def exec_inspect(self, id: str) -> dict[str, Any]:
        """API `ExecInspectResponse`. Raises NotFound."""
        from minidock.engine import exec_sessions

        return exec_sessions.inspect(self.layout, id)

    def cleanup(self, container_id: str, exec_id: str = "") -> None:
        """What a shim becomes in the end: finish the container, or the exec in it, when nobody else did."""
        from minidock.errors import ContainerNotFound

        try:
            if exec_id:
                from minidock.engine import execs

                execs.finish(self.layout, container_id, exec_id)
            else:
                from minidock.engine import finish

                finish.finish(self.layout, container_id)
        except ContainerNotFound:
            return  # somebody was quicker

    def revive(self, container_id: str, finished_at: str) -> None:
        """What a container's waiter becomes: the start that its restart policy wants after that end."""
        from minidock.engine import restart

        restart.revive(self.layout, container_id, finished_at)

    def probe(self, container_id: str) -> int:
        """One health check, when its shim says that it is time; what the shim needs to know, as an exit code."""
        from minidock.engine import health

        return health.probe(self.layout, container_id)

    def restore(self) -> list[str]:
        """After a reboot: start what should be up by its restart policy; the ids of those."""
        from minidock.engine import restart

        return restart.restore(self.layout)
