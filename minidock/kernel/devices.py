"""Device nodes: the few that every program expects, made anew for each container.

The host's devtmpfs is never mounted: it would show every disk. A node is only a name for a number; whether opening it
is allowed is decided by the device filter of the cgroup (kernel/device_filter.py). Man page: mknod(2).
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from typing import ClassVar

from minidock.errors import MinidockError, SystemCallFailed
from minidock.kernel import mounts, namespaces, rootpath, syscalls
from minidock.kernel.mount_options import NOEXEC, NOSUID
from minidock.spec import Device
from minidock.steps import Live, Step

DEFAULT = [
    Device(type="c", path="/dev/null", major=1, minor=3, file_mode=0o666),
    Device(type="c", path="/dev/zero", major=1, minor=5, file_mode=0o666),
    Device(type="c", path="/dev/full", major=1, minor=7, file_mode=0o666),
    Device(type="c", path="/dev/random", major=1, minor=8, file_mode=0o666),
    Device(type="c", path="/dev/urandom", major=1, minor=9, file_mode=0o666),
    Device(type="c", path="/dev/tty", major=5, minor=0, file_mode=0o666),
]
"""runtime-spec config-linux.md, "Default Devices"; numbers from the kernel's Documentation/admin-guide/devices.txt."""

SYMLINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
}

FORMATS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class MakeDevice(Step, frozen=True):
    """One node. In a user namespace mknod(2) says EPERM: the parent makes it then, and it is bound."""

    rootfs: str
    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    bind: bool = False
    asked: bool = False
    """By config.json: what is there and isn't this device is an error then (config-linux.md, "Devices"). In place of
    what every container has, an image's own goes."""
    man: ClassVar[str] = "mknod(2)"

    def describe(self) -> str:
        return f"make the device {self.path} ({self.kind} {self.major}:{self.minor})"

    def shell(self) -> str:
        path = shlex.quote(self.rootfs + self.path)
        numbers = "" if self.kind == "p" else f" {self.major} {self.minor}"
        owner = f" && chown {self.uid}:{self.gid} {path}" if self.uid or self.gid else ""
        directory = shlex.quote(os.path.dirname(self.rootfs + self.path))
        return f"mkdir -p {directory} && mknod -m {self.mode:o} {path} {self.kind}{numbers}{owner}"

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        if self.bind:
            self._bind(root, live)
        else:
            directory, _, name = self.path.rpartition("/")
            parent = rootpath.make_directories(root, directory)
            if self.asked and self._is_there(parent, name):
                self._belong(parent, name)
            else:
                self._make(parent, name)
            os.close(parent)
        os.close(root)

    def _is_there(self, parent: int, name: str) -> bool:
        """Whether it is. Raises MinidockError for something else."""
        try:
            facts = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        number = (os.major(facts.st_rdev), os.minor(facts.st_rdev))
        same = self.kind == "p" or number == (self.major, self.minor)
        if same and stat.S_IFMT(facts.st_mode) == FORMATS[self.kind]:
            return True
        if self.bind and stat.S_ISREG(facts.st_mode) and facts.st_size == 0:
            return False  # a place to hang it, from another time
        raise MinidockError(
            f"{self.path} is there already, and is not the device {self.kind} {self.major}:{self.minor}"
        )

    def _make(self, parent: int, name: str) -> None:
        device = os.makedev(self.major, self.minor)
        for _ in range(2):
            try:
                os.mknod(name, FORMATS[self.kind] | self.mode, device, dir_fd=parent)
                break
            except FileExistsError:  # an image that brings its own /dev: what it has there goes
                try:
                    os.unlink(name, dir_fd=parent)
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                    return  # one of the mounts stands here: it was asked for by name
        self._belong(parent, name)

    def _belong(self, parent: int, name: str) -> None:
        # The umask took bits from the mode; and the name can't be swapped, nobody else is in here yet.
        os.chmod(name, self.mode, dir_fd=parent)
        os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)

    def _bind(self, root: int, live: Live) -> None:
        if self.asked:
            directory, _, name = self.path.rpartition("/")
            parent = rootpath.make_directories(root, directory)
            self._is_there(parent, name)
            os.close(parent)
        live.actions["lend"]()
        node, target = live.fds.pop("lent"), rootpath.make_file(root, self.path)
        mounts.hang(node, target)
        os.close(node)
        os.close(target)

    def lend(self, live: Live) -> int:
        """A detached mount of one node, which is nothing to execute."""
        node = self._lent()
        syscalls.mount_setattr(node, "", syscalls.AT_EMPTY_PATH, attr_set=NOSUID | NOEXEC)
        return node

    def _lent(self) -> int:
        """On a tmpfs of its own, which nobody else ever sees."""
        memory = mounts.new_filesystem("tmpfs", "tmpfs", ["mode=755"])
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=memory)
        flags = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC
        try:
            self._make(directory, "node")
            try:
                return syscalls.open_tree(directory, "node", flags)
            except SystemCallFailed as error:
                if error.number != errno.EINVAL:
                    raise
            # Before Linux 6.15 what hangs nowhere can't be copied: so it hangs, in mounts that end with a helper.
            return namespaces.from_helper(lambda: self._copied(memory, directory, flags))
        finally:
            os.close(directory)
            os.close(memory)

    def _copied(self, memory: int, directory: int, flags: int) -> int:
        syscalls.unshare(namespaces.flags(["mount"]))
        mounts.IsolateMounts().apply(Live())
        root = rootpath.open_root("/")
        mounts.hang(memory, root)
        return syscalls.open_tree(directory, "node", flags)


class MakeDeviceDirectory(Step, frozen=True):
    """All of /dev for a container with a user namespace: there, mknod(2) says EPERM, and a tmpfs of the namespace's own
    shows no device at all. This one is the host's: the parent makes and lends it. Owners are the host's numbers."""

    rootfs: str
    options: list[str]
    nodes: list[Device]
    uid: int
    gid: int
    man: ClassVar[str] = "mknod(2)"

    def describe(self) -> str:
        return f"make a /dev with {len(self.nodes)} devices that belong to user {self.uid}"

    def shell(self) -> str:
        lines = [
            f"mknod -m {device.file_mode or 0o666:o} $ROOT{device.path} {device.type} {device.major} {device.minor}"
            for device in self.nodes
        ]
        return "\n".join(
            [f"ROOT={shlex.quote(self.rootfs)} && mount -t tmpfs -o {','.join(self.options)} tmpfs $ROOT/dev", *lines]
        )

    def apply(self, live: Live) -> None:
        live.actions["lend"]()
        root, mounted = rootpath.open_root(self.rootfs), live.fds.pop("lent")
        target = rootpath.make_directories(root, "/dev")
        mounts.hang(mounted, target)
        for fd in (root, mounted, target):
            os.close(fd)

    def lend(self, live: Live) -> int:
        mounted = mounts.new_filesystem("tmpfs", "tmpfs", self.options)
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mounted)
        os.fchown(top, self.uid, self.gid)
        for device in self.nodes:
            self._make(top, device)
        os.close(top)
        return mounted

    def _make(self, top: int, device: Device) -> None:
        directory, _, name = os.path.relpath(device.path, "/dev").rpartition("/")
        parent = rootpath.make_directories(top, directory, uid=self.uid, gid=self.gid)
        mode = 0o666 if device.file_mode is None else device.file_mode & 0o7777
        os.mknod(name, FORMATS[device.type] | mode, os.makedev(device.major, device.minor), dir_fd=parent)
        os.chmod(name, mode, dir_fd=parent)
        os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)
        os.close(parent)


class LinkDevices(Step, frozen=True):
    """/dev/stdin and its like are links into /proc/self/fd; /dev/ptmx leads to the container's own devpts."""

    rootfs: str
    links: dict[str, str]
    man: ClassVar[str] = "symlink(2)"

    def describe(self) -> str:
        return f"link {', '.join(self.links)}"

    def shell(self) -> str:
        return "\n".join(f"ln -sf {target} {shlex.quote(self.rootfs + path)}" for path, target in self.links.items())

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        for path, target in self.links.items():
            directory, _, name = path.rpartition("/")
            parent = rootpath.make_directories(root, directory)
            try:
                os.symlink(target, name, dir_fd=parent)
            except FileExistsError:  # an image that is its own /dev, with --privileged binds
                os.unlink(name, dir_fd=parent)
                os.symlink(target, name, dir_fd=parent)
            os.close(parent)
        os.close(root)


class BindConsole(Step, frozen=True):
    """/dev/console is the container's terminal, by a bind mount of its pty. The real one, 5:1, is the machine's."""

    man: ClassVar[str] = "console(4)"

    def describe(self) -> str:
        return "show the terminal as /dev/console too"

    def shell(self) -> str:
        return 'touch /dev/console && mount --bind "$(tty)" /dev/console'

    def apply(self, live: Live) -> None:
        # By descriptors from end to end: were /dev/console a symlink of the image's, the terminal would be mounted over
        # whatever that leads to, and writing to it would be writing there (CVE-2025-52565).
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
        target = os.open("/dev/console", flags, 0o600)
        tree = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | syscalls.AT_EMPTY_PATH
        terminal = syscalls.open_tree(0, "", tree)
        mounts.hang(terminal, target)
        os.close(terminal)
        os.close(target)


def read(pid: int) -> list[str]:
    """The nodes below the container's /dev: `c 1:3 /dev/null`."""
    rows = []
    with os.scandir(f"/proc/{pid}/root/dev") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            facts = entry.stat(follow_symlinks=False)
            if stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode):
                kind = "c" if stat.S_ISCHR(facts.st_mode) else "b"
                rows.append(f"{kind} {os.major(facts.st_rdev)}:{os.minor(facts.st_rdev)} /dev/{entry.name}")
    return rows


def demo() -> None:
    """Make /dev/null by hand in a tmpfs, and write to it."""
    from minidock.kernel import namespaces

    if syscalls.clone3(namespaces.flags(["mount"])) == 0:
        mounts.IsolateMounts().apply(Live())
        mounts.MountFilesystem("", "/mnt", "tmpfs", "demo", []).apply(Live())
        step = MakeDevice("/mnt", "/dev/null", "c", 1, 3)
        print(f"$ {step.shell()}")
        step.apply(Live())
        with open("/mnt/dev/null", "w", encoding="ascii") as file:
            print(file.write("gone"), "bytes written to", file.name, flush=True)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    demo()
