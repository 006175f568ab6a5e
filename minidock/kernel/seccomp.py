"""Seccomp: a program in the kernel that looks at every system call of a process, and lets it pass or not.

The program is classic BPF, some hundred instructions of eight bytes. It sees the architecture, the call's number and
its six arguments as numbers (never what a pointer points to), and answers allow, fail with an errno, kill, or others.
Once loaded it can't be removed, and every child inherits it. Docker's default profile lets some 350 calls pass, which
is nearly all that programs need, and none of those that reach for the host. Man page: seccomp(2), bpf(4).

A profile is compiled by seccomp_bpf, once: compiled programs are kept in files below the instance's run directory, so
that a start reads one file, and imports neither the compiler nor the tables of system call numbers.

Where the load stands: at the very end, in minidock-exec (native/exec.c), one call before the command. Everything after
a load runs under the filter, and so a profile needs to allow nothing of ours but execve(2). The load needs
CAP_SYS_ADMIN or no_new_privs; without the latter that capability is held until then, and giving it up takes one
capset(2) more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import msgspec

from minidock import spec
from minidock.digests import hex_digest
from minidock.errors import SystemCallFailed, Unsupported, UsageError
from minidock.files import write_atomic
from minidock.kernel import syscalls
from minidock.steps import Live, Step

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # 1 there: for all threads, and whoever loads our filters has one
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
"""linux/seccomp.h"""


def data_directory() -> Path:
    """rootfs/seccomp: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "rootfs" / "seccomp"
    return inside if inside.is_dir() else package.parent / "rootfs" / "seccomp"


PROFILES = [data_directory() / "default.json", Path(__file__).with_name("seccomp_profile.py")]
COMPILER = [data_directory() / "syscalls.tsv", *(Path(__file__).with_name(f"seccomp_{n}.py") for n in ("arch", "bpf"))]
"""What is kept in the cache is made of these files, and made anew when one of them changes."""


class LoadFilter(Step, frozen=True):
    """Load a compiled program. The single-threaded child needs no TSYNC."""

    program: bytes
    flags: int = 0
    man: ClassVar[str] = "seccomp(2)"

    def describe(self) -> str:
        return f"filter system calls with a program of {len(self.program) // 8} instructions"

    def setpriv(self) -> list[str]:
        return []  # setpriv --seccomp-filter came with util-linux 2.40

    def shell(self) -> str:
        return f"# no tool of Debian 12 loads a seccomp filter; {self.describe()}"

    def apply(self, live: Live) -> None:
        syscalls.seccomp_filter(self.program, self.flags)


class FilterAtExec(LoadFilter, frozen=True):
    """The same in the child of a plan: the program is handed to minidock-exec, which loads it."""

    def apply(self, live: Live) -> None:
        live.fds["filter"] = os.memfd_create("minidock-seccomp", os.MFD_CLOEXEC)
        os.write(live.fds["filter"], self.program)
        live.fds["filter-flags"] = self.flags


def for_container(
    choice: str, capabilities: list[str], *, privileged: bool = False, cache: Path | None = None
) -> spec.Seccomp | None:
    """The OCI profile of a container with that bounding set; None for no filter.

    `choice` is what `--security-opt seccomp=` said: "" (nothing), unconfined, builtin, or a profile's JSON, which the
    command line has read from the file, as Docker's does. Raises UsageError for a profile that makes no sense.
    """
    if choice == "unconfined" or (privileged and not choice):
        return None
    if cache is None:
        return _resolve(choice, capabilities)
    path = cache / f"seccomp-{_key(choice, os.uname().release, *_stamps(*PROFILES), *sorted(capabilities))}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=spec.Seccomp | None)
    except (FileNotFoundError, msgspec.MsgspecError):  # not yet, or damaged: made anew
        profile = _resolve(choice, capabilities)
        _keep(path, msgspec.json.encode(profile))
        return profile


def load_filter(profile: spec.Seccomp, cache: Path | None = None, *, at_exec: bool = False) -> LoadFilter:
    """The step for the profile of an OCI spec; with `at_exec` for a plan. `cache` is a directory for compiled programs,
    made when missing.

    Raises UsageError for a profile that makes no sense: unknown action, operator or architecture; Unsupported for one
    whose decisions another process takes and that isn't loaded by minidock-exec, which passes the listener on.
    """
    flags = flags_of(profile)
    if any(rule.action == "SCMP_ACT_NOTIFY" for rule in profile.syscalls):
        from minidock.kernel import seccomp_agent

        if not at_exec:
            raise Unsupported("only a container's command can have a seccomp listener: seccomp_unotify(2)")
        flags = seccomp_agent.flags(flags)
    return (FilterAtExec if at_exec else LoadFilter)(compiled(profile, cache), flags)


def flags_of(profile: spec.Seccomp) -> int:
    """The flags of seccomp(2); where the profile says nothing of them, not even that there are none, SPEC_ALLOW as with
    runc: until Linux 5.16 a filter otherwise switches off a speculation of the processor, which costs all programs.
    Raises UsageError for one that is not known."""
    if profile.flags is None:
        return FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    unknown = [flag for flag in profile.flags if flag not in FLAGS]
    if unknown:
        raise UsageError(f"seccomp flag {unknown[0]!r} not known or not supported")
    return sum(FLAGS[flag] for flag in set(profile.flags))


def compiled(profile: spec.Seccomp, cache: Path | None = None) -> bytes:
    """The BPF program for the profile on this machine, from the cache when it has been compiled before."""
    machine = os.uname().machine
    if cache is None:
        return _compile(profile, machine)
    path = cache / f"seccomp-{_key(machine, *_stamps(*COMPILER), msgspec.json.encode(profile).decode())}.bpf"
    try:
        program = path.read_bytes()
    except FileNotFoundError:
        program = b""
    if not program or len(program) % 8:
        program = _compile(profile, machine)
        _keep(path, program)
    return program


def _key(*parts: str) -> str:
    return hex_digest("\0".join(parts).encode())[:32]


def _keep(path: Path, data: bytes) -> None:
    """0600: who could write such a file could open the container to the host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data, mode=0o600, durable=False)


def _stamps(*files: Path) -> list[str]:
    """What tells a newer file from the one that the cache was made of: time and size."""
    return [f"{found.st_mtime_ns} {found.st_size}" for found in map(os.stat, files)]


# Both of these cost milliseconds; on the hot path the cache has what they make, and they are not even imported.


def _resolve(choice: str, capabilities: list[str]) -> spec.Seccomp | None:
    from minidock.kernel import seccomp_profile

    return seccomp_profile.choose(choice, capabilities)


def _compile(profile: spec.Seccomp, machine: str) -> bytes:
    from minidock.kernel import seccomp_bpf

    return seccomp_bpf.compile_profile(profile, machine)


def read(pid: int | str) -> dict[str, int]:
    """`mode` is 0 without, 2 with filters; `filters` how many are stacked. /proc/PID/status (proc(5))."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {"mode": int(lines["Seccomp"]), "filters": int(lines.get("Seccomp_filters", "0"))}


def demo() -> None:
    """Load a filter that knows one forbidden call, and call it."""
    forbidden = spec.SeccompRule(names=["sethostname"], action="SCMP_ACT_ERRNO", errno_ret=1)
    step = load_filter(spec.Seccomp(default_action="SCMP_ACT_ALLOW", syscalls=[forbidden]))
    pid = os.fork()
    if pid == 0:
        step.apply(Live())
        print(f"{step.describe()}: {read('self')}", flush=True)
        try:
            syscalls.sethostname(os.uname().nodename)
        except SystemCallFailed as error:
            print(f"uid {os.getuid()} with all capabilities, and yet {error}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
