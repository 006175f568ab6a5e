"""The layer between the image and the container's own changes: what every container has, whatever its image is.

Places for what is mounted over them at the start, and the marks by which programs know that they are in a container.
As they are in a layer of their own, they are no changes of the container's: `diff` doesn't tell them, `commit` doesn't
put them into an image, and `export` shows them, as in Docker.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from minidock.engine.record import Record
from minidock.kernel.overlay import MountOverlay
from minidock.paths import Layout
from minidock.whoami import in_user_namespace

FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
DIRECTORIES = ("dev", "dev/pts", "dev/shm", "etc", "proc", "sys")
MTAB = "/proc/mounts"


def lower(layout: Layout, record: Record) -> list[str]:
    """All that lies below the container's own changes, top first."""
    return [str(directory_of(layout, record)), *record.layers]


def overlay_at(layout: Layout, record: Record, target: str) -> MountOverlay:
    """The container's tree, laid at a directory."""
    directory = layout.container(record.id)
    in_userns = layout.user is not None or in_user_namespace()
    return MountOverlay(lower(layout, record), f"{directory}/upper", f"{directory}/work", target, in_userns)


def directory_of(layout: Layout, record: Record) -> Path:
    return layout.container(record.id) / "init"


def make(directory: Path, layers: list[str]) -> None:
    """Fill a new directory; what the image has as a directory too keeps the owner and mode that it gave it."""
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    found = {path: _like(layers, path) for path in DIRECTORIES}
    for path, status in found.items():
        place = directory / path
        place.mkdir()
        os.chown(place, status.st_uid if status else 0, status.st_gid if status else 0)
        place.chmod(stat.S_IMODE(status.st_mode) if status else 0o755)
    for path in FILES:
        os.close(os.open(directory / path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755))
        (directory / path).chmod(0o755)
    (directory / "etc/mtab").symlink_to(MTAB)
    for path, status in found.items():
        if status and path not in ("dev", "etc"):  # in which something was made: their time is now
            os.utime(directory / path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def shell(directory: Path, layers: list[str]) -> str:
    """The same by hand."""

    def words(paths: tuple[str, ...]) -> str:
        return " ".join(shlex.quote(f"{directory}/{path}") for path in paths)

    found = {path: status for path in DIRECTORIES if (status := _like(layers, path))}
    lines = [f"mkdir -p {words(DIRECTORIES)}", f"touch {words(FILES)}", f"chmod 755 {words(DIRECTORIES + FILES)}"]
    for path, status in found.items():
        lines.append(f"chown {status.st_uid}:{status.st_gid} {words((path,))}")
        lines.append(f"chmod {stat.S_IMODE(status.st_mode):o} {words((path,))}")
    return "\n".join([*lines, f"ln -s {MTAB} {words(('etc/mtab',))}"])


def _like(layers: list[str], path: str) -> os.stat_result | None:
    """The topmost layer's directory of that name; None when that layer has something else there, or none has it."""
    for layer in layers:
        try:
            first = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            for name in path.split("/"):
                second = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=first)
                os.close(first)
                first = second
            status = os.fstat(first)
            return status if stat.S_ISDIR(status.st_mode) else None
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            return None
        finally:
            os.close(first)
    return None
