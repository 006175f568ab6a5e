"""sysctl: kernel settings that belong to a namespace, and can therefore be a container's own.

`net.*` belongs to the network namespace, `kernel.shm*`, `kernel.msg*`, `kernel.sem` and `fs.mqueue.*` to the IPC
namespace. All others are the whole machine's, and are refused. Man pages: sysctl(8), proc_sys(5).
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

from minidock.errors import MinidockError, UsageError
from minidock.steps import Live, Step

IPC = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
       "kernel.shmmni", "kernel.shm_rmid_forced")  # fmt: skip
UTS = ("kernel.hostname", "kernel.domainname")


def check(name: str, *, own_network: bool, own_ipc: bool) -> None:
    """Raises UsageError, in Docker's words, for a setting that isn't the container's own."""
    if own_ipc and (name in IPC or name.startswith("fs.mqueue.")):
        return
    if own_network and name.startswith("net."):
        return
    raise UsageError(f"sysctl '{name}' is not allowed", hint="it is not in a namespace of the container's own")


class SetSysctl(Step, frozen=True):
    """Written through the host's /proc, before pivot_root: what a file shows depends on the *writer's* namespaces."""

    name: str
    value: str
    man: ClassVar[str] = "sysctl(8)"

    def describe(self) -> str:
        return f"set {self.name} to {self.value}"

    def shell(self) -> str:
        return f"echo {shlex.quote(self.value)} > {self._path()}"

    def _path(self) -> Path:
        return Path("/proc/sys") / self.name.replace(".", "/")

    def apply(self, live: Live) -> None:
        try:
            self._path().write_text(self.value, encoding="ascii")
        except OSError as error:
            raise MinidockError(f"sysctl {self.name}={self.value}: {error.strerror}") from error


class SetOomScoreAdj(Step, frozen=True):
    """-1000 never, 1000 first. Lowering it below the inherited value needs CAP_SYS_RESOURCE, else EACCES."""

    value: int
    by_parent: bool = False
    """A process that isn't dumpable and not the host's root may not write its own."""
    man: ClassVar[str] = "proc_pid_oom_score_adj(5)"

    def describe(self) -> str:
        return f"ask the kernel to weigh the container with {self.value} when memory runs out"

    def shell(self) -> str:
        return f"echo {self.value} > /proc/{'$PID' if self.by_parent else 'self'}/oom_score_adj"

    def apply(self, live: Live) -> None:
        Path(f"/proc/{live.pid if self.by_parent else 'self'}/oom_score_adj").write_text(
            str(self.value), encoding="ascii"
        )


def read(pid: int) -> dict[str, str]:
    """What was set for the process itself."""
    return {"oom_score_adj": Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii").strip()}


def demo() -> None:
    """Give a child's network namespace its own setting."""
    import os

    from minidock.kernel import namespaces, syscalls

    path = Path("/proc/sys/net/ipv4/ip_default_ttl")
    if syscalls.clone3(namespaces.flags(["network"])) == 0:
        SetSysctl("net.ipv4.ip_default_ttl", "42").apply(Live())
        print("inside: ", path.read_text().strip(), flush=True)
        os._exit(0)
    os.wait()
    print("outside:", path.read_text().strip())


if __name__ == "__main__":
    demo()
