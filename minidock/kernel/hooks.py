"""Hooks: programs that whoever ordered the container wants to run at six moments of its life.

    prestart, createRuntime   on the host: every mount is made, the root not yet swapped
    createContainer           in the container's namespaces, but still with the host's files
    startContainer            in the container, with its files and rights, just before the command
    poststart                 on the host, once the command runs
    poststop                  on the host, once everything is removed

Each gets the container's state as JSON on its standard input. One of the first five that fails ends the container;
after that it is too late, and a failure is only told. runtime-spec config.md, "POSIX-platform Hooks", and runtime.md,
"Lifecycle".
Man page: posix_spawn(3).
"""

from __future__ import annotations

import os
import select
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from minidock.errors import MinidockError
from minidock.kernel.execute import Ways, execute
from minidock.spec import Hook
from minidock.steps import Live, Step

TOLD = 4096
"""Bytes of what a failed hook wrote that are worth an error message."""


class RunHooks(Step, frozen=True):
    """All hooks of one moment, in order. `state` lacks the pid: only whoever runs them knows how it is numbered."""

    stage: str
    hooks: list[Hook]
    state: dict[str, Any]
    cwd: str = "/"
    """The bundle; for createContainer the root that is about to be swapped in."""
    man: ClassVar[str] = "posix_spawn(3)"

    def describe(self) -> str:
        return f"run {len(self.hooks)} {self.stage} {'hook' if len(self.hooks) == 1 else 'hooks'}"

    def shell(self) -> str:
        state = shlex.quote(msgspec.json.encode(self.state).decode())
        lines = [f"printf %s {state} | {shlex.join([hook.path, *hook.args[1:]])}" for hook in self.hooks]
        return "\n".join(lines)

    def with_environment(self, env: list[str]) -> RunHooks:
        """The same, with `env` for those that name none."""
        filled = [msgspec.structs.replace(hook, env=env if hook.env is None else hook.env) for hook in self.hooks]
        return msgspec.structs.replace(self, hooks=filled)

    def apply(self, live: Live) -> None:
        run(self.stage, self.hooks, self.state, live.pid, self.cwd)


def confined(hook: Hook, env: Mapping[str, str], streams: Sequence[int], ways: Ways) -> int:
    """The pid of a startContainer hook: a program of the *container*, so it gets the command's filter and no right that
    is held only for loading that."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        lines = [f"{name}={value}" for name, value in env.items()]
        execute(ways, hook.path, hook.args or [hook.path], lines)
    finally:
        os._exit(127)


def spawned(hook: Hook, env: Mapping[str, str], streams: Sequence[int]) -> int:
    """The pid of any other hook. It may take the defaults for signals for granted; ours are Python's."""
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)]
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]
    return os.posix_spawn(
        hook.path, hook.args or [hook.path], env, file_actions=actions, setsigdef=defaults, setsigmask=[]
    )


def run(
    stage: str,
    hooks: Sequence[Hook],
    state: dict[str, Any],
    pid: int,
    cwd: str,
    spawn: Callable[[Hook, Mapping[str, str], Sequence[int]], int] = spawned,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Raises MinidockError with runc's text for the first that fails or takes longer than its timeout. With `warn` that
    is told instead, and the others still run."""
    told = msgspec.json.encode({**state, "pid": pid})
    noted = state.get("annotations", {}) if stage != "startContainer" else {}  # in there the path is the container's
    sinks = [noted.get(f"run.oci.hooks.{name}", "") for name in ("stdout", "stderr")]
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(cwd)
        for number, hook in enumerate(hooks):
            problem = _run(hook, told, spawn, sinks)
            if problem and warn:
                warn(f"error running {stage} hook #{number}: {problem}")
            elif problem:
                raise MinidockError(f"error running {stage} hook #{number}: {problem}")
    finally:
        os.fchdir(before)
        os.close(before)


def _run(
    hook: Hook, state: bytes, spawn: Callable[[Hook, Mapping[str, str], Sequence[int]], int], sinks: Sequence[str]
) -> str:
    """What went wrong; empty when nothing did. What the hook wrote is added to the files `sinks`, where they are named:
    crun's annotations."""
    # Files in memory, not pipes: neither side can block the other, and what is left behind is nobody's.
    given, out, err = (os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr"))
    os.write(given, state)
    os.lseek(given, 0, os.SEEK_SET)
    # None given: ours, as with runc and crun.
    env = os.environ if hook.env is None else dict(line.split("=", 1) for line in hook.env if "=" in line)
    try:
        outcome = _wait(spawn(hook, env, (given, out, err)), hook.timeout)
        for path, fd in zip(sinks, (out, err), strict=True):
            if path:
                _append(path, fd)
        texts = [os.pread(fd, TOLD, 0).decode(errors="replace") for fd in (out, err)]
    except OSError as error:
        return f"fork/exec {hook.path}: {os.strerror(error.errno or 0).lower()}"
    finally:
        for fd in (given, out, err):
            os.close(fd)
    return f"{outcome}, stdout: {texts[0]}, stderr: {texts[1]}" if outcome else ""


def _append(path: str, written: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, os.pread(written, os.fstat(written).st_size, 0))
    finally:
        os.close(file)


def _wait(pid: int, timeout: int | None) -> str:
    """The hook's end in words, empty for success. One that takes too long is killed."""
    if timeout:
        watched = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        ready = poll.poll(timeout * 1000)
        os.close(watched)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"hook ran past specified timeout of {timeout:.1f}s"
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        return f"signal: {(signal.strsignal(-code) or '').lower()}"
    return f"exit status {code}" if code else ""


def read(pid: int) -> dict[str, str]:
    """Nothing of a hook stays with the container; what the hook of a network did is seen in its namespace."""
    return {}


def demo() -> None:
    """Run a hook that repeats its input, and one that takes too long."""
    state = {"ociVersion": "1.2.0", "id": "demo", "status": "creating", "bundle": "/tmp"}
    for hook in (
        Hook("/bin/sh", ["sh", "-c", "cat; exit 3"]),
        Hook("/bin/sleep", ["sleep", "60"], timeout=1),
    ):
        try:
            run("createRuntime", [hook], state, os.getpid(), "/")
        except MinidockError as error:
            print(error)


if __name__ == "__main__":
    demo()
