"""What a lab's check.py works with: it starts the student's program, finds the container and states facts about it.

    with host.running("web", command=["sleep", "1000"]) as container:
        host.fact("its host name is its own", container.namespace("uts") != host.namespace("uts"), found=…, hint=…)

A fact that doesn't hold ends the check: what is wrong later usually follows from it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from minidock.kernel import mounts, namespaces, syscalls
from minidock.labs import sandbox
from minidock.labs.said import error_of, last_words, place_of, status_of, words_of
from minidock.steps import Live

PATIENCE = 60 if os.environ.get("MINIDOCK_VM") else 15
"""Seconds for a program to get somewhere."""


class Fact(msgspec.Struct, frozen=True):
    """Something that must be true, and the help for whom it isn't."""

    text: str
    true: bool
    found: str = ""
    look: str = ""
    """The command that shows it: with these eyes one debugs containers."""
    man: str = ""
    hint: str = ""


class Untrue(Exception):
    """The last fact doesn't hold."""


class Finished(msgspec.Struct, frozen=True):
    """A program that has ended."""

    code: int
    out: str
    err: str


class Container(msgspec.Struct, frozen=True):
    """A running one: the student's program, and the command in the container. Numbers as the checker sees them."""

    program: int
    pid: int

    def namespace(self, kind: str) -> int:
        return namespaces.read(self.pid)[kind]

    def status(self, key: str) -> str:
        """A line of /proc/PID/status (proc_pid_status(5))."""
        return status_of(self.pid).get(key, "")

    def mountinfo(self) -> list[str]:
        """/proc/PID/mountinfo as it is (proc_pid_mountinfo(5)), a line a mount."""
        return Path(f"/proc/{self.pid}/mountinfo").read_text(errors="replace").splitlines()

    def mounts(self) -> list[dict[str, str]]:
        return mounts.read(self.pid)

    def read(self, path: str) -> str:
        """A file as the container has it. Empty when there is none."""
        try:
            return Path(f"/proc/{self.pid}/root{path}").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


class Host:
    """The small host of one check. `program` is the student's file, `base` an empty directory (a tmpfs)."""

    def __init__(self, program: Path, base: Path, name: str) -> None:
        self.program = program
        self.base = base
        self.name = name
        self.cgroup = f"/minidock-lab/{name}"
        self.facts: list[Fact] = []
        self.stumble = ""
        """The hint when a system call fails in the program, where the lab knows better than to look up the errno."""
        self.holder = sandbox.small_host()
        self._kept = {1, self.holder}
        self._count = 0

    def keep(self, pid: int) -> None:
        """A process of the check's own, which doesn't end with the program."""
        self._kept.add(pid)

    # facts

    def fact(self, text: str, true: bool, *, found: object = "", look: str = "", man: str = "", hint: str = "") -> None:
        """State it. Raises Untrue when it doesn't hold."""
        self.facts.append(Fact(text, bool(true), str(found).strip(), look, man, "" if true else hint))
        if not true:
            raise Untrue

    def namespace(self, kind: str) -> int:
        """The namespace in which the student's program starts."""
        return namespaces.read(self.holder)[kind]

    def mounts(self) -> list[dict[str, str]]:
        """What the small host has mounted."""
        return mounts.read(self.holder)

    def mount_tmpfs(self, name: str) -> Path:
        """Mount something on the small host, where a container may see it or not."""
        place = self.base / name
        place.mkdir(exist_ok=True)

        def mount() -> None:
            self._enter_small_host()
            mounts.MountFilesystem("", str(place), "tmpfs", "tmpfs", []).apply(Live())

        if os.waitpid(sandbox.in_child(mount), 0)[1] != 0:
            raise OSError(f"can't mount a tmpfs at {place}")
        return place

    # programs

    def run(self, *arguments: str, program: Path | None = None, expect: bool = True) -> Finished:
        """The student's program from start to end. A part not written yet is a fact, and an untrue one."""
        pid, files = self._launch(arguments, program)
        code = self._wait(pid)
        finished = Finished(code, *(path.read_text(encoding="utf-8", errors="replace") for path in files))
        if expect:
            self._crashed(finished.err)
        return finished

    @contextlib.contextmanager
    def running(
        self,
        *arguments: str,
        command: Sequence[str] = ("sleep", "1000"),
        becomes: Sequence[str] = (),
        program: Path | None = None,
    ) -> Iterator[Container]:
        """The program with `command` as its last arguments, once a process has become that command, or `becomes`."""
        pid, files = self._launch([*arguments, *command], program)
        try:
            yield Container(pid, self._find(pid, list(becomes or command), files[1]))
        finally:
            self._end(pid)

    def start(self, arguments: Sequence[str], directory: str, opened: Sequence[int] = (0, 1, 2)) -> int:
        """The student's program in the small host, with these descriptors as 0, 1 and 2; its pid."""
        return self._start(self.program, arguments, directory, opened)

    def _launch(self, arguments: Sequence[str], program: Path | None) -> tuple[int, list[Path]]:
        program = program or self.program
        self._count += 1
        files = [self.base / f"{name}{self._count}" for name in ("out", "err")]
        opened = [os.open("/dev/null", os.O_RDONLY), *(os.open(f, os.O_CREAT | os.O_WRONLY, 0o644) for f in files)]
        pid = self._start(program, arguments, str(program.parent), opened)
        for fd in opened:
            os.close(fd)
        return pid, files

    def _start(self, program: Path, arguments: Sequence[str], directory: str, opened: Sequence[int]) -> int:
        words = [sys.executable, "-B", "-s", str(program), *arguments]
        packages = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, "MINI_NAME": self.name, "PYTHONPATH": packages}

        def become() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self._enter_small_host()
            os.chdir(directory)
            for number, fd in enumerate(opened):
                os.dup2(fd, number)
            os.closerange(3, 1 << 20)  # what the student's shell left open isn't his program's fault
            os.execve(sys.executable, words, environment)

        return sandbox.in_child(become)

    def _enter_small_host(self) -> None:
        fd = os.open(f"/proc/{self.holder}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(fd, namespaces.KINDS["mount"].flag)

    def _find(self, program: int, command: list[str], errors: Path) -> int:
        """The process that has become the command; its init, a fork of the program, still has the program's words."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = [pid for pid in self.processes() if words_of(pid) == command]
            if found:
                return found[0]
            if os.waitid(os.P_PID, program, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.01)
        said = errors.read_text(encoding="utf-8", errors="replace")
        self._crashed(said)
        shown = " ".join(command)
        self.fact(
            f"the command `{shown}` is running",
            False,
            found=last_words(said) or ("the program has ended" if self._is_dead(program) else "no such process"),
            look="ps -ef --forest",
            hint="does the child become the command? does its parent let it go, if it waits at a pipe?",
        )
        raise AssertionError("unreachable: an untrue fact raises")

    def _is_dead(self, pid: int) -> bool:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _crashed(self, said: str) -> None:
        """What Python said before the program died: first of all whether something isn't written yet."""
        if "NotImplementedError: " in said:
            what = said.rpartition("NotImplementedError: ")[2].splitlines()[0]
            where = place_of(said)
            self.fact("everything is written", False, found=f"not yet, {where}", hint=f"to do: {what}")
        error = error_of(said)
        if "Traceback (most recent call last)" in said or error.startswith(("SyntaxError", "IndentationError")):
            hint = (
                self.stumble or "an error of a step names the system call; its man page says what the errno means there"
            )
            if error.startswith(("FileNotFoundError", "ImportError", "ModuleNotFoundError")):
                hint = "in the container the host's files are gone, Python's too: import and read what you need before"
            elif not error.startswith(("minidock.", "OSError", "PermissionError")):
                hint = "that is Python's own word, and no system call's: look at this line, and at what it calls"
            self.fact("the program runs without an error", False, found=f"{error} ({place_of(said)})", hint=hint)

    def processes(self) -> list[int]:
        """All of the sandbox but ourselves, the small host's holder and what the check keeps."""
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [number for number in numbers if number not in self._kept]

    def _wait(self, pid: int) -> int:
        deadline = time.monotonic() + PATIENCE
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                self._kill_all()
                hint = "who waits for whom? A pipe ends when *every* copy of its writing end is closed"
                self.fact(f"the program ends within {PATIENCE} seconds", False, look="ps -ef --forest", hint=hint)
            time.sleep(0.005)

    def _end(self, pid: int) -> None:
        """Kill the container and let the program clean up behind it; then whoever is left."""
        others = [other for other in self.processes() if other != pid]
        for other in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)
        deadline = time.monotonic() + (5 if others else 0)
        while not self._is_dead(pid) and time.monotonic() < deadline:
            time.sleep(0.005)
        self._kill_all()
        os.waitpid(pid, 0)

    def _kill_all(self) -> None:
        for other in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)

    # things to run

    def rootfs(self, name: str = "rootfs", **files: str) -> Path:
        """A small tree with busybox in it, and files of the check's own: `etc_motd="hello"` is /etc/motd."""
        import shutil

        top = self.base / name
        for directory in ("bin", "etc", "proc", "dev", "sys", "tmp", "root"):
            (top / directory).mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            raise FileNotFoundError("busybox: apt-get install busybox-static")
        shutil.copy(busybox, top / "bin" / "busybox")
        applets = ("sh", "sleep", "cat", "ls", "echo", "rm", "id", "hostname", "ps", "mknod", "dd", "mount", "kill")
        for applet in (*applets, "touch", "nc", "true", "head", "ip", "mkdir", "env", "pwd", "test", "stat", "wget"):
            (top / "bin" / applet).symlink_to("busybox")
        (top / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        for key, text in files.items():
            (top / key.replace("_", "/", 1)).write_text(text)
        return top

    def until(self, look: object, seconds: float = 5) -> bool:
        """Wait for a condition; whether it came true."""
        assert callable(look)
        deadline = time.monotonic() + seconds
        while not (true := bool(look())) and time.monotonic() < deadline:
            time.sleep(0.01)
        return true
