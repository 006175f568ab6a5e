"""The files of layers, merged, as overlayfs would show them; or of one directory, which is a context.

Nothing is mounted for it: DESIGN wants no mount of a container on the host. Each directory is held as the descriptors
of that directory in all layers that have it, top first. A name is looked up by overlayfs's rules: the first layer that
has it wins, a whiteout hides it, directories merge until one is opaque. No path is ever given to the kernel but single
names below a descriptor, and symlinks are followed by hand: so nothing leads out, whatever a stranger's layer, or a
context that somebody changes meanwhile, has in it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from minidock.errors import MinidockError
from minidock.image.names import opaque_attribute

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_SYMLINKS = 40
"""As in the kernel (path_resolution(7))."""

Parts = tuple[str, ...]


class Directory:
    """One directory. `fds` are its owner's to close()."""

    def __init__(self, fds: list[int], *, plain: bool) -> None:
        self.fds = fds
        self.plain = plain

    def look(self, name: str) -> os.stat_result | None:
        """lstat(2) of what the merged directory has under the name."""
        found = self._find(name)
        return found[1] if found else None

    def _find(self, name: str) -> tuple[int, os.stat_result] | None:
        for index, fd in enumerate(self.fds):
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    return None
                raise
            return None if self._is_whiteout(status) else (index, status)
        return None

    def _is_whiteout(self, status: os.stat_result) -> bool:
        return not self.plain and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    def enter(self, name: str) -> Directory:
        """The directory of that name. Raises FileNotFoundError, NotADirectoryError."""
        fds: list[int] = []
        try:
            for fd in self.fds:
                try:
                    below = os.open(name, FLAGS, dir_fd=fd)
                except FileNotFoundError:
                    continue
                except OSError as error:  # ELOOP: a symlink. What isn't a directory hides those below it
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    break
                fds.append(below)
                if not self.plain and is_opaque(below):
                    break
            if not fds:
                kind = NotADirectoryError if self.look(name) else FileNotFoundError
                raise kind(errno.ENOENT, os.strerror(errno.ENOENT), name)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return Directory(fds, plain=self.plain)

    def names(self) -> list[str]:
        """What it holds, sorted."""
        seen: dict[str, bool] = {}
        for fd in self.fds:
            with os.scandir(fd) as entries:
                for entry in entries:
                    if entry.name not in seen:
                        seen[entry.name] = self.plain or not self._is_whiteout(entry.stat(follow_symlinks=False))
        return sorted(name for name, there in seen.items() if there)

    def open(self, name: str) -> int:
        """A regular file, for reading. Raises OSError."""
        found = self._find(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        # O_NONBLOCK: a pipe that has taken its name meanwhile must not wait for a writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=self.fds[found[0]])
        if not os.path.samestat(os.fstat(fd), found[1]):
            os.close(fd)
            raise MinidockError(f"{name} was changed while it was read")
        return fd

    def readlink(self, name: str) -> str:
        found = self._find(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return os.readlink(name, dir_fd=self.fds[found[0]])

    def xattrs(self, name: str) -> dict[str, bytes]:
        """Extended attributes of the entry itself, but overlayfs's own and the host's labels."""
        found = self._find(name)
        place = f"/proc/self/fd/{self.fds[found[0]]}/{name}" if found else ""
        # listxattr(2) takes no directory descriptor; /proc/self/fd/N leads to it, and llistxattr(2) stops there
        names = os.listxattr(place, follow_symlinks=False) if found else []
        kept = [name for name in names if name.startswith(KEPT_XATTRS)]
        return {each: os.getxattr(place, each, follow_symlinks=False) for each in kept}

    def status(self) -> os.stat_result:
        return os.fstat(self.fds[0])

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")


def is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, opaque_attribute()) == b"y"
    except OSError:  # ENODATA, or ENOTSUP where nothing has attributes
        return False


class Tree:
    """`layers` top first. `plain`: a directory that is no layer, where a device 0:0 is a device."""

    def __init__(self, layers: Sequence[Path], *, plain: bool = False) -> None:
        self.layers = list(layers)
        self.plain = plain

    def root(self) -> Directory:
        fds: list[int] = []
        for path in self.layers:
            fds.append(os.open(path, FLAGS))
            if not self.plain and is_opaque(fds[-1]):
                break
        return Directory(fds, plain=self.plain)

    def enter(self, parts: Parts) -> Directory:
        """The directory at a path without symlinks. Raises FileNotFoundError, NotADirectoryError."""
        here = self.root()
        for name in parts:
            above, here = here, None  # type: ignore[assignment]
            with above:
                here = above.enter(name)
        return here

    def resolve(self, path: str, *, follow: bool = True) -> Parts:
        """The path with its symlinks followed, the last one only with `follow`; what isn't there stays as it is.

        ".." and absolute links are as in a root of its own. Raises MinidockError for a circle of symlinks.
        """
        waiting = [part for part in path.split("/") if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            link = self._link_at((*done, part)) if waiting or follow else None
            if link is None:
                done.append(part)
                continue
            links += 1
            if links > MAX_SYMLINKS:
                raise MinidockError(f"{path}: too many levels of symbolic links")
            done = [] if link.startswith("/") else done
            waiting = link.split("/") + waiting
        return tuple(done)

    def _link_at(self, parts: Parts) -> str | None:
        try:
            with self.enter(parts[:-1]) as directory:
                status = directory.look(parts[-1])
                return directory.readlink(parts[-1]) if status and stat.S_ISLNK(status.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def status(self, parts: Parts) -> os.stat_result | None:
        """lstat(2) at a path without symlinks."""
        try:
            if not parts:
                with self.root() as root:
                    return root.status() if root.fds else None
            with self.enter(parts[:-1]) as directory:
                return directory.look(parts[-1])
        except (FileNotFoundError, NotADirectoryError):
            return None

    def walk(
        self, parts: Parts = (), *, prune: Callable[[Parts], bool] = lambda _: False
    ) -> Iterator[tuple[Parts, Directory, os.stat_result]]:
        """Everything below a directory: path below it, the directory that holds it (open until the next), its facts.

        Parents come before their children. Nothing below a directory that `prune` says yes to is given.
        """
        with self.enter(parts) as directory:
            waiting: list[tuple[Parts, list[str]]] = [((), directory.names()[::-1])]
        while waiting:
            above, names = waiting.pop()
            if not names:
                continue
            with self.enter((*parts, *above)) as directory:
                while names:
                    name = names.pop()
                    status = directory.look(name)
                    if status is None:
                        continue
                    yield (*above, name), directory, status
                    if stat.S_ISDIR(status.st_mode) and not prune((*above, name)):
                        with directory.enter(name) as below:
                            inside = below.names()[::-1]
                        waiting += [(above, names), ((*above, name), inside)]
                        break
