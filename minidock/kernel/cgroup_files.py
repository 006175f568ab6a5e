"""Where cgroups are: hierarchies, and the files in them through which the kernel is told about limits.

A cgroup is a directory that the kernel made because somebody made a directory; its files are the controls. There are
two generations. Version 2 has one tree for all controllers. Version 1 has a tree for each controller (or pair of them),
and a process has a place in every one. On a *hybrid* host both are mounted, and a controller lives in exactly one
of them. So each limit is looked up by its controller, never by "the" version of the host. Man page: cgroups(7).
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar

import msgspec

from minidock.errors import MinidockError, Unsupported
from minidock.steps import Live, Step

# linux/cgroup_subsys.h
V1_CONTROLLERS = frozenset(
    [
        "cpuset",
        "cpu",
        "cpuacct",
        "blkio",
        "memory",
        "devices",
        "freezer",
        "net_cls",
        "net_prio",
        "perf_event",
        "hugetlb",
        "pids",
        "rdma",
        "misc",
    ]
)
"""The words among a v1 mount's options that name controllers; the others (rw, xattr, release_agent=…) don't."""


class Hierarchies(msgspec.Struct, frozen=True):
    """Where this host has its cgroups mounted: `discover()`."""

    v2_mount: str | None = None
    """Directory of the cgroup2 mount; present, without controllers, on a hybrid host."""
    v2_controllers: list[str] = []
    """What cgroup.controllers of that mount lists: controllers that no v1 hierarchy has taken."""
    v1: dict[str, str] = {}
    """Controller, or `name=systemd` for a hierarchy without one, to the directory of its mount."""
    roots: dict[str, str] = {}
    """Mount to the cgroup that is mounted there, where that isn't the hierarchy's root: inside another container."""


class Cgroup(msgspec.Struct, frozen=True):
    """One cgroup: the same path in every hierarchy."""

    path: str
    hierarchies: Hierarchies

    def version(self, controller: str) -> int:
        """2, 1, or 0 when this host hasn't the controller."""
        if controller in self.hierarchies.v1:
            return 1
        return 2 if self.hierarchies.v2_mount and controller in self.hierarchies.v2_controllers else 0

    def mount(self, controller: str) -> str | None:
        """The mount on which the controller lives."""
        mounts: dict[int, str | None] = {1: self.hierarchies.v1.get(controller), 2: self.hierarchies.v2_mount}
        return mounts.get(self.version(controller))

    def directory(self, controller: str) -> str | None:
        """The cgroup's directory in the controller's hierarchy; None when this host hasn't the controller."""
        mount = self.mount(controller)
        return None if mount is None else mount + self.path

    def need(self, controller: str, purpose: str) -> str:
        """The directory, or Unsupported saying that `purpose` ("limit memory") can't be had."""
        directory = self.directory(controller)
        if directory is None:
            raise Unsupported(
                f"can't {purpose}: this host has no {controller} controller, neither on cgroup2 nor as a v1 hierarchy",
                hint=f"boot with cgroup_enable={controller}, mount the hierarchy, or leave the option out",
            )
        return directory

    @property
    def v2(self) -> str | None:
        """The directory in the cgroup2 hierarchy, whatever controllers it has."""
        return None if self.hierarchies.v2_mount is None else self.hierarchies.v2_mount + self.path

    @property
    def v1(self) -> list[str]:
        """The directory in each v1 hierarchy, once where two controllers share a mount (cpu,cpuacct)."""
        return [mount + self.path for mount in dict.fromkeys(self.hierarchies.v1.values())]

    @property
    def directories(self) -> list[str]:
        """All of them: cgroup2 first."""
        return ([self.v2] if self.v2 else []) + self.v1


def discover(mountinfo: str | None = None) -> Hierarchies:
    """Read the host's cgroup mounts from the text of a mountinfo file, by default our own (proc_pid_mountinfo(5))."""
    if mountinfo is None:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mountinfo = file.read()
    v2_mount: str | None = None
    v1: dict[str, str] = {}
    roots: dict[str, str] = {}
    for line in mountinfo.splitlines():
        # "36 31 0:33 / /sys/fs/cgroup/devices rw,relatime shared:9 - cgroup cgroup rw,devices"
        left, separator, right = line.partition(" - cgroup")
        if not separator:
            continue
        root, mount = (_unescape(word) for word in left.split(" ")[3:5])
        if right.startswith("2 "):
            if v2_mount is not None:
                continue
            v2_mount = mount
        else:
            names = [word for word in right.split(" ")[-1].split(",") if word in V1_CONTROLLERS or word[:5] == "name="]
            names = [name for name in names if name not in v1]  # the first mount of a hierarchy is the usual one
            v1.update(dict.fromkeys(names, mount))
        if root != "/":
            roots[mount] = root
    controllers = (read_text(f"{v2_mount}/cgroup.controllers") or "").split() if v2_mount else []
    return Hierarchies(v2_mount=v2_mount, v2_controllers=controllers, v1=v1, roots=roots)


def _unescape(word: str) -> str:
    """mountinfo writes space, tab, newline and backslash in octal."""
    if "\\" not in word:
        return word
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, character)
    return word


def read_text(file: str) -> str | None:
    """What a cgroup file says, or None where the file or its cgroup isn't there (ENOENT, or ENODEV while it goes)."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR):
            return None
        raise


def read_number(file: str) -> int | None:
    """A file of one number; `max` and v1's huge "no limit" are -1; None when there is no such file."""
    text = read_text(file)
    if text is None or not text.strip():
        return None
    # v1 counts memory in pages: its "no limit" is the largest signed 64-bit number, rounded down to a page.
    number = -1 if text.strip() == "max" else int(text)
    return -1 if number >= (1 << 63) - (1 << 20) else number


def read_table(file: str) -> dict[str, int]:
    """A flat keyed file: `oom_kill 3` lines. Empty when there is no such file."""
    rows = (line.split() for line in (read_text(file) or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].lstrip("-").isdigit()}


WRITE_HINTS = {
    errno.EINVAL: "the kernel doesn't take this value here: cgroups(7) and the kernel's cgroup documentation say which",
    errno.EBUSY: "the cgroup is in use: a limit below what is used now, or processes where the kernel allows none",
    errno.EACCES: "this needs root, or the parent cgroup doesn't have what is asked for",
    errno.EPERM: "this needs root: try sudo",
    errno.EROFS: "the cgroup file system is mounted read-only here, as inside an ordinary container",
    errno.ENOSPC: "the parent cgroup has no more to give",
    errno.EOPNOTSUPP: "this kernel was built without that feature, or has removed it",
}


def write(file: str, value: str, *, hint: str = "") -> None:
    """One write(2) to a control file: the kernel takes or refuses it whole.

    Raises FileNotFoundError when there is no such file (kernfs makes all of them: open(2) never creates one), and
    SystemCallFailed with the value when the kernel refuses.
    """
    try:
        fd = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        from minidock.kernel import syscalls

        number = error.errno or errno.EIO
        hint = hint or WRITE_HINTS.get(number, "")
        raise syscalls.failed("write", (file, value), number=number, hint=hint) from error


MISSING = "no such file or directory: leave the option out on this host"


class WriteCgroupFile(Step, frozen=True):
    """One control of one cgroup. It needs no undo: it goes with the directory."""

    what: str
    """What is said about it: `limit memory to 64 MiB`."""
    file: str
    value: str
    default: bool = False
    """The value is what the kernel does anyway, so that a kernel without this file keeps the promise too."""
    hint: str = ""
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return self.what

    def shell(self) -> str:
        import shlex

        return f"echo {shlex.quote(self.value)} > {shlex.quote(self.file)}"

    def apply(self, live: Live) -> None:
        try:
            write(self.file, self.value, hint=self.hint)
        except FileNotFoundError as error:
            if self.default:
                return
            name = os.path.basename(self.file)
            raise Unsupported(f"can't {self.what}: this kernel has no {name}", hint=self.hint or MISSING) from error


class WriteFirstOf(Step, frozen=True):
    """One control that kernels have under different names, each with its own scale: the first there is gets written."""

    what: str
    choices: list[tuple[str, str]]
    """(file, value), best first."""
    hint: str = ""
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return self.what

    def shell(self) -> str:
        import shlex

        *others, last = [(shlex.quote(file), shlex.quote(value)) for file, value in self.choices]
        tries = "".join(f"if [ -e {file} ]; then echo {value} > {file}; else " for file, value in others)
        return f"{tries}echo {last[1]} > {last[0]}" + "; fi" * len(others)

    def apply(self, live: Live) -> None:
        for file, value in self.choices:
            try:
                return write(file, value, hint=self.hint)
            except FileNotFoundError:
                continue
        names = " nor ".join(os.path.basename(file) for file, _ in self.choices)
        raise Unsupported(f"can't {self.what}: this kernel has neither {names}", hint=MISSING)


def unified(cgroup: Cgroup, files: dict[str, str]) -> list[Step]:
    """OCI's `unified`: files of cgroup2 by name, written as they are.

    Only on controllers that live on cgroup2 here; a name with a slash would leave the container's cgroup.
    """
    steps: list[Step] = []
    for name, value in files.items():
        controller, dot, rest = name.partition(".")
        if "/" in name:
            raise MinidockError(f"unified resource {name!r} must be a file name (no slashes)")
        if not dot or not rest:
            raise MinidockError(f"unified resource {name!r} must be in the form CONTROLLER.PARAMETER")
        if cgroup.v2 is None or (controller != "cgroup" and cgroup.version(controller) != 2):
            raise Unsupported(
                f"unified resource {name!r} can't be set: controller {controller!r} not available",
                hint="not on a cgroup2 hierarchy, that is; the named limits work on both",
            )
        steps.append(WriteCgroupFile(what=f"set {name} to {value}", file=f"{cgroup.v2}/{name}", value=value))
    return steps


def demo() -> None:
    """Which controllers this host has, and in which hierarchy each of them lives."""
    found = discover()
    print(f"version 2: {found.v2_mount or 'not mounted'}  {read_text(f'{found.v2_mount}/cgroup.controllers') or ''}")
    for controller, mount in found.v1.items():
        print(f"version 1: {mount}  {controller}")


if __name__ == "__main__":
    demo()
