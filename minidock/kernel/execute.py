"""execve: the last thing the runtime does in the container. The process stays, everything in it becomes the program.

What is kept: the pid, namespaces, cgroup, root, credentials and open descriptors without close-on-exec. What a runtime
must put right before: Python ignores SIGPIPE and SIGXFSZ, nohup(1) SIGHUP, and what is ignored stays ignored.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import stat
import struct
from collections.abc import Mapping
from typing import ClassVar, NoReturn

import msgspec

from minidock.errors import CommandNotExecutable, CommandNotFound, MinidockError
from minidock.kernel import syscalls
from minidock.steps import Step

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# elf.h: e_machine of what the kernel calls by uname's names
MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 22: "s390x", 21: "ppc64le", 243: "riscv64"}


class Execute(Step, frozen=True):
    """The container's command. Not applied like the others: the child resolves it, says ready, and waits for the go."""

    args: list[str]
    env: list[str]
    cwd: str
    man: ClassVar[str] = "execve(2)"

    def describe(self) -> str:
        return f"become {' '.join(shlex.quote(word) for word in self.args)}"

    def shell(self) -> str:
        return 'exec env -i "$@"'


def environment(env: list[str]) -> dict[str, str]:
    """KEY=value lines as a mapping; the last one of a name wins."""
    return dict(line.split("=", 1) for line in env if "=" in line)


def find(name: str, path: str, cwd: str) -> str:
    """The file to execute, as execvp(3) looks for it, seen from inside the container.

    Raises CommandNotFound and CommandNotExecutable with runc's texts, which scripts know.
    """
    if "/" in name:
        candidate = name if name.startswith("/") else os.path.normpath(f"{cwd}/{name}")
        problem = _problem(candidate)
        if problem is None:
            return name
        raise _refusal(name, problem, f"stat {candidate}")
    denied = False
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        problem = _problem(candidate)
        if problem is None:
            return candidate
        denied = denied or problem == errno.EACCES
    if denied:
        raise CommandNotExecutable(f'exec: "{name}": permission denied')
    raise CommandNotFound(f'exec: "{name}": executable file not found in $PATH', hint=f"PATH is {path}")


def _problem(candidate: str) -> int | None:
    try:
        facts = os.stat(candidate)
    except OSError as error:
        return error.errno
    if stat.S_ISDIR(facts.st_mode):
        return errno.EISDIR
    # As execve(2) will see it: the user is the container's by now, and CAP_DAC_OVERRIDE needs one x bit of any.
    return None if os.access(candidate, os.X_OK, effective_ids=True) else errno.EACCES


def _refusal(name: str, number: int | None, call: str) -> MinidockError:
    number = number or errno.ENOENT
    if number in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFound(f'exec: "{name}": {call}: {os.strerror(number).lower()}')
    if number == errno.EISDIR:
        return CommandNotExecutable(f'exec: "{name}": is a directory')
    return CommandNotExecutable(f'exec: "{name}": {os.strerror(number).lower()}')


class Ways(msgspec.Struct, frozen=True):
    """What minidock-exec is told beside the command. Its usage: native/exec.c."""

    program: int
    """A descriptor of minidock-exec itself."""
    wire: int = -1
    preserved: int = 0
    """Descriptors beyond 0, 1 and 2 that reach the command: 3, 4 … (--preserve-fds)."""
    filter: int = -1
    filter_flags: int = 0
    held: str = ""
    """A capability to be given up once the filter is loaded."""
    agent: int = -1
    """The socket that gets the filter's listener, and a file with what is said of it: kernel/seccomp_agent.py."""
    notice: int = -1


def execute(ways: Ways, path: str, args: list[str], env: list[str]) -> NoReturn:
    """Become the command, by way of minidock-exec.

    Raises SystemCallFailed when that fails; what execve(2) says of `path` goes over the descriptor `wire`.
    """
    from minidock.kernel import capabilities

    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    keep = 3 + ways.preserved
    wire, filter, agent, notice = (
        _out_of_the_way(fd, keep) for fd in (ways.wire, ways.filter, ways.agent, ways.notice)
    )
    held = capabilities.NUMBERS[ways.held] if ways.held else -1
    told = [str(number) for number in (wire, keep, filter, ways.filter_flags, held)]
    if agent >= 0:
        told[-1] += f",{agent},{notice}"
    syscalls.execveat(ways.program, "", ["minidock:[init]", *told, path, *args], env, syscalls.AT_EMPTY_PATH)


def _out_of_the_way(fd: int, keep: int) -> int:
    """The descriptor for minidock-exec, which closes those from `keep` on: not one of those that the command gets."""
    import fcntl

    if 0 <= fd < keep:
        fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, keep)
    if fd >= 0:
        os.set_inheritable(fd, True)
    return fd


def refused(path: str, number: int, *, missing: str, malformed: str) -> MinidockError:
    """What execve(2) said of a file that is there and executable; the reasons are explain()'s."""
    text = f"exec {path}: {os.strerror(number).lower()}"
    if number in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFound(text, hint=missing)
    return CommandNotExecutable(text, hint=malformed if number == errno.ENOEXEC else "")


def explain(path: str, number: int) -> str:
    """Why execve(2) refused a file that is there and executable: read off its first bytes. Empty when it can't tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return ""
    if head.startswith(b"#!"):
        interpreter = head[2:].split(b"\n", 1)[0].strip().split(b" ", 1)[0]
        shown = interpreter.decode(errors="replace")
        if b"\r" in head.split(b"\n", 1)[0]:
            return f"its first line ends in a carriage return: the kernel looks for {shown!r}; use Unix line ends"
        return f"its interpreter {shown} is not in the image" if number == errno.ENOENT else ""
    if head.startswith(b"\x7fELF"):
        return _explain_elf(head, number)
    return "neither a program nor a script: does its first line start with #! ?" if number == errno.ENOEXEC else ""


def _explain_elf(head: bytes, number: int) -> str:
    order = "<" if head[5] == 1 else ">"
    machine = MACHINES.get(struct.unpack_from(order + "H", head, 18)[0], "another machine")
    host = os.uname().machine
    if number == errno.ENOEXEC:
        return f"it was built for {machine}, this machine is {host}" if machine != host else "the file is damaged"
    start = head.find(b"/ld")
    if number == errno.ENOENT and start > 0:
        end = head.index(b"\0", start)
        begin = head.rfind(b"\0", 0, start) + 1
        return f"its loader {head[begin:end].decode(errors='replace')} is not in the image (glibc and musl don't mix)"
    return ""


def read(pid: int) -> dict[str, str | list[str]]:
    """What a process was started as."""

    def words(name: str) -> list[str]:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return [word.decode(errors="surrogateescape") for word in file.read().rstrip(b"\0").split(b"\0")]

    return {"exe": os.readlink(f"/proc/{pid}/exe"), "args": words("cmdline"), "cwd": os.readlink(f"/proc/{pid}/cwd")}


def check_env(env: Mapping[str, str]) -> None:
    """Raises MinidockError for what execve(2) can't carry: a NUL byte, or a name with `=`."""
    for name, value in env.items():
        if "\0" in name or "\0" in value:
            raise MinidockError(f"environment variable {name!r} holds a NUL byte")


def demo() -> None:
    """Show what is said of a script whose interpreter is missing."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as file:
        file.write("#!/no/such/shell\n")
    os.chmod(file.name, 0o700)
    error = refused(file.name, errno.ENOENT, missing=explain(file.name, errno.ENOENT), malformed="")
    print(f"{error} ({error.hint})")
    os.unlink(file.name)


if __name__ == "__main__":
    demo()
