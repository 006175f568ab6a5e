"""/sys/fs/cgroup inside the container: its own cgroup, as the root of what it sees.

On a unified host that is one cgroup2 mount. On a host with v1 hierarchies it is a tmpfs with one mount for each, and
links for those that share one (`cpu` → `cpu,cpuacct`). A new mount shows the cgroup namespace's part only, which is
why this comes after NewCgroupNamespace. Man page: cgroup_namespaces(7).
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

from minidock.kernel import mounts, rootpath
from minidock.kernel.bind import BindMount
from minidock.steps import Live, Step


class MountCgroup(Step, frozen=True):
    """The unified hierarchy. `options` as in the OCI mount: ro, nosuid, noexec, nodev."""

    rootfs: str
    destination: str
    options: list[str]
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"mount the container's cgroup at {self.destination}"

    def shell(self) -> str:
        return self._mount().shell()

    def _mount(self) -> mounts.MountFilesystem:
        return mounts.MountFilesystem(self.rootfs, self.destination, "cgroup2", "cgroup", self.options)

    def apply(self, live: Live) -> None:
        self._mount().apply(live)


class BindCgroup(Step, frozen=True):
    """Without a cgroup namespace a new mount would show every cgroup of the host (and in a user namespace it is EPERM):
    so the container's own directories are bound instead. `directories` maps a name below `destination`, "" for itself,
    to the host's directory."""

    rootfs: str
    destination: str
    options: list[str]
    directories: dict[str, str]
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"show the container's cgroup of the host at {self.destination}"

    def _steps(self) -> list[Step]:
        rest = [word for word in self.options if word not in ("ro", "rw")]
        steps: list[Step] = []
        if "" not in self.directories:
            steps.append(mounts.MountFilesystem(self.rootfs, self.destination, "tmpfs", "tmpfs", [*rest, "mode=755"]))
        for name, source in self.directories.items():
            words = ["bind", *self.options]
            steps.append(BindMount(self.rootfs, f"{self.destination}/{name}".rstrip("/"), source, words))
        return steps

    def _links(self) -> dict[str, str]:
        return {part: name for name in self.directories for part in name.split(",") if "," in name}

    def shell(self) -> str:
        base = shlex.quote(self.rootfs + self.destination)
        links = [f"ln -s {name} {base}/{part}" for part, name in self._links().items()]
        readonly = [f"mount -o remount,bind,ro {base}"] if "ro" in self.options else []
        return "\n".join([*(step.shell() for step in self._steps()), *links, *readonly])

    def apply(self, live: Live) -> None:
        for step in self._steps():
            step.apply(live)
        _finish(self.rootfs, self.destination, self._links(), readonly="ro" in self.options)


def _finish(rootfs: str, destination: str, links: dict[str, str], *, readonly: bool) -> None:
    """The tmpfs gets its links, and is closed."""
    root = rootpath.open_root(rootfs)
    base = rootpath.open_in(root, destination, os.O_PATH | os.O_DIRECTORY)
    for part, name in links.items():
        os.symlink(name, part, dir_fd=base)
    if readonly:
        mounts.make_readonly(base)
    os.close(base)
    os.close(root)


class MountCgroupV1(Step, frozen=True):
    """One mount a v1 hierarchy below a tmpfs. `hierarchies` maps a directory's name, `cpu,cpuacct` or `systemd`, to
    what mount(8) wants for it: `cpu,cpuacct` or `none,name=systemd`."""

    rootfs: str
    destination: str
    options: list[str]
    hierarchies: dict[str, str]
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"mount the container's cgroup of {len(self.hierarchies)} hierarchies below {self.destination}"

    def _mounts(self) -> list[mounts.MountFilesystem]:
        rest = [word for word in self.options if word not in ("ro", "rw")]
        rows = [mounts.MountFilesystem(self.rootfs, self.destination, "tmpfs", "tmpfs", [*rest, "mode=755"])]
        for name, data in self.hierarchies.items():
            path = f"{self.destination}/{name}"
            words = [*self.options, *data.split(",")]
            rows.append(mounts.MountFilesystem(self.rootfs, path, "cgroup", "cgroup", words))
        return rows

    def _links(self) -> dict[str, str]:
        return {part: name for name in self.hierarchies for part in name.split(",") if "," in name}

    def shell(self) -> str:
        lines = [step.shell() for step in self._mounts()]
        base = shlex.quote(self.rootfs + self.destination)
        lines += [f"ln -s {name} {base}/{part}" for part, name in self._links().items()]
        if "ro" in self.options:
            lines.append(f"mount -o remount,bind,ro {base}")
        return "\n".join(lines)

    def apply(self, live: Live) -> None:
        for step in self._mounts():
            # The kernel takes "ro" for the mount only: a v1 hierarchy's superblock is the host's too.
            kind, source = step.kind, step.source
            root = rootpath.open_root(self.rootfs)
            target = rootpath.make_directories(root, step.destination)
            words = [word for word in step.options if word not in ("ro", "rw")] if kind == "cgroup" else step.options
            mounted = mounts.new_filesystem(kind, source, words)
            if kind == "cgroup" and "ro" in step.options:
                mounts.make_readonly(mounted)
            mounts.hang(mounted, target)
            for fd in (root, target, mounted):
                os.close(fd)
        _finish(self.rootfs, self.destination, self._links(), readonly="ro" in self.options)


def v1_hierarchies(mounted: dict[str, str]) -> dict[str, str]:
    """From controller → mount directory (kernel/cgroups.py) to directory name → mount data."""
    by_directory: dict[str, list[str]] = {}
    for controller, directory in mounted.items():
        by_directory.setdefault(directory, []).append(controller)
    rows = {}
    for directory, controllers in by_directory.items():
        named = [name for name in controllers if name.startswith("name=")]
        data = ",".join(["none", *named]) if named else ",".join(controllers)
        rows[os.path.basename(directory)] = data
    return rows


def read(pid: int) -> dict[str, str]:
    """The process's cgroup in each hierarchy, from /proc/PID/cgroup: controllers (empty for v2) → path."""
    rows = {}
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            rows[controllers] = path
    return rows


def demo() -> None:
    """Print the cgroups of this process."""
    for controllers, path in read(os.getpid()).items():
        print(f"{controllers or 'cgroup2':20} {path}")


if __name__ == "__main__":
    demo()
