"""The directories that members of a layer lie in, kept open: the only place where a path of a layer is walked.

openat2(2) with RESOLVE_IN_ROOT takes the layer's directory for "/", for symlinks and ".." too, as if in a chroot.
Whoever has the descriptor makes a single name in it, and needs no path any more.
"""

from __future__ import annotations

import contextlib
import os

from minidock.errors import InvalidImage
from minidock.kernel.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

from .names import WHITEOUT, shown

OPEN_PARENTS = 64
"""Directories kept open. Archives go through a tree in order, so a few are enough, and 1024 is all we may have."""


class Parents:
    """Path → descriptor of the directory. Made where the archive has a file but not its directory."""

    def __init__(self, root: int, umask: int, *, whiteouts: bool = True) -> None:
        self.root = root
        self._whiteouts = whiteouts
        self._umask = umask
        self._known: dict[bytes, int] = {b"": root}

    def get(self, path: bytes) -> int:
        """A descriptor that stays open until the next call of get() or forget()."""
        fd = self._known.get(path)
        if fd is not None:
            return fd
        if self._whiteouts and any(part.startswith(WHITEOUT) for part in path.split(b"/")):
            raise InvalidImage(f"layer has files below a whiteout: {shown(path)}")
        try:
            fd = self.open(path)
        except FileNotFoundError:
            fd = self._make(path)
        if len(self._known) > OPEN_PARENTS:
            self.forget()
        self._known[path] = fd
        return fd

    def open(self, path: bytes, flags: int = os.O_PATH) -> int:
        """A descriptor of the caller's own. Raises OSError."""
        while True:
            try:
                return openat2(self.root, path, flags | os.O_DIRECTORY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
            except BlockingIOError:  # EAGAIN: something was renamed while ".." of a symlink was walked (openat2(2))
                continue

    def _make(self, path: bytes) -> int:
        """mkdir -p, with the rights that Docker gives a directory that no member describes."""
        parts = path.split(b"/")
        fd, missing = self._deepest(parts)
        for name in parts[missing:]:
            above = fd
            try:
                os.mkdir(name, 0o755, dir_fd=above)
                fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            except FileExistsError as error:  # a symlink that leads nowhere; Docker refuses it as well
                raise InvalidImage(f"layer has files below {shown(path)}, which is no directory") from error
            finally:
                os.close(above)
            if self._umask & 0o755:
                os.chmod(f"/proc/self/fd/{fd}", 0o755)  # noqa: S103 - everybody may look into a container's directories
        return fd

    def _deepest(self, parts: list[bytes]) -> tuple[int, int]:
        """The deepest directory of the way that is there, and how many parts lead to it."""
        for count in range(len(parts) - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                return self.open(b"/".join(parts[:count])), count
        return os.dup(self.root), 0

    def forget(self, keep: int = -1) -> None:
        """Close all but `keep`: some may be of directories that are about to go."""
        kept = {path: fd for path, fd in self._known.items() if fd == keep or not path}
        for path, fd in self._known.items():
            if path not in kept:
                os.close(fd)
        self._known = kept
